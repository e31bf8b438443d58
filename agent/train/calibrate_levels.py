"""Margins for levels above: how far a plan followed to its end strays from what was foreseen.

Source: Lei et al. (2018), split conformal prediction; Lindemann et al. (2023), in planning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from agent.config.build import Mind
from agent.core.guardrails import realised
from agent.core.messages import Action, Directive
from agent.train.calibrate import Calibrate, conformal, witnessed, worst
from agent.train.explore import TRAINING_SEEDS, whole
from agent.train.progress import Figures
from agent.train.recall import remembered


@torch.no_grad()
def strayed(
    mind: Mind, world: Any, ask: Callable[[Tensor], Directive], goals: Tensor, seeds: range
) -> list[Tensor]:
    """Return, for every level above, by how much guardrails' values exceeded what it foresaw.

    From every start a hierarchy plans towards one of `goals`, and every level follows its plan to
    the end without planning anew; the body does what the lowest plans at every tick. What a level
    foresees of the end of each of its steps is held against what sensors showed then, [n R H], R
    being those guardrails that are ever realised; what happens meanwhile is for those below.
    """
    assert seeds.stop <= TRAINING_SEEDS, "training must not use evaluation seeds"
    rails, actor = [r for r in mind.rails if realised(r)], mind.actor
    generator = torch.Generator().manual_seed(seeds.start)
    ticks = max(tier.level.ticks * tier.level.horizon for tier in mind.tiers)
    found: list[list[Tensor]] = [[] for _ in mind.tiers]
    sensors, low = world.sensors, world.actuators.bounds()[0]
    for start in range(seeds.start, seeds.stop, world.batch):
        seen = whole(world.reset(range(start, start + world.batch)), sensors)
        aim = ask(goals[torch.randint(len(goals), (world.batch,), generator=generator)])
        actor.reset(world.batch)
        actor.commit(ticks)
        values, commands, above = [remembered(seen, mind.perception, sensors)], [], []
        for tick in range(ticks):
            latent = mind.perception.encode(seen)
            made = actor.plan(latent, aim)
            if not tick:
                above = _foreseen(mind, latent, made)
            safe = (made.violation <= 0) & torch.isfinite(made.energy)
            move = torch.where(safe[:, None], made.actions[:, 0], torch.zeros_like(low))
            seen = whole(world.step(Action(move)), sensors)
            values.append(remembered(seen, mind.perception, sensors))
            commands.append(move)
        shown = torch.stack(values, dim=1)
        came = worst(
            rails,
            witnessed(shown[:, 0], torch.stack(commands, 1), shown[:, 1:], sensors.scalars,
                      shown[:, 0], rails),
        )  # fmt: skip
        for index, tier in enumerate(mind.tiers):
            steps = came[:, :, tier.level.ticks - 1 :: tier.level.ticks][:, :, : tier.level.horizon]
            found[index].append(steps - above[index])
    actor.commit(0)
    return [torch.cat(parts) for parts in found]


def _foreseen(mind: Mind, latent: Tensor, made: Any) -> list[Tensor]:
    """Return what every level foresees of guardrails' values under its plan, [B R H]."""
    told, code, plan = [], latent, made
    wanted = [realised(r) for r in mind.rails]
    for tier in mind.tiers:
        code, plan = tier.level.abstract(code), plan.above
        rollout = tier.objective.imagine(code, plan.actions[:, None])
        told.append(tier.guardrails.values(rollout)[:, 0][:, wanted])
    return told


def calibrate_levels(
    config: Calibrate,
    world: Any,
    mind: Callable[[list[Tensor]], Mind],
    ask: Callable[[Mind], Callable[[Tensor], Directive]],
    goals: Tensor,
    seed: int,
) -> tuple[list[Tensor], Figures]:
    """Return margins [R H] for every level above, and the coverage of the last round's plans.

    `mind(margins)` is the agent planning under these; the larger of the last two rounds' quantiles
    is put into force, as for the lowest level.
    """
    margins: list[Tensor] = []
    last: list[Tensor] = []
    figures: Figures = {}
    for index in range(config.rounds):
        first = seed + index * config.episodes
        some = mind(margins)
        excess = strayed(some, world, ask(some), goals, range(first, first + config.episodes))
        if index == config.rounds - 1:
            for level, (part, margin) in enumerate(zip(excess, margins, strict=True)):
                covered = (part <= margin).float().mean(dim=0)
                figures[f"level{level + 2}.coverage"] = float(covered.min())
                figures[f"level{level + 2}.coverage_mean"] = float(covered.mean())
            break
        found = [conformal(part, config.rate).clamp(min=0.0) for part in excess]
        margins = [torch.maximum(a, b) for a, b in zip(found, last or found, strict=True)]
        last = found
    return margins, figures
