"""`run`: live episodes with shipped weights, watched, recorded and reported."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.console import Console

from agent.cli.common import (
    Figure,
    checkpoints,
    configure,
    figure,
    machine,
    mind_of,
    say,
    versions,
    write_figures,
)
from agent.cli.pages import make_report
from agent.cli.preflight import describe, preflight
from agent.cli.unreached import Pursuit
from agent.config import schema
from agent.config.build import Blueprint, Mind
from agent.core.errors import InputError, SafetyError
from agent.core.guardrails import realised
from agent.core.loop import Tick
from agent.core.messages import Verdict
from agent.evaluate.baselines import random_policy
from agent.evaluate.believed import believed
from agent.evaluate.episodes import Outcome, episodes, oracle, referable, tasks_of
from agent.evaluate.statistics import proportion
from agent.record import checkpoint
from agent.record.audit import believing, remembers
from agent.record.chain import follow
from agent.record.files import write_whole
from agent.record.log import Recorder
from agent.report.panel import Panel, end_card
from agent.train.course import course_of
from agent.train.sleep import Night, sleep


def main(options: argparse.Namespace) -> int:
    """Live the config's episodes; returns the exit code."""
    found = configure(options)
    if found.config.run.reference and found.wants:
        referable(found)
    if found.config.sleep is not None:
        found.in_one_process("sleep", "leave `sleep` out")
    path = checkpoints(options, found)[0]
    mind, about = mind_of(found, path)
    seeds = found.config.run.seeds
    if options.seed is not None:
        seeds = [options.seed + i for i in range(options.episodes or len(seeds))]
    world = found.world(1)
    try:
        agent = mind.agent(world)
        tasks_of(world, seeds[:1], found.config.run.goal)
        preflight(mind, agent, about)
        folder = _folder(options, found)
        header = _header(found, mind, about, seeds)
        write_whole(folder / "resolved.yaml", header["config"])
        outcome, timing = _live(found, mind, world, seeds, folder, header)
        baselines = _baselines(found, checkpoint.load(path)[0], seeds)
        card = _card(outcome, timing, baselines, mind, seeds, folder)
        write_whole(folder / "card.json", json.dumps(card, indent=1))
        note = make_report(folder, mind, world)
        card["paths"] |= note
        write_whole(folder / "card.json", json.dumps(card, indent=1))
    finally:
        world.close()
    Console().print(end_card(card))
    for night, lines in enumerate(card["nights"], start=1):
        say("\n".join(f"night {night}: {line}" for line in lines))
    write_figures(options, found, seeds, _figures(card))
    sealed = mind.guardrails.verify() and mind.guardrails.seal == header["seal"]
    if not (sealed and mind.origin.intact()):
        raise SafetyError(
            f"run: the guardrails' seal broke while running; every later tick was vetoed;"
            f" see {folder}/report.html"
        )
    return 0


def _folder(options: argparse.Namespace, found: Blueprint) -> Path:
    """Return a new folder for the run. Raises InputError if it cannot be made."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = options.out or Path("runs") / f"{stamp}-{found.config.name}"
    try:
        folder.mkdir(parents=True, exist_ok=options.out is not None)
    except FileExistsError:
        folder = folder.with_name(f"{folder.name}-{time.monotonic_ns() % 1000:03d}")
        folder.mkdir(parents=True)
    except OSError as fault:
        raise InputError(
            f"run: expected to make {folder}, came '{fault.strerror}'; choose another with --out"
        ) from None
    return Path(folder)


def _header(
    found: Blueprint, mind: Mind, about: dict[str, Any], seeds: list[int]
) -> dict[str, Any]:
    resolved, site = found.resolved(), mind.site
    margins = mind.guardrails.margins(mind.configurator.config.horizon)
    layouts = {"sensors": site.sensors, "actuators": site.actuators, "goal": site.goal}
    return {
        "config": yaml.safe_dump(resolved, sort_keys=False),
        "config_hash": schema.config_hash(resolved),
        "command": "python run_agent.py " + " ".join(sys.argv[1:]),
        "seal": mind.guardrails.seal,
        "seeds": seeds,
        "goal": found.config.goal,
        "layouts": {k: [[c.name, c.size, c.unit] for c in v.channels] for k, v in layouts.items()},
        "terms": list(site.terms),
        "subgoals": [g for t in mind.terms for g in getattr(t, "subgoals", ())],
        "guardrails": [
            {
                "name": r.name,
                "limit": describe(r),
                "unit": getattr(r, "unit", ""),
                "margins": margins[i].tolist(),
                "realised": realised(r) and not remembers(r),
            }
            for i, r in enumerate(mind.rails)
        ],
        "rate_hz": site.rate_hz,
        "machine": machine(),
        "versions": versions(),
        "checkpoint": about["sha256"],
        "promised_coverage": 1.0 - course_of(found).calibrate.rate,
    }


def _live(
    found: Blueprint,
    mind: Mind,
    world: Any,
    seeds: list[int],
    folder: Path,
    header: dict[str, Any],
) -> tuple[Outcome, dict[str, Any]]:
    """Live the episodes one after the other, deadline on, recording every tick."""
    whole: Outcome | None = None
    ticks_ms: list[float] = []
    late = 0
    unreached: list[dict[str, Any]] = []
    nights: list[Night] = []
    believe = believing(mind.guardrails)
    with Recorder(folder, header, believe) as recorder, Panel(header) as panel:
        for episode, seed in enumerate(seeds):
            pursuit = Pursuit(mind)

            def watch(tick: Tick, episode: int = episode, pursuit: Pursuit = pursuit) -> None:
                nonlocal late
                pursuit.watch(tick)
                recorder.write(episode, tick, _pose(world))
                panel.update(episode, tick)
                ticks_ms.append(sum(tick.elapsed_ms.values()))
                late += any(r.startswith("late") for r in _reasons(tick))
                for fault in tick.faults:
                    recorder.event(f"episode {episode}, tick {tick.index}: {fault}")

            asked = found.config.run
            part = episodes(mind, world, [seed], asked.ticks, watch, deadline=True, goal=asked.goal)
            if mind.site.goal.size and not part.reached.any():
                unreached.append(pursuit.explain(seed))
            whole = part if whole is None else whole + part
            rest, lived = found.config.sleep, episode + 1
            if rest is not None and lived < len(seeds) and lived % rest.every == 0:
                nights.append(sleep(mind, rest, lived))
                for line in nights[-1].lines():
                    recorder.event(f"after episode {episode}: {line}")
    assert whole is not None
    timing = {
        "unreached": unreached,
        "deadline_misses": late,
        "tick_ms_p50": float(np.percentile(ticks_ms, 50)),
        "tick_ms_p99": float(np.percentile(ticks_ms, 99)),
        "audit": recorder.audited,
        "nights": [night.lines() for night in nights],
    }
    return whole, timing


def _pose(world: Any) -> Any:
    """Return the pose of the only copy; None if the world is another simulator's."""
    return world.simulation.qpos[0].copy() if hasattr(world, "simulation") else None


