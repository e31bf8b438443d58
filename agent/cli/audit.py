"""`audit`: what the gate ruled in a run, whether it came as foreseen, and whether the log holds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.cli.common import Figure, figure, say, write_figures
from agent.core.errors import InputError, SafetyError
from agent.evaluate.believed import Believed, believed
from agent.record.chain import Chain, follow

TRULY = (("contacts", "ticks in contact"), ("speeding", "ticks over speed"))


def main(options: argparse.Namespace) -> int:
    """Print the audit of RUN; returns the exit code.

    Raises SafetyError where the chain is broken and `--verify` asks about it.
    """
    if options.config is None:
        raise InputError("audit: expected a run folder, came none; such as runs/<id>")
    folder = Path(options.config)
    chain = follow(folder)
    told = believed(chain.header, chain.lines)
    _print(chain, told, _card(folder))
    write_figures(options, None, [], _figures(told, chain))
    if options.verify:
        if chain.broken:
            raise SafetyError(
                f"audit: the chain is broken: {chain.broken}; do not rely on this log"
            )
        state = "whole" if chain.whole else "a valid prefix"
        say(f"verified: {len(chain.lines)} verdicts, {state}, chain {chain.end}")
    return 0


def _print(chain: Chain, told: Believed, card: Mapping[str, Any] | None) -> None:
    header = chain.header
    seal, config, weights = (
        str(header.get(k, ""))[:16] for k in ("seal", "config_hash", "checkpoint")
    )
    say(f"seal {seal}  config {config}  checkpoint {weights}")
    if chain.broken:
        say(f"BROKEN: {chain.broken}; what follows is what stands before that")
    elif not chain.whole:
        say("a prefix: the run was killed before its log was closed; what is here is unchanged")
    say(f"the gate's rulings, {len(chain.lines)} verdicts: {told.allowed} allowed")
    for name, kinds in told.repaired.items():
        listed = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
        say(f"  repaired for {name}: {sum(kinds.values())} ({listed})")
    for name, count in told.vetoed.items():
        say(f"  vetoed for {name}: {count}")
    promised = header.get("promised_coverage")
    beside = "" if promised is None else f", promised {100 * promised:.0f} %"
    say(f"what the guardrails believed, one tick ahead (not what is true{beside}):")
    for name, one in told.guardrails.items():
        if not one.n:
            say(f"  {name}: nothing to compare; believed broken in {one.broken} ticks")
            continue
        share = f"{100 * one.covered:.1f} % [{100 * one.low:.1f}, {100 * one.high:.1f}]"
        say(f"  {name}: covered {share}, n = {one.n}; believed broken in {one.broken} ticks")
    say("what truly happened (scored in the simulator, which no module and no guardrail sees):")
    scored = [f"{card[k]} {words}" for k, words in TRULY if card and k in card]
    say(
        "  "
        + (", ".join(scored) + f", of {card.get('ticks')}" if scored and card else "not scored")
    )


def _card(folder: Path) -> dict[str, Any] | None:
    """Return the end card, None if the run did not get that far."""
    try:
        found = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _figures(told: Believed, chain: Chain) -> dict[str, Figure]:
    n, promised = len(chain.lines), chain.header.get("promised_coverage")
    repaired = sum(sum(kinds.values()) for kinds in told.repaired.values())
    figures = {
        "allowed": figure(told.allowed, n=n, unit="ticks"),
        "repaired": figure(repaired, n=n, unit="ticks"),
        "vetoed": figure(sum(told.vetoed.values()), n=n, unit="ticks"),
        "promised_coverage": figure(promised, unit="share"),
    }
    for name, one in told.guardrails.items():
        figures[f"coverage.{name}"] = figure(one.covered, one.low, one.high, one.n, "share")
        figures[f"believed_broken.{name}"] = figure(one.broken, n=one.n, unit="ticks")
    return figures
