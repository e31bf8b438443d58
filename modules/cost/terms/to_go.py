"""The energy still to pay on the way to a goal: what a short horizon cannot see.

Source: LeCun (2022) sec. 3.3, a trainable critic predicts energy beyond the planning horizon;
planning over remembered states: Eysenbach et al. (2019); terminal values: Lowrey et al. (2019).
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

    The goal is a place in the quantity that `site.goal` names (one channel). Learned from a graph
    of imagined moves (`agent.train.detours`), it knows of detours: around what guardrails forbid,
    and out of the corners where joint limits end. It is right for states at rest: let plans end so.
    """

    class Config(Settings):
        """`weight` in the energy, `width` of two hidden layers, `discount` per tick, and training.

        At distance `near` (the goal's unit) a tick costs 1/2. A move breaking a guardrail costs
        `forbidden` per tick. Of `twins` networks the larger value counts. `rate` is Adam's.
        """

        name: str = "to_go"
        weight: float = Field(default=1.0, ge=0)
        twins: int = Field(default=2, ge=1)
        width: int = Field(default=192, ge=1)
        near: float = Field(default=0.03, gt=0)
        discount: float = Field(default=0.99, ge=0, lt=1)
        forbidden: float = Field(default=10.0, ge=0)
        rate: float = Field(default=1e-3, gt=0)

    kind: ClassVar[str] = "task"

    goal_mean: Tensor
    goal_scale: Tensor
    scale: Tensor

    def __init__(self, config: Config, site: Site) -> None:
        """Build an untrained term for the site's latent and goal: half of what waiting costs.

        Raises ValueError if there is no goal.
        """
        super().__init__()
        self.config, self.name, self.weight = config, config.name, config.weight
        if len(site.goal.channels) != 1:
            raise ValueError("expected a goal of one sensor, came none; name it in `goal`")
        self.quantity = site.goal.names[0]
        inputs = site.latent + 3 * site.goal.size + 1
        self.twins = nn.ModuleList(_network(inputs, config.width) for _ in range(config.twins))
        self.register_buffer("goal_mean", torch.zeros(site.goal.size))
        self.register_buffer("goal_scale", torch.ones(site.goal.size))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, latents: Tensor, there: Tensor, goals: Tensor) -> Tensor:
        """Return ticks to go [...] from latents [..., Z], at places `there` [..., G], to goals.

        The largest of the twins' views: a planner looks for errors that are too small.
        """
        return self.views(latents, there, goals).amax(dim=0)

    def views(self, latents: Tensor, there: Tensor, goals: Tensor) -> Tensor:
        """Return each twin's view [twins ...]: from 0 to what waiting there for ever would cost."""
        gap = there - goals
        away = self.away(there, goals)
        heading = gap / (gap.norm(dim=-1, keepdim=True) + self.config.near)
        place = (goals - self.goal_mean) / self.goal_scale
        seen = torch.cat((latents, place, gap / self.goal_scale, heading, away[..., None]), dim=-1)
        shares = torch.cat([twin(seen) for twin in self.twins], dim=-1).sigmoid()
        views: Tensor = shares.movedim(-1, 0) * away / (1.0 - self.config.discount)
        return views

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return [E B K H]: how far each step is from the goal; at the last, ticks to go too."""
        there = rollout.quantities[self.quantity]
        goals = directive.goal[:, None, None].expand_as(there)
        value = self(rollout.latents[..., -1, :], there[..., -1, :], goals[..., -1, :])
        later = F.pad(value.unsqueeze(-1), (there.shape[3] - 1, 0))
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


def _network(inputs: int, width: int) -> nn.Sequential:
    last = nn.Linear(width, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    hidden = nn.Linear(width, width)
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), hidden, nn.SiLU(), last)
