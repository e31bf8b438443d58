"""Margins that make "predicted safe" err at most at a stated rate, on the planner's own plans.

A planner searches for the model's mistakes, so margins must be measured on what it chose itself.
Source: Lei et al. (2018), split conformal prediction; Lindemann et al. (2023), in planning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Action, Directive, Plan, Rollout
from agent.core.protocols import Guardrail, Perception, World
from agent.core.settings import Settings
from agent.core.spec import Layout
from agent.train.dataset import Dataset
from agent.train.explore import TRAINING_SEEDS
from agent.train.progress import Figures, Ledger


class Calibrate(Settings):
    """`rounds` of episodes of `segments` plans each; `rate` is the promised share of errors.

    The last round changes nothing: it measures the coverage that the margins achieve.
    """

    rounds: int = Field(default=4, ge=2)
    episodes: int = Field(default=128, ge=1)
    segments: int = Field(default=6, ge=1)
    rate: float = Field(default=0.01, gt=0, lt=1)


@dataclass(frozen=True, slots=True)
class Trial:
    """Plans carried out to the end in the world, those the guardrails allowed.

    `excess` [n R H]: how much higher a guardrail's realised value was than predicted, without
    margin, where the guardrail was broken; minus infinity where it held, for then no margin was
    needed. `broken` [n R H]: where it was broken; `refused`: plans that were not allowed.
    """

    excess: Tensor
    broken: Tensor
    refused: int
    dataset: Dataset


def calibrate(
    config: Calibrate,
    world: World,
    perception: Perception,
    plan: Callable[[Tensor, Directive], Plan],
    directive: Callable[[Tensor], Directive],
    imagine: Callable[[Tensor, Tensor], Rollout],
    guardrails: Sequence[Guardrail],
    goals: Tensor,
    floor: Tensor,
    apply: Callable[[Tensor], None],
    ledger: Ledger,
    seed: int = 500_000,
) -> tuple[Tensor, Figures, Dataset]:
    """Return margins [R H], figures, and the transitions gathered.

    `plan` is the planner, margins included; `apply(margins)` puts new ones into force before the
    next round. The score counts false safety only, "predicted safe, and broken". Margins are the
    largest quantile of any round and of any earlier step, so they never shrink on the way;
    in the end they are at least `floor` [R], each in its guardrail's unit.
    """
    margins, trials = torch.zeros(0), []
    for index in range(config.rounds):
        first = seed + index * config.episodes
        trial = attempt(
            config, world, perception, plan, directive, imagine, guardrails, goals, first
        )
        trials.append(trial)
        figures = {"plans": float(len(trial.excess)), "refused": float(trial.refused)}
        if index < config.rounds - 1:
            found = conformal(trial.excess, config.rate).clamp(min=0.0).cummax(dim=1).values
            margins = torch.maximum(margins, found) if index else found
            if index == config.rounds - 2:
                margins = torch.maximum(margins, floor.unsqueeze(1))
            apply(margins)
        else:
            covered = trial.excess <= margins
            figures |= {
                "coverage": float(covered.float().mean(dim=0).min()),
                "coverage_mean": float(covered.float().mean()),
                "promised_coverage": 1.0 - config.rate,
                "plans_broken": float(trial.broken.flatten(1).any(dim=1).sum()),
            }
        ledger.log("calibrate", index + 1, config.rounds, figures)
    data = trials[0].dataset
    for trial in trials[1:]:
        data = data + trial.dataset
    ledger.save("calibrate", {"margins": margins}, figures)
    return margins, figures, data


def conformal(excess: Tensor, rate: float) -> Tensor:
    """Return the (1 - rate) quantile of `excess` [n R H] over n, finite-sample corrected, [R H].

    A fresh value exceeds it with probability at most `rate`; with fewer than 1/rate - 1 samples
    that cannot be promised, and the largest value is returned.
    """
    count = len(excess)
    rank = min(math.ceil((count + 1) * (1.0 - rate)), count)
    return excess.sort(dim=0).values[rank - 1]


@torch.no_grad()
def attempt(
    config: Calibrate,
    world: World,
    perception: Perception,
    plan: Callable[[Tensor, Directive], Plan],
    directive: Callable[[Tensor], Directive],
    imagine: Callable[[Tensor, Tensor], Rollout],
    guardrails: Sequence[Guardrail],
    goals: Tensor,
    seed: int,
) -> Trial:
    """Plan towards random goals and carry every plan out to its end, open loop.

    Plans that the guardrails refuse are replaced by rest and not counted.
    """
    batch = world.batch
    assert seed + config.episodes <= TRAINING_SEEDS, "training must not use evaluation seeds"
    generator = torch.Generator().manual_seed(seed)
    low, high = world.actuators.bounds()
    rest = torch.zeros_like(low).clamp(low, high)
    excess, broken, refused, episodes = [], [], 0, []
    for start in range(0, config.episodes, batch):
        observation = world.reset(range(seed + start, seed + start + batch))
        values, commands = [observation.values], []
        for _ in range(config.segments):
            aim = goals[torch.randint(len(goals), (batch,), generator=generator)]
            latent = perception.encode(values[-1])
            made = plan(latent, directive(aim))
            allowed = made.violation <= 0
            actions = torch.where(allowed[:, None, None], made.actions, rest)
            for move in actions.unbind(dim=1):
                values.append(world.step(Action(move.contiguous())).values)
                commands.append(move)
            predicted = worst(guardrails, imagine(latent, actions.unsqueeze(1)))
            seen = torch.stack(values[-actions.shape[1] :], dim=1)
            realised = worst(guardrails, witnessed(latent, actions, seen, world.sensors))
            needed = (realised - predicted).masked_fill(realised <= 0, -torch.inf)
            excess.append(needed[allowed])
            broken.append((realised > 0)[allowed])
            refused += int((~allowed).sum())
        episodes.append(Dataset(torch.stack(values, 1), torch.stack(commands, 1)))
    data = episodes[0]
    for episode in episodes[1:]:
        data = data + episode
    return Trial(torch.cat(excess), torch.cat(broken), refused, data)


def worst(guardrails: Sequence[Guardrail], rollout: Rollout) -> Tensor:
    """Return each guardrail's value without margin, worst over members, [B R H] for K = 1."""
    values = [guardrail.value(rollout).amax(dim=0)[:, 0] for guardrail in guardrails]
    return torch.stack(values, dim=1)


def witnessed(start: Tensor, actions: Tensor, seen: Tensor, sensors: Layout) -> Rollout:
    """Return what sensors showed [B H O] as a rollout of one member that never errs."""
    packed = seen[None, :, None]
    quantities = {channel.name: packed[..., where] for channel, where in sensors.slices()}
    return Rollout(
        start, actions.unsqueeze(1), start.new_zeros(1, *seen.shape[:1], 1, 1, 1), quantities
    )
