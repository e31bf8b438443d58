"""Learning while acting: the agent as it is by now goes after what it wants, and learns from that.

Source: Chua et al. (2018), PETS, algorithm 1, and Sutton (1991), Dyna, for model, plan and
experience taking turns; LeCun (2022) sec. 3.1, Mode-2, for the plan.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from agent.core.protocols import World
from agent.train.explore import Explorer


class Planning(Protocol):
    """What acting needs of a mind; `aims` [n G] are goals that were met with so far."""

    aims: Tensor

    def encode(self, values: Tensor) -> Tensor:
        """Return latents [..., Z] of packed sensor values [..., O]."""
        ...

    def plan(self, state: Tensor, goal: Tensor, fresh: bool) -> Tensor:
        """Return plans [B H A] from `state` [B Z]; `fresh` forgets the last ones."""
        ...


class Acts:
    """Carries out the first command of a plan, with some noise: what to do in a round (`Rounds`).

    Where something is asked, each episode is asked for one of the goals that were met with. Plans
    heed guardrails as they are known so far, without margins and without a gate: exploring at
    random does not heed them either.
    """

    def __init__(self, config: Explorer.Config, world: World) -> None:
        """Act in `world` as `config.acting` says."""
        self.noise, self.bounds = config.acting.noise, world.actuators.bounds()
        self._goal = torch.zeros(0)

    def __call__(
        self, mind: Planning, values: Tensor, tick: int, generator: torch.Generator
    ) -> Tensor:
        """Return the next commands [B 1 A] at sensor values [B O]."""
        low, high = self.bounds
        if tick == 0:
            pick = torch.randint(len(mind.aims), (len(values),), generator=generator)
            self._goal = mind.aims[pick]
        move = mind.plan(mind.encode(values), self._goal, fresh=tick == 0)[:, :1]
        shaken = torch.randn(move.shape, generator=generator) * self.noise * (high - low) / 2
        return (move + shaken).clamp(low, high)
