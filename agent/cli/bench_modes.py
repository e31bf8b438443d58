"""`bench modes`: reacting, deliberating, and a configurator that chooses between them."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.cli.common import Figure, checkpoints, configure, figure, say, write_figures
from agent.config.build import Blueprint, blueprint
from agent.core.errors import InputError
from agent.evaluate.episodes import trials_of
from agent.evaluate.modes import Spent, spend
from agent.evaluate.statistics import mean, proportion
from agent.record import checkpoint

EPISODES = 100
PRACTICE, BLOCK = 24, 6
"""Episodes of practice before those that count, and how many of them a point of the curve is."""
PRACTICE_SEEDS = 910_000
RESAMPLES = 2000


def main(options: argparse.Namespace) -> int:
    """Live the same episodes in every mode, and count; returns the exit code."""
    base = configure(options)
    if "spell" not in type(base.singles["configurator"].settings).model_fields:
        raise InputError(
            f"bench modes: expected a configurator that chooses modes, came"
            f" '{base.config.configurator['use']}'; use adaptive, as configs/lab/adaptive.yaml does"
        )
    first = trials_of(base.singles["world"].kind).EVALUATION_SEEDS
    first = first if options.seed is None else options.seed
    seeds, ticks = range(first, first + (options.episodes or EPISODES)), base.config.eval.ticks
    lived: dict[str, Spent] = {}
    practised: list[Spent] = []
    trained = []
    paths = list(options.checkpoint or map(Path, base.config.eval.checkpoints))
    for path in paths or checkpoints(options, base):
        tensors, about = checkpoint.load(path)
        trained.append(int(about["seed"]))
        for name, arm in arms(base).items():
            mind, told = arm.assemble(tensors), partial(_say, f"{path.name}, {name}")
            if name == "adaptive":
                practice = range(PRACTICE_SEEDS, PRACTICE_SEEDS + PRACTICE)
                practised.append(spend(mind, practice, ticks, partial(told, "practice")))
            one = spend(mind, seeds, ticks, told)
            lived[name] = lived[name] + one if name in lived else one
    written = figures(lived, practised)
    for name, shown in written.items():
        say(f"  {name:<36} {_text(shown)}")
    write_figures(options, base, trained, written)
    return 0


def arms(base: Blueprint) -> dict[str, Blueprint]:
    """Return the agents to compare, which differ in who decides on the mode.

    Where `adaptive` lets plans be carried on, so does one more that only ever reacts: `carry`.
    """
    chosen = base.config.configurator
    plain = {"use": "fixed", "horizon": base.singles["configurator"].settings.horizon}
    habit = {**base.config.actor, "use": "habit"}
    changes: dict[str, dict[str, Any]] = {
        "adaptive": {"configurator": chosen},
        "react": {"configurator": {**plain, "mode": 1}},
        "deliberate": {"configurator": {**plain, "mode": 2}},
        "habit": {"configurator": {**plain, "mode": 2}, "actor": habit},
    }
    if getattr(base.singles["configurator"].settings, "carry", 0):
        changes["carry"] = {"configurator": {**chosen, "mode": 1}}
    return {n: blueprint(base.config.model_copy(update=some)) for n, some in changes.items()}


def figures(lived: dict[str, Spent], practised: list[Spent]) -> dict[str, Figure]:
    """Return the figures of every mode, what adaptive takes of the others', and its curve.

    `per_cpu_s` are goals reached per second of processor time of whole ticks.
    """
    found: dict[str, Figure] = {}
    for name, one in lived.items():
        n = len(one.reached)
        found[f"success.{name}"] = figure(*proportion(int(one.reached.sum()), n), n, "share")
        found[f"thought.{name}"] = _ratio(one.thought, one.ticks, "share")
        found[f"carried.{name}"] = _ratio(one.carried, one.ticks, "share")
        found[f"evaluations.{name}"] = figure(*mean(one.evaluations), n, "plans")
        found[f"plan_cpu_ms.{name}"] = figure(*mean(1e3 * one.plan_s), n, "ms")
        found[f"tick_cpu_ms.{name}"] = _ratio(1e3 * one.tick_s, one.ticks, "ms")
        found[f"per_cpu_s.{name}"] = _ratio(one.reached, one.tick_s, "1/s")
        found[f"per_plan_cpu_s.{name}"] = _ratio(one.reached, one.plan_s, "1/s")
    ours, theirs = lived["adaptive"], lived["deliberate"]
    for kind in ("evaluations", "plan_s"):
        name = f"{kind}.adaptive/deliberate"
        found[name] = _ratio(getattr(ours, kind), getattr(theirs, kind), "share")
    for name, one in lived.items():
        if name != "adaptive":
            more = ours.reached.astype(float) - one.reached
            found[f"success.adaptive-{name}"] = figure(*mean(more), len(more), "share")
            mine, yours = (_quotient(s.reached, s.tick_s) for s in (ours, one))
            faster = np.divide(mine, yours, out=np.full_like(mine, np.nan), where=yours > 0)
            low, high = np.quantile(faster[1:], [0.025, 0.975])
            found[f"per_cpu_s.adaptive/{name}"] = figure(faster[0], low, high, len(more))
    for start in range(0, PRACTICE, BLOCK):
        block = [one[slice(start, start + BLOCK)] for one in practised]
        thought = np.concatenate([b.thought / b.ticks for b in block])
        tag = f"practice.{start + 1}-{start + BLOCK}"
        found[f"{tag}.thought"] = figure(*mean(thought), len(thought), "share")
    return found


def _quotient(above: NDArray[Any], below: NDArray[Any]) -> NDArray[np.float64]:
    """Return the quotient of sums over episodes, then of bootstrap resamples of the episodes.

    Samples of the same number of episodes are the same, so that quotients can be compared.
    """
    rng, n = np.random.default_rng(0), len(above)
    picks = np.vstack([np.arange(n), rng.integers(n, size=(RESAMPLES, n))])
    found: NDArray[np.float64] = above[picks].sum(axis=1) / below[picks].sum(axis=1).clip(1e-12)
    return found


def _ratio(above: NDArray[Any], below: NDArray[Any], unit: str) -> Figure:
    found = _quotient(above, below)
    low, high = np.quantile(found[1:], [0.025, 0.975])
    return figure(float(found[0]), float(low), float(high), len(above), unit)


def _say(name: str, *texts: str) -> None:
    say(f"  {name}: {': '.join(texts)}")


def _text(one: Figure) -> str:
    if one["value"] is None:
        return "not measured"
    bounds = "" if one["low"] is None else f"   [{one['low']:.4g}, {one['high']:.4g}]"
    return f"{one['value']:.4g}{bounds}"
