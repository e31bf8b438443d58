"""How far ahead a world model can be believed: errors by horizon, and intervals that hold.

Measured on plans that the planner chose itself and that were carried out to the end, since a
planner looks for a model's mistakes. Source: Lei et al. (2018), split conformal prediction, with
scores normalised by the ensemble's spread; Kuleshov et al. (2018), calibration of regression.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor

from agent.config.build import Mind
from agent.core.protocols import World
from agent.train.asking import directives, fresh_plans
from agent.train.calibrate import Calibrate, attempt
from agent.train.dataset import Dataset
from agent.train.progress import Figures
from agent.train.recall import recalling

CALIBRATION_SEEDS, TEST_SEEDS, GOAL_SEEDS = 600_000, 650_000, 690_000
GOALS = 512
LEVELS = tuple(i / 10 for i in range(1, 10))
PROMISED = 0.9


@dataclass(frozen=True, slots=True)
class Foresight:
    """What was foreseen in n carried-out plans of H ticks, and what the O sensors then showed.

    `mean` and `spread` [n H O] over the ensemble's members, in sensor units; `seen` [n H O].
    """

    mean: Tensor
    spread: Tensor
    seen: Tensor

    @property
    def error(self) -> Tensor:
        """What was seen minus what was foreseen, [n H O]."""
        return self.seen - self.mean


def foresee(mind: Mind, world: World, episodes: int, segments: int, seed: int) -> Foresight:
    """Plan towards random goals from `episodes` starts, `segments` times each, and carry it out.

    Goals are places where episodes may start. Seeds must stay below those of evaluation.
    """
    where = mind.site.sensors[mind.site.goal.names[0]]
    goals = torch.cat(
        [
            world.reset(range(first, first + world.batch)).values[:, where]
            for first in range(GOAL_SEEDS, GOAL_SEEDS + GOALS, world.batch)
        ]
    )
    trial = attempt(
        Calibrate(episodes=episodes, segments=segments),
        world, mind.perception, fresh_plans(mind), directives(mind), mind.objective.imagine,
        mind.rails, goals, seed,
    )  # fmt: skip
    return look_ahead(mind, trial.dataset, mind.configurator.config.horizon)


@torch.no_grad()
def look_ahead(mind: Mind, data: Dataset, horizon: int) -> Foresight:
    """Return foresight for every `horizon` ticks of recorded episodes, up to their ends."""
    layout, perception = mind.readouts.layout, recalling(mind.perception, mind.site.sensors)
    means, spreads, seen = [], [], []
    for first in range(0, data.ticks - horizon + 1, horizon):
        some = data.only(data.ends() > first)
        start = perception.encode(some.values[:, first])
        commands = some.commands[:, first : first + horizon]
        read = mind.objective.imagine(start, commands.unsqueeze(1)).quantities
        packed = torch.cat([read[name] for name in layout.names], dim=-1)[:, :, 0]
        means.append(packed.mean(dim=0))
        spreads.append(packed.std(dim=0))
        seen.append(some.values[:, first + 1 : first + 1 + horizon, : layout.size])
    return Foresight(torch.cat(means), torch.cat(spreads), torch.cat(seen))


def widths(known: Foresight, level: float) -> tuple[Tensor, Tensor]:
    """Return factor and floor [H O]: `factor * sqrt(spread^2 + floor^2)` covers at `level`.

    The floor is the rms error, the factor a conformal quantile of the normalised error.
    """
    floor = known.error.square().mean(dim=0).sqrt().clamp(min=1e-9)
    score = _score(known, floor)
    rank = min(math.ceil((len(score) + 1) * level), len(score))
    return score.sort(dim=0).values[rank - 1], floor


def covered(fresh: Foresight, factor: Tensor, floor: Tensor) -> Tensor:
    """Return the share of fresh sensor values inside their intervals, [H O]."""
    return (_score(fresh, floor) <= factor).float().mean(dim=0)


def _score(foresight: Foresight, floor: Tensor) -> Tensor:
    scale = (foresight.spread.square() + floor.square()).sqrt()
    return foresight.error.abs() / scale.clamp(min=1e-12)


def reliability(known: Foresight, fresh: Foresight) -> dict[str, Tensor]:
    """Return the achieved coverage at every one of `LEVELS`, [levels H O], both ways.

    `calibrated`: intervals made on `known`, tried on `fresh`. `spread`: the ensemble's spread
    taken at its word as a Gaussian's deviation.
    """
    trusting, nothing = torch.ones_like(fresh.mean[0]), torch.zeros_like(fresh.mean[0])
    normal = NormalDist()
    return {
        "calibrated": torch.stack([covered(fresh, *widths(known, p)) for p in LEVELS]),
        "spread": torch.stack(
            [covered(fresh, trusting * normal.inv_cdf(0.5 + p / 2), nothing) for p in LEVELS]
        ),
    }


def calibration_error(coverage: Tensor) -> Tensor:
    """Return the mean gap between level and coverage [levels H O], by tick ahead [H].

    Source: Kuleshov et al. (2018), eq. 9, with absolute gaps, equally weighted.
    """
    levels = torch.tensor(LEVELS)[:, None, None]
    return (coverage - levels).abs().mean(dim=(0, 2))


def compounding(error: Tensor) -> Tensor:
    """Return by which factor the rms error [H O] grows per tick ahead, a least-squares fit, [O]."""
    ticks = torch.arange(len(error), dtype=error.dtype)
    centred = ticks - ticks.mean()
    slope = (centred[:, None] * error.clamp(min=1e-12).log()).sum(dim=0) / centred.square().sum()
    return slope.exp()


def figures(mind: Mind, known: Foresight, fresh: Foresight) -> Figures:
    """Return rms errors, compounding rates, coverage and calibration error, by sensor."""
    found: Figures = {"plans": float(len(fresh.mean))}
    rms = fresh.error.square().mean(dim=0).sqrt()
    still = (fresh.seen - fresh.seen[:, :1]).square().mean(dim=0).sqrt()
    growth = compounding(rms)
    coverage = covered(fresh, *widths(known, PROMISED))
    for channel, where in mind.site.sensors.slices():
        by_tick = rms[:, where].square().mean(dim=1).sqrt()
        for ahead in sorted({1, len(by_tick) // 2, len(by_tick)}):
            found[f"rms.{channel.name}.{ahead}"] = float(by_tick[ahead - 1])
        change = float(still[-1, where].square().mean().sqrt())
        if change > 0:
            found[f"relative.{channel.name}"] = float(by_tick[-1]) / change
        found[f"compounding.{channel.name}"] = float(growth[where].mean())
        found[f"coverage_low.{channel.name}"] = float(coverage[:, where].min())
        found[f"coverage_high.{channel.name}"] = float(coverage[:, where].max())
    found["coverage_low"], found["coverage_high"] = float(coverage.min()), float(coverage.max())
    curves = reliability(known, fresh)
    for name, curve in curves.items():
        found[f"calibration_error.{name}"] = float(calibration_error(curve).mean())
    return found
