"""`bench anytime`: what a tick takes with the deadline on, quiet and beside a busy process."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agent.cli.common import (
    Figure,
    checkpoints,
    configure,
    figure,
    mind_of,
    neighbour,
    say,
    write_figures,
)
from agent.config.build import Blueprint, Mind
from agent.core.errors import InputError
from agent.core.loop import Tick
from agent.core.messages import Plan, Ruling, Verdict
from agent.evaluate.episodes import episodes, trials_of
from agent.evaluate.statistics import proportion

EPISODES = 100
SLACK_MS = 2.0
"""What a tick may take beyond the budget of its plan: the other modules and the gate."""


@dataclass(slots=True)
class Watch:
    """What ticks took, and what became of plans that were cut short or came too late."""

    whole_ms: list[float] = field(default_factory=list)
    plan_ms: list[float] = field(default_factory=list)
    cut: int = 0
    late: int = 0
    late_sent: int = 0

    def __call__(self, tick: Tick) -> None:
        """Take note of a tick."""
        plan, verdict = tick.messages[Plan], tick.messages[Verdict]
        self.whole_ms.append(sum(tick.elapsed_ms.values()))
        self.plan_ms.append(tick.elapsed_ms["actor"])
        self.cut += not plan.complete
        late = any(reason.startswith("late") for reason in verdict.reasons)
        self.late += late
        self.late_sent += late and bool((verdict.ruling != Ruling.VETOED).any())


def main(options: argparse.Namespace) -> int:
    """Live episodes one by one in real time, twice; returns the exit code."""
    found = configure(options)
    budget = float(found.singles["configurator"].settings.budget_ms)
    if budget <= 0:
        raise InputError(
            "bench anytime: expected a budget, came configurator.budget_ms=0, which means none;"
            " add configurator.budget_ms=20"
        )
    mind, _ = mind_of(found, checkpoints(options, found)[0])
    first = trials_of(found.singles["world"].kind).EVALUATION_SEEDS
    seeds = range(first, first + (options.episodes or EPISODES))
    figures: dict[str, Figure] = {}
    for name in ("quiet", "busy"):
        with neighbour(name == "busy"):
            watch, reached = _lived(found, mind, seeds)
        figures |= {f"{name}.{k}": v for k, v in _figures(watch, budget).items()}
        figures[f"{name}.success"] = figure(
            *proportion(reached, len(seeds)), n=len(seeds), unit="share"
        )
    for name, measured in figures.items():
        say(f"  {name:<28} {measured['value']:.4g} {measured['unit']}")
    write_figures(options, found, [found.config.seed], figures)
    return 0


def _lived(found: Blueprint, mind: Mind, seeds: Any) -> tuple[Watch, int]:
    """Return what was seen of episodes from `seeds`, lived one by one, and how many got there."""
    watch, reached = Watch(), 0
    world = found.world(1)
    try:
        for seed in seeds:
            outcome = episodes(mind, world, [seed], found.config.eval.ticks, watch, deadline=True)
            reached += int(outcome.reached.sum())
    finally:
        world.close()
    return watch, reached


def _figures(watch: Watch, budget_ms: float) -> dict[str, Figure]:
    """Return percentiles and counts; the first three ticks, when caches are cold, are left out."""
    whole, plans = np.array(watch.whole_ms[3:]), np.array(watch.plan_ms[3:])
    n = len(whole)
    over = int((whole > budget_ms + SLACK_MS).sum())
    return {
        "tick_ms_p50": figure(float(np.percentile(whole, 50)), n=n, unit="ms"),
        "tick_ms_p99": figure(float(np.percentile(whole, 99)), n=n, unit="ms"),
        "tick_ms_max": figure(float(whole.max()), n=n, unit="ms"),
        "plan_ms_p50": figure(float(np.percentile(plans, 50)), n=n, unit="ms"),
        "plan_ms_p99": figure(float(np.percentile(plans, 99)), n=n, unit="ms"),
        "over_budget": figure(*proportion(over, n), n=n, unit="share"),
        "cut_short": figure(*proportion(watch.cut, n + 3), n=n + 3, unit="share"),
        "late": figure(watch.late, n=n + 3, unit="ticks"),
        "late_sent": figure(watch.late_sent, n=n + 3, unit="ticks"),
    }
