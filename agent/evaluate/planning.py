"""One planning problem for every planner, ours and others: the same network, state and energy.

Source: the size of the problem is that of stable-worldmodel's planners (latent 64, two hidden
layers of 256, two actuators, ten ticks ahead).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from agent.config.resolve import resolve
from agent.core.messages import Bill, Directive, Mode, Plan, Rollout
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.world_model.jepa import JEPA

LATENT, WIDTH, ACTIONS, HORIZON = 64, 256, 2, 10
ROWS = (64, 100, 128)
"""Chunks in which the floor is measured, besides all samples at once; the fastest counts."""

ACTUATORS = Layout((Channel("push", ACTIONS, "1", (-1.0,) * ACTIONS, (1.0,) * ACTIONS),))
PLACE = Layout((Channel("place", LATENT, "1"),))


class Problem:
    """Bring a latent to a goal: a random network, and the mean squared distance after every tick.

    It is an `Objective` for our planners; `step` and `energy` are the same for others.
    """

    def __init__(self, seed: int = 0) -> None:
        """Draw the network, the state and the goal."""
        torch.manual_seed(seed)
        site = Site(PLACE, ACTUATORS, 20.0, LATENT, PLACE)
        self.model = JEPA(JEPA.Config(members=1, width=WIDTH), site).requires_grad_(False)
        self.model.third.weight.mul_(5.0)  # untrained, it would hardly move
        self.state = torch.randn(1, LATENT)
        self.goal = torch.randn(1, LATENT)
        self._first, self._second, self._third = (
            (layer.weight[0], layer.bias[0, 0])
            for layer in (self.model.first, self.model.second, self.model.third)
        )

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """Return the next latents [n Z] of states [n Z] under actions [n A], in plain torch."""
        one = F.silu(torch.addmm(self._first[1], torch.cat((state, action), -1), self._first[0]))
        two = F.silu(torch.addmm(self._second[1], one, self._second[0]))
        return state + torch.addmm(self._third[1], two, self._third[0])

    def energy(self, states: Tensor) -> Tensor:
        """Return the energy [...] of latents [... Z]: mean squared distance to the goal."""
        away: Tensor = torch.linalg.vector_norm(states - self.goal[0], dim=-1)
        return away.square() / LATENT

    def total(self, actions: Tensor) -> Tensor:
        """Return the energy [n] of plans [n H A], in plain torch."""
        state, spent = self.state.expand(len(actions), -1), actions.new_zeros(len(actions))
        for move in actions.unbind(dim=1):
            state = self.step(state, move)
            spent = spent + self.energy(state)
        return spent / actions.shape[1]

    def __call__(
        self, state: Tensor, actions: Tensor, directive: Directive
    ) -> tuple[Rollout, Bill]:
        """Return futures and bills of candidate `actions` [B K H A] from `state` [B Z]."""
        rollout = self.model.imagine(state, actions)
        away = self.energy(rollout.latents[0])
        batch, candidates, horizon = away.shape
        nothing = away.new_zeros(batch, candidates, 0, horizon)
        terms = away[:, :, None] / horizon
        bill = Bill(terms.sum(dim=(2, 3)), terms, nothing, away.new_zeros(batch, candidates))
        return rollout, bill

    def site(self) -> Site:
        """Return what an actor needs to be built for this problem."""
        return Site(PLACE, ACTUATORS, 20.0, LATENT, PLACE, ("away",), (), self, 0)

    def directive(self, batch: int = 1) -> Directive:
        """Return how a plan is asked for."""
        return Directive(
            self.goal.expand(batch, -1),
            torch.ones(batch, 1),
            torch.ones(batch, 1),
            torch.full((batch,), int(Mode.DELIBERATE)),
            HORIZON,
        )

    def flops(self, samples: int, iterations: int) -> float:
        """Return floating-point operations of the matrix products of so many rollouts."""
        per_row = 2 * ((LATENT + ACTIONS) * WIDTH + WIDTH * WIDTH + WIDTH * LATENT)
        return float(per_row * samples * iterations * HORIZON)


@dataclass(frozen=True, slots=True)
class Contestant:
    """A planner: `plan()` returns actions [H A] and starts afresh at every call."""

    name: str
    plan: Callable[[], Tensor]


def ours(problem: Problem, use: str, settings: Mapping[str, Any], batch: int = 1) -> Contestant:
    """Return one of our planners, as a config would name it, for `batch` agents at once.

    It may use the whole range of the actuators, as others may.
    """
    kind = resolve("actor", use)
    actor = kind(kind.Config(**settings, policy={"span": 1.0}), problem.site())
    state, directive = problem.state.expand(batch, -1), problem.directive(batch)

    def plan() -> Tensor:
        actor.reset(batch)
        made: Plan = actor.plan(state, directive)
        return made.actions[0]

    return Contestant(use, plan)


def floor(problem: Problem, samples: int, iterations: int) -> Contestant:
    """Return the model's matrix products alone, with preallocated outputs: nothing can be faster.

    In chunks of rows that stay in cache; of several chunk sizes the fastest is taken.
    """
    layers = (problem.model.first, problem.model.second, problem.model.third)

    def products(rows: int) -> Callable[[], Tensor]:
        inputs = torch.randn(1, rows, LATENT + ACTIONS)
        outs = [torch.zeros(1, rows, layer.bias.shape[-1]) for layer in layers]
        count = round(samples * iterations * HORIZON / rows)

        def run() -> Tensor:
            for _ in range(count):
                seen = inputs
                for layer, out in zip(layers, outs, strict=True):
                    seen = torch.bmm(seen, layer.weight, out=out)
            return torch.zeros(HORIZON, ACTIONS)

        return run

    tried = {rows: products(rows) for rows in (*ROWS, samples) if rows <= samples}
    for run in tried.values():
        run()
    best = min(tried, key=lambda rows: min(timed_ms(tried[rows])[1] for _ in range(5)))
    return Contestant(f"floor ({best} rows)", tried[best])


def timed_ms(plan: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """Return what `plan` made, and the milliseconds it took."""
    begin = time.perf_counter()
    made = plan()
    return made, (time.perf_counter() - begin) * 1e3
