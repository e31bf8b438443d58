"""`bench pareto`: what each planner reaches on a world, with its energy and milliseconds."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agent.cli.common import Figure, checkpoints, configure, figure, mind_of, say, write_figures
from agent.config.build import Blueprint, blueprint
from agent.config.resolve import parts, resolve
from agent.core.errors import InputError, nearest
from agent.evaluate.episodes import Outcome, latency, trials_of
from agent.evaluate.statistics import proportion
from agent.evaluate.workers import carry_out, jobs
from agent.record.files import write_whole
from agent.report.pareto import Point, draw

EPISODES, TIMED = 100, 2
WORK = {"samples": 300, "iterations": 10, "elites": 30}
"""The amount of search that others publish, for comparison; our defaults search less."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A planner to be tried: its name, and the config with it as the actor."""

    name: str
    found: Blueprint


def main(options: argparse.Namespace) -> int:
    """Live the same episodes with every planner, or those named; returns the exit code."""
    words = options.overrides
    options.overrides = [word for word in words if "=" in word]
    base = configure(options)
    asked = _named(entries(base), [word for word in words if "=" not in word])
    weights = checkpoints(options, base)[0]
    first = trials_of(base.singles["world"].kind).EVALUATION_SEEDS
    first = first if options.seed is None else options.seed
    seeds = list(range(first, first + (options.episodes or EPISODES)))
    figures: dict[str, Figure] = {}
    points = []
    for entry in asked:
        told, point = _measured(entry, weights, seeds)
        figures |= {f"{entry.name}.{k}": v for k, v in told.items()}
        points.append(point)
        say(f"  {entry.name:<24} {point.reached:.3f} of goals, {point.ms:.1f} ms a plan")
    write_figures(options, base, [base.config.seed], figures)
    if options.out:
        write_whole(options.out, draw(points))
    return 0


def entries(base: Blueprint) -> list[Entry]:
    """Return the config's own actor, in both modes, `cem` with much work, and all with defaults.

    A budget of the config holds for all; `eval.batch=1` then gives every agent all of it.
    """
    config = base.config
    kept = {k: v for k, v in config.actor.items() if k == "policy"}
    own = config.actor["use"]
    found = [Entry(f"{own} (the config's)", base), Entry("policy alone (Mode-1)", _reacting(base))]
    found.append(Entry("cem 300x10", _acting(base, {"use": "cem", **WORK, **kept})))
    for use in parts("actor"):
        kind = resolve("actor", use)
        if "policy" in kind.Config.model_fields:
            found.append(Entry(use, _acting(base, {"use": use, **kept})))
    return found


def _named(listed: list[Entry], names: list[str]) -> list[Entry]:
    """Return the entries with these names, all without any. Raises InputError if there is none."""
    known = {entry.name: entry for entry in listed}
    for name in names:
        if name not in known:
            raise InputError(
                f"bench pareto: unknown planner '{name}'; {nearest(name, list(known))}"
            )
    return [known[name] for name in names] or listed


def _acting(base: Blueprint, actor: dict[str, Any]) -> Blueprint:
    return blueprint(base.config.model_copy(update={"actor": actor}))


def _reacting(base: Blueprint) -> Blueprint:
    section = {**base.config.configurator, "mode": 1}
    return blueprint(base.config.model_copy(update={"configurator": section}))


def _measured(entry: Entry, weights: Path, seeds: list[int]) -> tuple[dict[str, Figure], Point]:
    """Return what a planner reached and what it took, over the same episodes for all."""
    whole: Outcome | None = None
    for _, part in carry_out(jobs(entry.found.config, weights, seeds, reference=False)):
        whole = part if whole is None else whole + part
    assert whole is not None
    mind, _ = mind_of(entry.found, weights)
    world = entry.found.world(1)
    try:
        _, plans, _ = latency(mind, world, seeds[:TIMED], entry.found.config.eval.ticks)
    finally:
        world.close()
    n, reached = len(seeds), proportion(int(whole.reached.sum()), len(seeds))
    broken = int(whole.contacts.sum() + whole.speeding.sum())
    ms = float(np.median(plans))
    told = {
        "success": figure(*reached, n=n, unit="share"),
        "plan_ms": figure(ms, n=len(plans), unit="ms"),
        "plan_ms_p95": figure(float(np.quantile(plans, 0.95)), n=len(plans), unit="ms"),
        "energy": figure(float(whole.terms.sum()), n=whole.ticks),
        "true_violations": figure(broken, n=whole.ticks, unit="ticks"),
        "vetoes": figure(int(whole.rulings[2]), n=whole.ticks, unit="ticks"),
    }
    return told, Point(entry.name, ms, *reached)
