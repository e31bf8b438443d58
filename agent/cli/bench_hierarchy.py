"""`bench hierarchy`: planning on levels beside planning flat, with the same weights, far away."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from agent.cli.common import Figure, checkpoints, configure, figure, say, write_figures
from agent.config import schema
from agent.config.build import Blueprint, blueprint
from agent.core.errors import InputError
from agent.evaluate.episodes import Outcome, episodes, oracle, trials_of
from agent.evaluate.modes import Spent, spend
from agent.evaluate.statistics import mean, proportion
from agent.record import checkpoint

EPISODES, TIMED = 100, 4
"""Episodes of each agent, and those of them that it lives alone, for the time that plans take."""
RESAMPLES = 2000
LOWEST = "actor.planners.0."
"""What a hierarchy's tensors that a flat actor has, too, begin with."""


def main(options: argparse.Namespace) -> int:
    """Live the same episodes on levels and flat, and count; returns the exit code."""
    if not options.overrides or "=" in options.overrides[0]:
        raise InputError(
            "bench hierarchy: expected a second config, that of a flat planner for the same body,"
            " came none; such as configs/rooms.yaml"
        )
    other = Path(options.overrides.pop(0))
    ours = configure(options)
    if not getattr(ours.singles["actor"].kind, "climbs", False):
        raise InputError(
            f"bench hierarchy: expected an actor that plans on levels, came"
            f" '{ours.config.actor['use']}'; use hierarchical"
        )
    arms = {"hierarchical": ours, "flat": blueprint(schema.load(other, []))}
    first = trials_of(ours.singles["world"].kind).EVALUATION_SEEDS
    first = first if options.seed is None else options.seed
    seeds = list(range(first, first + (options.episodes or EPISODES)))
    lived: dict[str, list[Outcome]] = {}
    timed: dict[str, list[Spent]] = {name: [] for name in arms}
    trained, paths = [], list(map(Path, ours.config.eval.checkpoints))
    for path in options.checkpoint or paths or checkpoints(options, ours):
        tensors, about = checkpoint.load(path)
        trained.append(int(about["seed"]))
        weights = {name: fitting(arm, tensors) for name, arm in arms.items()}
        for name, outcome in _lives(ours, arms, weights, seeds).items():
            lived.setdefault(name, []).append(outcome)
            say(f"  {path.name}, {name}: {outcome.reached.mean():.1%} of goals reached")
        for seed in seeds[:TIMED]:
            for name, arm in arms.items():
                mind = arm.assemble(weights[name])
                timed[name].append(spend(mind, [seed], ours.config.eval.ticks))
    written = figures({n: sum(o[1:], o[0]) for n, o in lived.items()}, timed)
    for name, shown in written.items():
        say(f"  {name:<40} {shown['value']:.4g}   [{shown['low']:.4g}, {shown['high']:.4g}]")
    write_figures(options, ours, trained, written)
    return 0


def fitting(arm: Blueprint, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return those of a hierarchy's tensors that an agent has; a flat one plans as the lowest."""
    known = {k.replace(LOWEST, "actor."): v for k, v in tensors.items()} | tensors
    return {name: known[name] for name in arm.assemble().tensors()}


def _lives(
    ours: Blueprint, arms: dict[str, Blueprint], weights: dict[str, Any], seeds: list[int]
) -> dict[str, Outcome]:
    """Return what happened by agent, some of the episodes with the true simulator at the lowest."""
    found, settings = {}, ours.config.eval
    for name, arm in arms.items():
        parts = []
        for start in range(0, len(seeds), settings.batch):
            some = seeds[start : start + settings.batch]
            world = arm.world(len(some))
            try:
                parts.append(episodes(arm.assemble(weights[name]), world, some, settings.ticks))
            finally:
                world.close()
        found[name] = sum(parts[1:], parts[0])
        few = seeds[: settings.oracle_episodes]
        if few:
            found[f"{name}.oracle"] = oracle(arm, weights[name], few, settings.ticks)
    return found


def figures(lived: dict[str, Outcome], timed: dict[str, list[Spent]]) -> dict[str, Figure]:
    """Return the figures of both agents, how far they are apart, and their planning's time.

    `.oracle` are agents whose lowest level imagines with the true simulator; levels above are
    theirs. `plan_cpu_ms` is the actor's processor time a tick, its levels together.
    """
    found: dict[str, Figure] = {}
    for name, one in lived.items():
        n = len(one.reached)
        found[f"success.{name}"] = figure(*proportion(int(one.reached.sum()), n), n, "share")
        for kind in ("contacts", "speeding"):
            found[f"{kind}.{name}"] = _count(int(getattr(one, kind).sum()), one.ticks)
        found[f"vetoes.{name}"] = _count(int(one.rulings[2]), one.ticks)
        found[f"way_left_m.{name}"] = figure(*mean(one.more["way_left_m"]), n, "m")
    ours, theirs = lived["hierarchical"].reached, lived["flat"].reached
    more = mean(ours.astype(float) - theirs)
    found["success.hierarchical-flat"] = figure(*more, len(ours), "share")
    spent = {name: _tick_ms(parts) for name, parts in timed.items()}
    for name, ms in spent.items():
        found[f"plan_cpu_ms.{name}"] = _quotient(ms, np.ones_like(ms), "ms")
    found["plan_cpu.hierarchical/flat"] = _quotient(spent["hierarchical"], spent["flat"], "share")
    return found


def _tick_ms(parts: list[Spent]) -> Any:
    """Return the milliseconds a tick that planning took in each episode."""
    whole = sum(parts[1:], parts[0])
    return 1e3 * whole.plan_s / whole.ticks


def _quotient(above: Any, below: Any, unit: str) -> Figure:
    """Return the quotient of means over episodes, with its bootstrap interval."""
    rng, n = np.random.default_rng(0), len(above)
    picks = np.vstack([np.arange(n), rng.integers(n, size=(RESAMPLES, n))])
    found = above[picks].sum(axis=1) / below[picks].sum(axis=1)
    low, high = np.quantile(found[1:], [0.025, 0.975])
    return figure(float(found[0]), float(low), float(high), n, unit)


def _count(events: int, ticks: int) -> Figure:
    _, low, high = proportion(min(events, ticks), ticks)
    return figure(events, low * ticks, high * ticks, ticks, "ticks")
