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

from agent.core.errors import InputError
from agent.core.messages import Action, Directive, Plan, Rollout
from agent.core.past import moment, since
from agent.core.protocols import Encoder, Guardrail, Perception, World
from agent.core.settings import Settings
from agent.core.spec import Layout
from agent.train.dataset import Dataset, joined
from agent.train.explore import TRAINING_SEEDS, going, whole
from agent.train.progress import Figures, Ledger
from agent.train.recall import remembered


class Calibrate(Settings):
    """`rounds` of `episodes` of `segments` plans each; `rate` is the promised share of errors.

    Every plan is carried out to its end, so that the next begins where one ends. With `lived`,
    every other one begins after so many ticks lived as the gate meets them, planning anew at each.
    The last round changes nothing: it measures the coverage that the margins achieve.
    """

    rounds: int = Field(default=4, ge=2)
    episodes: int = Field(default=128, ge=1)
    segments: int = Field(default=5, ge=1)
    lived: int = Field(default=0, ge=0)
    rate: float = Field(default=0.1, gt=0, lt=1)


@dataclass(frozen=True, slots=True)
class Trial:
    """Plans carried out to the end in the world, those the guardrails allowed.

    `excess` [n R H]: how much higher a guardrail's realised value was than predicted, without
    margin; `broken` [n R H]: where the realised value was above 0; `refused`: plans not allowed.
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
    apply: Callable[[Tensor], None],
    ledger: Ledger,
    seed: int = 500_000,
) -> tuple[Tensor, Figures, Dataset]:
    """Return margins [R H], figures, and the transitions gathered.

    `plan` is the planner under the margins in force; `apply(margins)` puts new ones into force.
    Every round takes the (1 - `rate`) quantile, per guardrail and step, of what the guardrails'
    values exceeded their forecast by. Margins change the plans they are about, from round to round,
    so the larger of the last two rounds' quantiles is put into force. A margin is never negative.
    Coverage is the share of fresh plans whose excess stayed within the margin: `coverage` at the
    worst guardrail and step, `coverage.NAME` at a guardrail's worst step; `plans_broken` is the
    share of plans that broke any guardrail at any step.
    Raises InputError if all plans are refused in a round whose quantiles are wanted.
    """
    margins, last, figures, data = torch.zeros(0), None, {}, []
    for index in range(config.rounds):
        first = seed + index * config.episodes
        trial = attempt(
            config, world, perception, plan, directive, imagine, guardrails, goals, first
        )
        if index < config.rounds - 1 and not len(trial.excess):
            raise InputError(
                f"calibrate: expected plans that guardrails allow, came none of {trial.refused};"
                f" loosen their limits, or explore for longer"
            )
        data.append(trial.dataset)
        figures = {
            "plans": float(len(trial.excess)),
            "refused": float(trial.refused),
            "plans_broken": float(trial.broken.flatten(1).any(dim=1).float().mean()),
        }
        if index < config.rounds - 1:
            found = conformal(trial.excess, config.rate).clamp(min=0.0)
            margins = found if last is None else torch.maximum(found, last)
            last = found
            apply(margins)
        else:
            covered = (trial.excess <= margins).float().mean(dim=0)
            figures |= {
                "coverage": float(covered.min()),
                "coverage_mean": float(covered.mean()),
                "promised_coverage": 1.0 - config.rate,
            }
            for guardrail, share in zip(guardrails, covered, strict=True):
                figures[f"coverage.{guardrail.name}"] = float(share.min())
        ledger.log("calibrate", index + 1, config.rounds, figures)
    return margins, figures, joined(data)


@torch.no_grad()
def watched(
    experience: Dataset,
    perception: Encoder,
    imagine: Callable[[Tensor, Tensor], Rollout],
    guardrails: Sequence[Guardrail],
    sensors: Layout,
    horizon: int,
    rate: float,
    seed: int = 0,
) -> Tensor:
    """Return provisional margins [R H] from random commands seen before, not from plans.

    What is learned inside the model before there is a planner should keep about the distance that
    the planner will keep later.
    """
    generator = torch.Generator().manual_seed(seed)
    values, commands = experience.windows(1024, horizon, generator)
    start = perception.encode(values[:, 0])
    predicted = worst(guardrails, imagine(start, commands.unsqueeze(1)))
    realised = worst(
        guardrails, witnessed(start, commands, values[:, 1:], sensors, values[:, 0], guardrails)
    )
    return conformal(realised - predicted, rate).clamp(min=0.0)


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

    Plans that the guardrails refuse are replaced by rest and not counted; nor are those that begin
    after the end of their episode. The dataset has latents
    in place of images (`agent.train.recall`).
    """
    batch = world.batch
    assert seed + config.episodes <= TRAINING_SEEDS, "training must not use evaluation seeds"
    generator = torch.Generator().manual_seed(seed)
    low, high = world.actuators.bounds()
    rest = torch.zeros_like(low).clamp(low, high)
    excess, broken, refused, episodes = [], [], 0, []
    for start in range(0, config.episodes, batch):
        observation = world.reset(range(seed + start, seed + start + batch))
        seen = whole(observation, world.sensors)
        values: list[Tensor] = [remembered(seen, perception, world.sensors)]
        commands, ages = list[Tensor](), torch.zeros(batch, dtype=torch.long)
        for segment in range(config.segments):
            aim = goals[torch.randint(len(goals), (batch,), generator=generator)]
            for _ in range(config.lived * (segment % 2)):
                ages += going(world)
                moves, _ = _allowed(plan(perception.encode(seen), directive(aim)), rest)
                seen = _stepped(world, moves[:, 0], perception, values, commands)
            latent, alive = perception.encode(seen), going(world)
            actions, allowed = _allowed(plan(latent, directive(aim)), rest)
            for move in actions.unbind(dim=1):
                ages += going(world)
                seen = _stepped(world, move, perception, values, commands)
            predicted = worst(guardrails, imagine(latent, actions.unsqueeze(1)))
            shown = torch.stack(values[-actions.shape[1] - 1 :], dim=1)
            came = witnessed(
                latent, actions, shown[:, 1:], world.sensors.scalars, shown[:, 0], guardrails
            )
            realised = worst(guardrails, came)
            excess.append((realised - predicted)[allowed & alive])
            broken.append((realised > 0)[allowed & alive])
            refused += int((~allowed & alive).sum())
        episodes.append(Dataset.lived_by(values, commands, ages))
    return Trial(torch.cat(excess), torch.cat(broken), refused, joined(episodes))


