"""Margins for levels above: how far what came of a step strays from what its plan foresaw.

Source: Lei et al. (2018), split conformal prediction; Lindemann et al. (2023), in planning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from agent.config.build import Mind
from agent.core.errors import InputError
from agent.core.guardrails import realised
from agent.core.levels import plans
from agent.core.messages import Action, Directive, Plan
from agent.train.calibrate import Calibrate, conformal, witnessed, worst
from agent.train.explore import TRAINING_SEEDS, going, whole
from agent.train.progress import Figures
from agent.train.recall import remembered


@torch.no_grad()
def strayed(
    mind: Mind,
    world: Any,
    ask: Callable[[Tensor], Directive],
    goals: Tensor,
    seeds: range,
    steps: int,
) -> list[Tensor]:
    """Return, for every level above, by how much guardrails' values exceeded what it foresaw.

    From every start a hierarchy lives towards one of `goals` as it always does, for so many `steps`
    of its highest level: each level plans anew at its own rate, and the body rests where a plan of
    any level is not allowed. What a plan foresees of the end of each step that is followed is held
    against what sensors showed then, [n R 1], R being those guardrails that are ever realised; what
    happens meanwhile is for those below. Refused plans do not count,
    nor do steps whose last tick the episode did not live to.
    """
    assert seeds.stop <= TRAINING_SEEDS, "training must not use evaluation seeds"
    rails, actor, sensors = [r for r in mind.rails if realised(r)], mind.actor, world.sensors
    generator = torch.Generator().manual_seed(seeds.start)
    scales = [tier.level.ticks for tier in mind.tiers]
    found: list[list[Tensor]] = [[] for _ in mind.tiers]
    rest = torch.zeros_like(world.actuators.bounds()[0])
    for start in range(seeds.start, seeds.stop, world.batch):
        seen = whole(world.reset(range(start, start + world.batch)), sensors)
        aim = ask(goals[torch.randint(len(goals), (world.batch,), generator=generator)])
        actor.reset(world.batch)
        during: list[Tensor] = []
        for tick in range(steps * scales[-1]):
            before = remembered(seen, mind.perception, sensors)
            made = list(plans(actor.plan(mind.perception.encode(seen), aim)))
            good = torch.stack([(p.violation <= 0) & torch.isfinite(p.energy) for p in made])
            move = torch.where(good.all(dim=0)[:, None], made[0].actions[:, 0], rest)
            alive = going(world)
            seen = whole(world.step(Action(move)), sensors)
            during = [*during, remembered(seen, mind.perception, sensors)][-scales[-1] :]
            for index, ticks in enumerate(scales):
                if (tick + 1) % ticks == 0:
                    level = mind.tiers[index].level
                    told = level.told(torch.stack(during[-ticks:], dim=1))[:, -1:]
                    shown = witnessed(before, move[:, None], told, sensors.scalars, before, rails)
                    step = tick // ticks % level.follow
                    excess = worst(rails, shown) - _foreseen(mind, index, made[index + 1], step)
                    found[index].append(excess[good[index + 1] & alive])
    for index, parts in enumerate(found):
        if not any(map(len, parts)):
            raise InputError(
                f"train.levels.calibrate: level {index + 2}: expected plans that guardrails allow,"
                f" came none; train longer, or raise `rate`"
            )
    return [torch.cat(parts) for parts in found]


def _foreseen(mind: Mind, index: int, plan: Plan, step: int) -> Tensor:
    """Return guardrails' values at the end of one of a plan's steps, margins left out, [B R 1]."""
    guardrails = mind.tiers[index].guardrails
    margins = guardrails.margins(1)[:, 0]
    told = plan.guardrails[:, :, step] - margins
    return told[:, [realised(r) for r in mind.rails], None]


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
    is put into force, as for the lowest level. H is 1: steps of a plan that are not
    followed are steps of another one when the body gets there, and keep the same margin until then.
    """
    margins: list[Tensor] = []
    last: list[Tensor] = []
    figures: Figures = {}
    for index in range(config.rounds):
        first = seed + index * config.episodes
        some = mind(margins)
        seeds = range(first, first + config.episodes)
        excess = strayed(some, world, ask(some), goals, seeds, config.segments)
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
