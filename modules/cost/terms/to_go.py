"""The energy still to pay on the way to a goal: what a short horizon cannot see.

Source: LeCun (2022) sec. 3.3, a trainable critic predicts energy beyond the planning horizon;
value iteration in imagination: Sutton (1990), Dyna; terminal values: Lowrey et al. (2019).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


class ToGo(nn.Module):
    """How far every imagined step is from the goal, and how many ticks remain after the last.

    The goal is a place in the quantity that `site.goal` names (one channel). Learned by value
    iteration over imagined moves (`agent.train.detours`), it knows of detours: around what
    guardrails forbid, and out of the corners where joint limits end.
    """

    class Config(Settings):
        """`weight` in the energy, `width` of two hidden layers, `discount` per tick, and training.

        At distance `near` (the goal's unit) a tick costs 1/2. A move breaking a guardrail costs
        `forbidden` per tick. Each step takes `batch` states with `goals` goals each, the first
        `near_goals` within one move, one of these where resting leads, and the last `trap_goals`
        close by, where a short horizon would be trapped; `memory` is the share of the target
        network kept per step.
        """

        name: str = "to_go"
        weight: float = Field(default=1.0, ge=0)
        width: int = Field(default=192, ge=1)
        near: float = Field(default=0.06, gt=0)
        discount: float = Field(default=0.99, ge=0, lt=1)
        forbidden: float = Field(default=10.0, ge=0)
        batch: int = Field(default=64, ge=1)
        goals: int = Field(default=8, ge=1)
        near_goals: int = Field(default=2, ge=0)
        trap_goals: int = Field(default=3, ge=0)
        rate: float = Field(default=1e-3, gt=0)
        memory: float = Field(default=0.98, ge=0, lt=1)

    kind: ClassVar[str] = "task"

    goal_mean: Tensor
    goal_scale: Tensor
    scale: Tensor

    def __init__(self, config: Config, site: Site) -> None:
        """Build an untrained term for the site's latent and goal: it costs nothing yet."""
        super().__init__()
        self.config, self.name, self.weight = config, config.name, config.weight
        (channel,) = site.goal.channels
        self.quantity = channel.name
        last = nn.Linear(config.width, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net = nn.Sequential(
            nn.Linear(site.latent + 2 * site.goal.size + 1, config.width),
            nn.SiLU(),
            nn.Linear(config.width, config.width),
            nn.SiLU(),
            last,
        )
        self.register_buffer("goal_mean", torch.zeros(site.goal.size))
        self.register_buffer("goal_scale", torch.ones(site.goal.size))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, latents: Tensor, there: Tensor, goals: Tensor) -> Tensor:
        """Return ticks to go [...] from latents [..., Z], at places `there` [..., G], to goals."""
        gap = (there - goals) / self.goal_scale
        away = self.away(there, goals).unsqueeze(-1)
        scaled = (goals - self.goal_mean) / self.goal_scale
        raw: Tensor = self.net(torch.cat((latents, scaled, gap, away), dim=-1))
        return raw.squeeze(-1) * self.scale

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return [E B K H]: how far each step is from the goal; at the last, ticks to go too."""
        there = rollout.quantities[self.quantity]
        goals = directive.goal[:, None, None].expand_as(there)
        value = self(rollout.latents[..., -1, :], there[..., -1, :], goals[..., -1, :])
        later = F.pad(value.clamp(min=0.0).unsqueeze(-1), (there.shape[3] - 1, 0))
        return self.away(there, goals) + later

    def away(self, there: Tensor, goals: Tensor) -> Tensor:
        """Return how far places [..., G] are from goals: 0 there, 1/2 at `near`, at most 1."""
        squared = (there - goals).square().sum(dim=-1)
        return squared / (squared + self.config.near**2)

    def fit_scale(self, goals: Tensor) -> None:
        """Take mean and deviation of goals [n G] and the size of values, before training."""
        self.goal_mean.copy_(goals.mean(dim=0))
        self.goal_scale.copy_(goals.std(dim=0).clamp(min=1e-6))
        self.scale.fill_(0.5 / (1 - self.config.discount))
