"""Task term: a cost learned from what others did.

Source: LeCun (2022) sec. 3.3 and 4.5, a cost trained so that observed trajectories have low energy,
without contrastive samples; energies and margins: LeCun et al. (2006) sec. 2.2.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from agent.core.errors import nearest
from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


class Preference(nn.Module):
    """What demonstrators seem to mind, as an energy of read-out quantities; untrained, nothing.

    Observed trajectories get low energy, what the planner would have done instead gets more, by a
    margin (`agent.train.preference`, `bench preference`). It is softplus of a network, so never
    negative; untrained it says the same everywhere, which changes no plan.
    """

    class Config(Settings):
        """`quantities` that may matter, all readouts; `width` of the hidden layer, 0: linear."""

        name: str = "preference"
        quantities: list[str] = Field(default=["joint_angle", "joint_speed"], min_length=1)
        width: int = Field(default=32, ge=0)
        weight: float = Field(default=1.0, ge=0)

    kind: ClassVar[str] = "task"
    demonstrated: ClassVar[bool] = True
    """It is learned from demonstrations."""

    mean: Tensor
    scale: Tensor

    def __init__(self, config: Config, site: Site) -> None:
        """Build an untrained term. Raises ValueError for a quantity that no sensor shows."""
        super().__init__()
        self.config, self.name, self.weight = config, config.name, config.weight
        known = {c.name: c.size for c in site.sensors.scalars.channels}
        for name in config.quantities:
            if name not in known:
                raise ValueError(f"there is no readout '{name}'; {nearest(name, known)}")
        size = sum(known[name] for name in config.quantities)
        widths = [size, config.width, 1] if config.width else [size, 1]
        layers = [nn.Linear(a, b) for a, b in itertools.pairwise(widths)]
        nn.init.zeros_(layers[-1].weight)
        nn.init.zeros_(layers[-1].bias)
        parts = itertools.chain.from_iterable((layer, nn.SiLU()) for layer in layers[:-1])
        self.net = nn.Sequential(*parts, layers[-1])
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return how much every imagined step is minded, [E B K H]."""
        minded: Tensor = self(self.features(rollout.quantities))
        return minded

    def forward(self, features: Tensor) -> Tensor:
        """Return energies [...] of features [..., F]."""
        said: Tensor = self.net(features).squeeze(-1)
        return F.softplus(said)

    def features(self, quantities: Mapping[str, Tensor]) -> Tensor:
        """Return the quantities that may matter, [..., F], in deviations from their mean."""
        packed = torch.cat([quantities[name] for name in self.config.quantities], dim=-1)
        return (packed - self.mean) / self.scale

    def fit_scale(self, quantities: Mapping[str, Tensor]) -> None:
        """Take mean and deviation of quantities [..., n], before training."""
        packed = torch.cat([quantities[name] for name in self.config.quantities], dim=-1)
        flat = packed.flatten(0, -2)
        self.mean.copy_(flat.mean(dim=0))
        self.scale.copy_(flat.std(dim=0).clamp(min=1e-6))