def _reasons(tick: Tick) -> tuple[str, ...]:
    reasons: tuple[str, ...] = tick.messages[Verdict].reasons
    return reasons


def _baselines(found: Blueprint, tensors: Any, seeds: list[int]) -> dict[str, Any]:
    """Return the same episodes under the random policy and the true-simulator planner."""
    if not found.config.run.reference or not found.wants:
        return {}
    say("the same episodes under a random policy and under the true-simulator planner ...")
    ticks, goal = found.config.run.ticks, found.config.run.goal
    world = found.world(len(seeds))
    try:
        chance = random_policy(world, seeds, ticks, goal)
    finally:
        world.close()
    best = oracle(found, tensors, seeds, ticks, goal)
    return {"random": _summary(chance), "oracle": _summary(best)}


def _summary(outcome: Outcome) -> dict[str, Any]:
    done = outcome.reached if outcome.judged else outcome.more["survived"]
    value, low, high = proportion(int(done.sum()), len(done))
    return {
        "value": value,
        "low": low,
        "high": high,
        "n": len(outcome.reached),
        "contacts": int(outcome.contacts.sum()),
        "speeding": int(outcome.speeding.sum()),
    }


def _card(
    outcome: Outcome,
    timing: dict[str, Any],
    baselines: dict[str, Any],
    mind: Mind,
    seeds: list[int],
    folder: Path,
) -> dict[str, Any]:
    summary, wants = _summary(outcome), mind.blueprint.wants
    allowed, repaired, vetoed = (int(v) for v in outcome.rulings)
    return {
        "success": {k: summary[k] for k in ("value", "low", "high", "n")} if wants else None,
        "asked": mind.site.goal.size > 0,
        "judged": outcome.judged,
        "energy": dict(zip(mind.site.terms, outcome.terms.tolist(), strict=True)),
        "verdicts": {"allowed": allowed, "repaired": repaired, "vetoed": vetoed},
        "refused_shortcuts": outcome.refused,
        "coverage": _coverage(mind),
        "contacts": summary["contacts"],
        "speeding": summary["speeding"],
        "ticks": outcome.ticks,
        "baselines": baselines,
        "seeds": seeds,
        "paths": {"folder": str(folder)},
        **timing,
        "believed": _believed(folder),
    }


def _believed(folder: Path) -> dict[str, Any]:
    """Return what the guardrails believed of the run, from its audit log."""
    chain = follow(folder)
    told = believed(chain.header, chain.lines)
    return {
        "promised": chain.header.get("promised_coverage"),
        "guardrails": {n: asdict(b) for n, b in told.guardrails.items() if b.n},
    }


def _coverage(mind: Mind) -> dict[str, Any]:
    """Return promised and achieved coverage, where margins adapt."""
    adaptive = mind.adaptive
    if adaptive is None:
        return {}
    found = {"promised": 1.0 - adaptive.alpha, "n": adaptive.forecasts}
    return found | {"by_guardrail": adaptive.coverage()}


def _figures(card: dict[str, Any]) -> dict[str, Figure]:
    ok, figures = card["success"], dict[str, Figure]()
    if ok is not None:
        figures["success"] = figure(ok["value"], ok["low"], ok["high"], ok["n"], "share")
    for name, base in card["baselines"].items():
        figures[f"{name}_success"] = figure(base["value"], base["low"], base["high"], base["n"])
    broken = card["contacts"] + card["speeding"]
    figures["true_violations"] = figure(broken, n=card["ticks"], unit="ticks")
    figures["vetoes"] = figure(card["verdicts"]["vetoed"], n=card["ticks"], unit="ticks")
    for name, seen in card["coverage"].get("by_guardrail", {}).items():
        figures[f"coverage.{name}"] = figure(seen["achieved"], n=card["coverage"]["n"])
        figures[f"coverage_sealed.{name}"] = figure(seen["sealed"], n=card["coverage"]["n"])
    if card["coverage"]:
        figures["promised_coverage"] = figure(card["coverage"]["promised"])
    for name in ("deadline_misses", "tick_ms_p50", "tick_ms_p99"):
        figures[name] = figure(card[name], n=card["ticks"])
    return figures
