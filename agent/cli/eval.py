"""`eval`: how good, how safe, how fast; each figure with n and a 95 % interval."""

from __future__ import annotations

import argparse
import functools
import operator
import time
from pathlib import Path
from typing import Any

import numpy as np

from agent.cli.common import Figure, checkpoints, configure, figure, say, write_figures
from agent.config.build import Blueprint
from agent.core.errors import InputError
from agent.evaluate.baselines import random_policy
from agent.evaluate.episodes import Outcome, latency, referable, trials_of
from agent.evaluate.statistics import mean, proportion, scored
from agent.evaluate.workers import carry_out, jobs
from agent.record import checkpoint

DEFAULT_EPISODES = 50
LATENCY_EPISODES = 3


def main(options: argparse.Namespace) -> int:
    """Evaluate every checkpoint on the world's fixed evaluation seeds; returns the exit code."""
    found = configure(options)
    count = DEFAULT_EPISODES if options.episodes is None else options.episodes
    if count < 1:
        raise InputError(f"eval --episodes: expected at least 1, came {count}")
    if (options.seed or 0) < 0:
        raise InputError(
            f"eval --seed: expected 0 or more, counted from the first evaluation seed, came"
            f" {options.seed}; raise it"
        )
    if not found.wants:
        raise InputError(
            f"eval: expected a config with a goal or terms, came {found.config.name}, which only"
            f" watches; use `python run_agent.py voe CONFIG`"
        )
    if found.config.eval.oracle_episodes:
        referable(found)
    paths = list(options.checkpoint or map(Path, found.config.eval.checkpoints)) or checkpoints(
        options, found
    )
    loaded = [(path, *checkpoint.load(path)) for path in paths]
    first = trials_of(found.singles["world"].kind).EVALUATION_SEEDS + (options.seed or 0)
    seeds = list(range(first, first + count))
    outcomes = _agents(found, paths, seeds)
    trained = [int(about["seed"]) for _, _, about in loaded]
    judged = any(o.judged for o in outcomes)
    for path, outcome in zip(paths, outcomes, strict=True):
        outcome.judged = judged
        say(f"  {path.name}: success {_text(_success(outcome))}")
    figures = _agent_figures(outcomes) | _energy_figures(found, loaded[0][1], outcomes)
    figures |= {f"success.seed{s}": _success(o) for s, o in zip(trained, outcomes, strict=True)}
    if len(outcomes) > 1:
        figures |= {
            f"{kind}.seed{s}": figure(*mean(values), n=count)
            for s, o in zip(trained, outcomes, strict=True)
            for kind, values in o.more.items()
        }
    figures |= _references(found, paths[0], seeds, judged)
    if (score := _score(figures, "return" if "return" in figures else "success")) is not None:
        figures["score"] = figure(score, n=count)
    figures |= _latency_figures(found, loaded[0][1], seeds)
    for name, f in figures.items():
        say(f"  {name:<26} {_text(f)}")
    write_figures(options, found, trained, figures)
    return 0


def _agents(found: Blueprint, paths: list[Path], seeds: list[int]) -> list[Outcome]:
    """Return one outcome per checkpoint, over all of `seeds`."""
    begin = time.monotonic()
    whole: dict[Path, Outcome] = {}
    for job, part in carry_out([j for p in paths for j in jobs(found.config, p, seeds, False)]):
        whole[job.weights] = whole[job.weights] + part if job.weights in whole else part
        lived, spent = len(whole[job.weights].reached), time.monotonic() - begin
        say(f"  {job.weights.name}: {lived}/{len(seeds)} episodes, {spent:.0f} s")
    return [whole[p] for p in paths]


def _agent_figures(outcomes: list[Outcome]) -> dict[str, Figure]:
    whole = outcomes[0]
    for other in outcomes[1:]:
        whole = whole + other
    quick = whole.reach_tick[whole.reached]
    return {
        "success": _success(whole),
        "true_violations": _violations(whole),
        "true_contacts": _violations(whole, "contacts"),
        "true_speeding": _violations(whole, "speeding"),
        "closest_m": figure(float(whole.closest_m.min()), n=len(whole.reached), unit="m"),
        "reach_ticks": figure(*mean(quick), n=len(quick), unit="ticks"),
        "vetoes": _count(int(whole.rulings[2]), whole.ticks),
        "repairs": _count(int(whole.rulings[1]), whole.ticks),
        "refused_shortcuts": _count(whole.refused, whole.ticks),
        "faults": _count(len(whole.faults), whole.ticks),
        **{k: figure(*mean(v), n=len(v)) for k, v in whole.more.items()},
    }