def _stepped(
    world: World, move: Tensor, perception: Perception, values: list[Tensor], commands: list[Tensor]
) -> Tensor:
    """Return what is seen after a command [B A], and append what is kept of both."""
    seen = whole(world.step(Action(move.contiguous())), world.sensors)
    values.append(remembered(seen, perception, world.sensors))
    commands.append(move)
    return seen


def _allowed(made: Plan, rest: Tensor) -> tuple[Tensor, Tensor]:
    """Return commands [B H A], at rest where the plan is refused, and which [B] are not."""
    allowed = (made.violation <= 0) & torch.isfinite(made.energy)
    return torch.where(allowed[:, None, None], made.actions, rest), allowed


def worst(guardrails: Sequence[Guardrail], rollout: Rollout) -> Tensor:
    """Return each guardrail's value without margin, worst over members, [B R H] for K = 1."""
    values = [guardrail.value(rollout).amax(dim=0)[:, 0] for guardrail in guardrails]
    return torch.stack(values, dim=1)


def witnessed(
    start: Tensor,
    actions: Tensor,
    seen: Tensor,
    sensors: Layout,
    before: Tensor | None = None,
    guardrails: Sequence[Guardrail] = (),
) -> Rollout:
    """Return what sensors showed [B H O] as a rollout of one member that never errs.

    What `guardrails` remember begins with what was seen `before` [B O] the first action.
    """
    packed = seen[None, :, None]
    quantities = {channel.name: packed[..., where] for channel, where in sensors.slices()}
    latents = start.new_zeros(1, *seen.shape[:1], 1, 1, 1)
    past = {}
    if before is not None:
        then = {channel.name: before[:, where] for channel, where in sensors.slices()}
        past = since(guardrails, moment(start, then, {}))
    return Rollout(start, actions.unsqueeze(1), latents, quantities, networks=1, past=past)
