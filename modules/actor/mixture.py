"""A mixture of proposals that compete for samples: how far to trust habit is found out each tick.

Source: the cross-entropy method for mixtures, Kroese, Porotsky, Rubinstein (2006); a learned policy
among the proposals, Hansen et al. (2022), TD-MPC.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from agent.core.messages import Plan
from agent.core.protocols import Site
from modules.actor.noise import Noise, Tape
from modules.actor.planner import Planner
from modules.actor.sampling import Pool
from modules.actor.search import Wave, Waves


class Mixture(Planner):
    """A mixture around the Mode-1 proposal at several scales, the warm start and rest.

    Every wave's elites decide: a component's share of the next samples follows its share of the
    elites, its centre moves to their mean, and its deviation shrinks. None falls below the share
    `least`, so that a component can come back.
    """

    class Config(Planner.Config):
        """Sampling effort and shape.

        `scales` around the proposal, `deviation` around warm start and rest are in units of half
        the actuator range; `shrink` is by how much a component's narrows when it had elites;
        `momentum` how much of a component's last share and centre stays.
        """

        samples: int = Field(default=64, ge=1)
        iterations: int = Field(default=3, ge=1)
        elites: int = Field(default=10, ge=1)
        scales: list[float] = Field(default=[0.1, 0.3, 0.6], min_length=1)
        deviation: float = Field(default=0.6, gt=0)
        shrink: float = Field(default=0.6, gt=0, le=1)
        momentum: float = Field(default=0.1, ge=0, lt=1)
        least: float = Field(default=0.05, ge=0, le=1)
        noise: Noise = Noise()

    posts: ClassVar[type] = Plan

    def __init__(self, config: Config, site: Site) -> None:
        """Build the planner. Raises ValueError for more elites than samples, or scales below 0."""
        super().__init__(config, site)
        self._enough(config.elites, config.samples)
        if min(config.scales) <= 0:
            raise ValueError(f"{self.name}: expected scales above 0, came {config.scales}")
        self.config = config

    def _waves(self, seeds: Tensor, known: Pool, tape: Tape) -> Waves:
        config, scales = self.config, self.config.scales
        rest = self.policy.rest.expand_as(seeds[:, :1])
        proposals = seeds[:, -1:].expand(-1, len(scales), -1, -1)
        centres = torch.cat((proposals, seeds[:, :1], rest), dim=1)
        batch, components = centres.shape[:2]
        widths = seeds.new_tensor([*scales, config.deviation, config.deviation])
        width = widths.expand(batch, -1)
        share = torch.full_like(width, 1.0 / components)
        for index in range(config.iterations):
            origin = allotted(share, config.samples)
            noise = tape(index, config.noise, config.samples, seeds)
            rows = torch.arange(batch).unsqueeze(1)
            steps = width[rows, origin][:, :, None, None] * self.extent * noise
            told = yield Wave(self._within(centres[rows, origin] + steps))
            top = told.fresh.order()[:, : config.elites]
            sound = torch.isfinite(told.fresh.energy).gather(1, top)
            member = F.one_hot(origin.gather(1, top), components).to(share.dtype)
            member = member * sound.unsqueeze(2)
            won = member.sum(dim=1)
            total = torch.einsum("bkc,bkha->bcha", member, told.fresh.take(top).actions)
            mean = total / won.clamp(min=1.0)[:, :, None, None]
            moved = config.momentum * centres + (1 - config.momentum) * mean
            centres = torch.where((won > 0)[:, :, None, None], moved, centres)
            width = torch.where(won > 0, config.shrink * width, width)
            fresh = won / won.sum(dim=1, keepdim=True).clamp(min=1.0)
            share = config.momentum * share + (1 - config.momentum) * fresh
            share = share.clamp(min=max(config.least, 1e-6))
            share = share / share.sum(dim=1, keepdim=True)


def allotted(share: Tensor, count: int) -> Tensor:
    """Return which component each of `count` samples comes from [B count], by shares [B C].

    Systematic, not drawn: every component gets its share to within one sample.
    """
    places = (torch.arange(count, dtype=share.dtype) + 0.5) / count
    edges = share.cumsum(dim=1)[:, :-1].contiguous()
    return torch.searchsorted(edges, places.expand(len(share), -1).contiguous())