def _energy_figures(found: Blueprint, tensors: Any, outcomes: list[Outcome]) -> dict[str, Figure]:
    """Return the mean predicted energy per tick of the plans that were made, by term."""
    names = found.assemble(tensors).site.terms
    ticks = sum(o.ticks for o in outcomes)
    means = np.sum([o.terms * o.ticks for o in outcomes], axis=0) / ticks
    return {f"energy.{n}": figure(float(v), n=ticks) for n, v in zip(names, means, strict=True)}


def _score(figures: dict[str, Figure], kind: str) -> float | None:
    """Return where the agent stands by figures of that kind: 0 random, 100 the true simulator.

    None where one of the three was not measured, or the true simulator is no better than chance.
    """
    named = (kind, f"random_{kind}", f"oracle_{kind}")
    values = [figures[n]["value"] for n in named if n in figures]
    known = [v for v in values if isinstance(v, float)]
    if len(known) < len(named) or known[2] <= known[1]:
        return None
    return scored(*known)


def _references(
    found: Blueprint, weights: Path, seeds: list[int], judged: bool
) -> dict[str, Figure]:
    ticks, count = found.config.eval.ticks, found.config.eval.oracle_episodes
    world = found.world(len(seeds))
    try:
        chance = random_policy(world, seeds, ticks)
    finally:
        world.close()
    chance.judged |= judged
    figures = {
        "random_success": _success(chance),
        "random_violations": _violations(chance),
        "oracle_success": figure(None, n=0),
        **_paid("random", chance),
    }
    if count:
        parts = [o for _, o in carry_out(jobs(found.config, weights, seeds[:count], True))]
        best = functools.reduce(operator.add, parts)
        best.judged |= judged
        figures["oracle_success"] = _success(best)
        figures["oracle_violations"] = _violations(best)
        figures |= _paid("oracle", best)
    return figures


def _paid(who: str, outcome: Outcome) -> dict[str, Figure]:
    """Return the mean return of a reference, if its world pays."""
    found = outcome.more.get("return")
    return {} if found is None else {f"{who}_return": figure(*mean(found), n=len(found))}


def _latency_figures(found: Blueprint, tensors: Any, seeds: list[int]) -> dict[str, Figure]:
    world = found.world(1)
    try:
        mind = found.assemble(tensors)
        ticks, plans, missed = latency(
            mind, world, seeds[:LATENCY_EPISODES], found.config.eval.ticks
        )
    finally:
        world.close()
    n = len(ticks)
    return {
        "deadline_misses": _count(missed, n),
        "tick_ms_p50": figure(float(np.percentile(ticks, 50)), n=n, unit="ms"),
        "tick_ms_p99": figure(float(np.percentile(ticks, 99)), n=n, unit="ms"),
        "plan_ms_p50": figure(float(np.percentile(plans, 50)), n=n, unit="ms"),
    }


def _success(outcome: Outcome) -> Figure:
    """Return the share of episodes in which what was asked was done, if the world says that."""
    if not outcome.judged:
        return figure(None, n=0, unit="share")
    n = len(outcome.reached)
    return figure(*proportion(int(outcome.reached.sum()), n), n, "share")


def _count(events: int, ticks: int) -> Figure:
    _, low, high = proportion(min(events, ticks), ticks)  # a tick can be two events
    return figure(events, low * ticks, high * ticks, ticks, "ticks")


def _violations(outcome: Outcome, *kinds: str) -> Figure:
    """Return the ticks that broke a limit, of all kinds if none is named."""
    if not outcome.counted:
        return figure(None, n=0, unit="ticks")
    counts = [getattr(outcome, kind).sum() for kind in kinds or ("contacts", "speeding")]
    return _count(int(sum(counts)), outcome.ticks)


def _text(f: Figure) -> str:
    if f["value"] is None:
        return "not measured"
    bounds = "" if f["low"] is None else f"  [{f['low']:.4g}, {f['high']:.4g}]"
    return f"{f['value']:.4g}{bounds}  n = {f['n']} {f['unit']}"
