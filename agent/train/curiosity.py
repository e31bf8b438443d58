"""Trying out what is not yet understood: commands whose outcome the ensemble disagrees about.

Source: Pathak, Gandhi, Gupta (2019), exploration via disagreement; Sekar et al. (2020),
Plan2Explore, for planning towards it in a learned model.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from agent.core.messages import Rollout
from agent.core.noise import ornstein_uhlenbeck
from agent.core.protocols import World
from agent.train.explore import Explorer


class Imagination(Protocol):
    """What curiosity needs of a mind."""

    def encode(self, values: Tensor) -> Tensor:
        """Return latents [..., Z] of packed sensor values [..., O]."""
        ...

    def imagine(self, state: Tensor, actions: Tensor) -> Rollout:
        """Return the futures of `actions` [B K H A] from `state` [B Z]."""
        ...


class Curious:
    """Chooses what networks disagree about: says what to do in a round (`Rounds`).

    Of `candidates` random sequences the one whose imagined latents differ most between ensemble
    members is carried out for `commit` ticks.
    """

    def __init__(self, config: Explorer.Config, world: World) -> None:
        """Explore `world` as `config.curiosity` says."""
        self.config, self.world = config, world

    def __call__(
        self, model: Imagination, values: Tensor, tick: int, generator: torch.Generator
    ) -> Tensor:
        """Return the commands [B commit A] whose outcomes the members agree about least."""
        config, curious, state = self.config, self.config.curiosity, model.encode(values)
        low, high = self.world.actuators.bounds()
        keep = math.exp(-1.0 / (config.correlation_s * self.world.rate_hz))
        shape = curious.horizon, len(state) * curious.candidates, len(low)
        noise = ornstein_uhlenbeck(shape, keep, generator).transpose(0, 1)
        moves = (low + high) / 2 + noise * config.deviation * (high - low) / 2
        moves = moves.clamp(low, high).reshape(len(state), curious.candidates, *moves.shape[1:])
        spread = model.imagine(state, moves).latents.var(dim=0).sum(dim=(-1, -2))
        chosen: Tensor = moves[torch.arange(len(state)), spread.argmax(dim=1)]
        return chosen[:, : curious.commit]
