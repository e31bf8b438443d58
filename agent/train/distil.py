"""From Mode-2 to Mode-1: a policy that has learned what the planner would do.

Source: LeCun (2022) sec. 3.1.3, amortised inference: imitate plans, and descend the same energy
through the differentiable world model, so that the student can beat its teacher.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from agent.core.errors import InputError
from agent.core.messages import Directive, Mode, Plan
from agent.core.protocols import Objective
from agent.core.settings import Settings
from agent.train.progress import Figures, Ledger, descend

MIX = 1_000_003
CHUNK = 64
STOPS = 4
"""States taken from every imagined episode."""
REVISIT = 101
"""Keeps what is drawn in further rounds apart from training seeds."""


class Distil(Settings):
    """How many plans are imitated, and how energy, guardrails and imitation are weighed.

    `violation` is energy, in units of the mean energy, per deviation of a guardrail's value beyond
    `room` deviations below its limit. A step takes `batch` states, followed for up to
    `jumps` imagined plans; near goals lie `near` deviations of all goals away.

    After that come `revisits` rounds in which the planner teaches where the policy gets to by
    itself: as many `lessons` and `steps` again, from imagined episodes of `walk` ticks.
    """

    lessons: int = Field(default=2048, ge=1)
    steps: int = Field(default=2000, ge=1)
    batch: int = Field(default=64, ge=1)
    jumps: int = Field(default=2, ge=0)
    rate: float = Field(default=2e-3, gt=0)
    imitation: float = Field(default=1.0, ge=0)
    violation: float = Field(default=1.0, ge=0)
    room: float = Field(default=0.1, ge=0)
    near: float = Field(default=0.25, gt=0)
    revisits: int = Field(default=0, ge=0)
    walk: int = Field(default=60, ge=1)
    clip: float = Field(default=5.0, gt=0)


@dataclass(frozen=True, slots=True)
class Lessons:
    """What the planner did: from `latents` [n Z], asked for `goals` [n G], `actions` [n H A]."""

    latents: Tensor
    goals: Tensor
    actions: Tensor

    def __add__(self, other: Lessons) -> Lessons:
        """Return both lots of lessons."""
        fields = ("latents", "goals", "actions")
        return Lessons(*(torch.cat((getattr(self, f), getattr(other, f))) for f in fields))


def skill(
    actor: Any,
    plan: Callable[[Tensor, Directive], Plan],
    objective: Objective,
    directive: Callable[[Tensor], Directive],
    latents: Tensor,
    places: Tensor,
    goals: Tensor,
    aims: Tensor,
    config: Distil,
    ledger: Ledger,
    seed: int = 0,
) -> Figures:
    """Distil `plan`, the planner, into the policy of `actor`; again where that then gets to.

    Lessons lead from the first of `latents` [n Z] to their `aims` [n G]; the rest is as in `teach`
    and `distil`. Raises InputError if the planner has nothing to teach.
    """
    count, policy = config.lessons, actor.policy
    lessons = teach(plan, directive, latents[:count], aims[:count], ledger)
    if not len(lessons.latents):
        raise InputError(
            f"train.distil: expected plans that are finite and break no guardrail, came none of"
            f" {count}; train longer, or ask for more `lessons`"
        )
    figures: Figures = {}
    for turn in range(config.revisits + 1):
        name = str(turn or "")
        if turn:
            rows = (torch.arange(-(-count // STOPS)) + turn * count) % len(latents)
            actor.reset(len(rows))
            met = visited(actor.plan, directive, latents[rows], aims[rows], config.walk)
            lessons += teach(plan, directive, *met, ledger, f"lessons{name}")
        policy.requires_grad_(True)
        figures = distil(
            policy, objective, directive, lessons, latents, places, goals, config, ledger,
            seed + turn * REVISIT, f"distil{name}",
        )  # fmt: skip
        policy.requires_grad_(False)
    return figures


def visited(
    plan: Callable[[Tensor, Directive], Plan],
    directive: Callable[[Tensor], Directive],
    latents: Tensor,
    goals: Tensor,
    ticks: int,
) -> tuple[Tensor, Tensor]:
    """Return states that habit leads to, and their goals: `STOPS` in every imagined episode.

    Episodes start from latents [n Z] towards goals [n G] and last for `ticks`; `plan(latents,
    directive)` is asked for Mode-1, for the same agents from tick to tick.

    Source: Ross, Gordon, Bagnell (2011), DAgger: the pupil's own mistakes are taught, too.
    """
    stops = {max(1, round(ticks * (stop + 1) / STOPS)) for stop in range(STOPS)}
    asked, seen = directive(goals), []
    asked = replace(asked, mode=torch.full_like(asked.mode, int(Mode.REACTIVE)))
    for tick in range(1, ticks + 1):
        latents = plan(latents, asked).latents[:, 0]
        if tick in stops:
            seen.append(latents)
    return torch.cat(seen), goals.repeat(len(seen), 1)


def teach(
    plan: Callable[[Tensor, Directive], Plan],
    directive: Callable[[Tensor], Directive],
    latents: Tensor,
    goals: Tensor,
    ledger: Ledger,
    stage: str = "lessons",
) -> Lessons:
    """Return plans from latents [n Z] to goals [n G], leaving out those that break a guardrail.

    `plan` must not warm-start from one call to the next; `directive(goals)` asks for them.
    """
    kept = ledger.load(stage)
    if kept is not None:
        return Lessons(**kept[0])
    parts = []
    for state, aim in zip(torch.split(latents, CHUNK), torch.split(goals, CHUNK), strict=True):
        found = plan(state, directive(aim))
        good = (found.violation <= 0) & torch.isfinite(found.energy)
        parts.append((state[good], aim[good], found.actions[good]))
        ledger.log(stage, len(parts) * CHUNK, len(latents), {})
    lessons = Lessons(*(torch.cat(column) for column in zip(*parts, strict=True)))
    tensors = {"latents": lessons.latents, "goals": lessons.goals, "actions": lessons.actions}
    ledger.save(stage, tensors, {"lessons": float(len(lessons.latents))})
    return lessons


def distil(
    policy: Any,
    objective: Objective,
    directive: Callable[[Tensor], Directive],
    lessons: Lessons,
    latents: Tensor,
    places: Tensor,
    goals: Tensor,
    config: Distil,
    ledger: Ledger,
    seed: int = 0,
    stage: str = "distil",
) -> Figures:
    """Train `policy` (`modules.actor.policy.Policy`) on lessons and on the objective itself.

    The objective is descended from random `latents` [n Z], which are at `places` [n G], towards
    random `goals` [m G] and, half the time, towards places nearby, where precision is learned; and
    again from states that the policy's own plans lead to, for it will meet its own mistakes. What
    the objective is made of must not require gradients. Energies are scaled by their mean.
    """
    policy.fit_scale(latents, places, goals)
    optimiser = torch.optim.Adam(policy.parameters(), lr=config.rate, fused=True)
    extent = (policy.high - policy.low) / 2

    def step(index: int) -> Figures:
        for group in optimiser.param_groups:
            group["lr"] = config.rate * max(1.0 - index / config.steps, 0.02)
        generator = torch.Generator().manual_seed(seed * MIX + index)

        def draw(rows: Tensor, count: int) -> Tensor:
            return torch.randint(len(rows), (count,), generator=generator)

        lesson = draw(lessons.latents, 4 * config.batch)
        copied = policy(lessons.latents[lesson], lessons.goals[lesson])
        horizon = min(copied.shape[1], lessons.actions.shape[1])
        gap = (copied[:, :horizon] - lessons.actions[lesson, :horizon]) / extent
        imitation = F.huber_loss(gap, torch.zeros_like(gap))
        where = draw(latents, config.batch)
        state, aim = latents[where], goals[draw(goals, config.batch)]
        shift = torch.randn(aim.shape, generator=generator) * config.near * policy.goal_scale
        aim = torch.where(torch.arange(len(aim)).unsqueeze(1) % 2 == 0, aim, places[where] + shift)
        asked, every = directive(aim), torch.arange(len(aim))
        with torch.no_grad():
            for _ in range(index % (config.jumps + 1)):
                rollout, _ = objective(state, policy(state, aim).unsqueeze(1), asked)
                tick = draw(rollout.actions[0, 0], len(aim))
                state = rollout.latents.mean(dim=0)[every, 0, tick]
        _, bill = objective(state, policy(state, aim).unsqueeze(1), asked)
        rails = bill.guardrails
        if rails.shape[2]:
            rails = rails / rails.detach().std(dim=(0, 1, 3), keepdim=True).clamp(min=1e-6)
        beyond = (rails + config.room).clamp(min=0.0)
        energy, violation = bill.energy.mean(), beyond.sum(dim=(1, 2, 3)).mean()
        loss = (
            config.imitation * imitation
            + energy / energy.detach().clamp(min=1e-6)
            + config.violation * violation
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(policy.parameters(), config.clip)
        optimiser.step()
        figures = {"imitation": imitation, "energy": energy, "violation": violation}
        return {name: float(value.detach()) for name, value in figures.items()}

    descend(stage, config.steps, step, policy, optimiser, ledger)
    return step(config.steps)
