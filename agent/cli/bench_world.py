"""`bench world`: steps a second of every world, beside raw MuJoCo and others' ways, in one run.

`bench world reach stand` measures only those named; `gym:Ant-v5` is any body of Gymnasium's.
"""

from __future__ import annotations

import argparse
import importlib.resources
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.cli.common import Figure, figure, say, write_figures
from agent.config.choose import choose
from agent.config.resolve import parts
from agent.core.errors import InputError, MissingExtra, nearest
from agent.evaluate.statistics import median
from worlds.pace import Contestant, Pace, closed_loop, commands, contestants
from worlds.vectors import body

BATCH, ROUNDS = 256, 9
MOST_TICKS, BLOCK_S = 200, 0.1
"""A block is as many ticks as take about so long, 2 at least and at most that many."""
BODIES = {"walker2d": "walker2d_v5.xml", "humanoid": "humanoid.xml"}
"""Heavier bodies than ours, of Gymnasium, as anybody's MJCF file."""
GYM = "gym:"
ENVIRONMENTS = ("InvertedPendulum-v5", "Reacher-v5", "Hopper-v5", "HalfCheetah-v5", "Humanoid-v5")
"""Bodies of Gymnasium's own environments, at their own few physics steps a tick."""
UPRIGHT = 10
"""A block in these is at most so long: later most have fallen, and would begin anew elsewhere."""


def main(options: argparse.Namespace) -> int:
    """Measure every world in turns with its contestants; returns the exit code."""
    torch.set_num_threads(1)
    known = worlds()
    for name in options.overrides:
        if name not in known and not name.startswith(GYM):
            raise InputError(f"bench world: unknown world '{name}'; {nearest(name, known)}")
        if name.startswith(GYM):
            body(name.removeprefix(GYM))  # refused now rather than after the others
    figures: dict[str, Figure] = {}
    for name in options.overrides or known:
        found = _measured(name, known.get(name, {}), options.episodes or ROUNDS)
        figures |= {f"{kind}.{name}{rest}": f for (kind, rest), f in found.items()}
        ours, ratio = figures[f"steps_per_s.{name}"], figures[f"rollout_ratio.{name}"]
        say(
            f"  {name:<22} {ours['value']:>10.0f} steps/s, {ratio['value']:.2f} of MuJoCo's rollout"
        )
        for (kind, rest), f in found.items():
            if kind != "steps_per_s" or rest:
                say(f"    {kind + rest:<28} {f['value']:.4g}  [{f['low']:.4g}, {f['high']:.4g}]")
    write_figures(options, None, [options.seed or 0], figures)
    return 0


def worlds() -> dict[str, dict[str, Any]]:
    """Return what there is to measure, as a config would say it.

    All our worlds but those with a camera, which are as fast as it draws, two heavier bodies, and
    Gymnasium's own environments by their id.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, part in parts("world").items():
        if ".adapters." in part.target or part.target.split(".")[0] != "worlds":
            continue
        kind = choose("world", "world", {"use": name}).kind
        if kind.sensors.size == kind.sensors.scalars.size:
            found[name] = {"use": name}
    assets = importlib.resources.files("gymnasium") / "envs" / "mujoco" / "assets"
    found |= {n: {"use": f"mjcf:{assets / file}"} for n, file in BODIES.items()}
    return found | {GYM + id_: {} for id_ in ENVIRONMENTS}


def _measured(name: str, part: dict[str, Any], rounds: int) -> dict[tuple[str, str], Figure]:
    """Return figures by name, before and after the world's own, of one world."""
    id_ = name.removeprefix(GYM) if name.startswith(GYM) else None
    most = MOST_TICKS if id_ is None else min(MOST_TICKS, UPRIGHT)
    world = choose("world", "world", part if id_ is None else body(id_)).embodied().build(BATCH)
    try:
        told = commands(world, MOST_TICKS)
        ours = closed_loop(world, told)
        ticks = _block(ours, most)
        figures: dict[tuple[str, str], Figure] = {}
        for group in contestants(id_):
            rate = _rates(name, world, told, {"ours": ours}, group, ticks, rounds)
            figures = _figures(rate) | figures
    finally:
        world.close()
    return figures


def _rates(
    name: str,
    world: Any,
    told: NDArray[np.float32],
    runners: dict[str, Pace],
    group: dict[str, Contestant],
    ticks: int,
    rounds: int,
) -> dict[str, np.ndarray]:
    """Return steps a second [rounds] of `runners` and of all in the group that are installed."""
    try:
        for rival, make in group.items():
            try:
                runners[rival] = make(world, told)
            except MissingExtra as fault:
                say(f"  {name}: without {rival}: {fault}")
        spent = take_turns(runners, ticks, rounds)
    finally:
        for pace in runners.values():
            getattr(pace, "close", _nothing)()
    return {rival: BATCH * ticks / seconds for rival, seconds in spent.items()}


def _figures(rate: dict[str, np.ndarray]) -> dict[tuple[str, str], Figure]:
    """Return figures by name, before and after the world's own, of steps a second by runner."""
    rounds = len(rate["ours"])
    figures = {("steps_per_s", ""): figure(*median(rate["ours"]), rounds, "1/s")}
    for name in rate:
        if name != "ours":
            figures["steps_per_s", f".{name}"] = figure(*median(rate[name]), rounds, "1/s")
            figures[f"{name}_ratio", ""] = figure(*median(rate["ours"] / rate[name]), rounds)
    return figures


def _nothing() -> None:
    """Close what needs no closing."""


def _block(pace: Pace, most: int) -> int:
    """Return how many ticks make a block; the first call warms up."""
    pace(1)
    return int(np.clip(BLOCK_S / (pace(2) / 2), 2, most))


def take_turns(runners: dict[str, Pace], ticks: int, rounds: int) -> dict[str, np.ndarray]:
    """Return seconds a block [rounds] by name; everyone runs once in every round."""
    spent: dict[str, list[float]] = {name: [] for name in runners}
    for index in range(rounds + 1):
        for name, pace in runners.items():
            seconds = pace(ticks)
            if index:  # the first round warms up
                spent[name].append(seconds)
    return {name: np.array(seconds) for name, seconds in spent.items()}
