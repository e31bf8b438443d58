"""A level above: predicts further, in a more abstract latent, under macro-actions that it learned.

Source: LeCun (2022) sec. 4.7 and fig. 15-16 (H-JEPA); macro-actions encoded from the commands of
the level below, so that they mean what is done and not what comes of it: Zhang et al. (2026), HWM.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor, nn

from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.world_model.jepa import JEPA

REACH = 2.5
"""Macro-actions lie within so many of their deviations, which training holds near 1."""


class Level(JEPA):
    """Predicts the abstract latent `ticks` ahead, from itself and a macro-action, with E networks.

    Its latents are codes of those of the level below, averaged over the last `pool` ticks (temporal
    pooling). Its actions are codes of what the level below does meanwhile; they are limited in
    number and blurred by `noise` while training, so that they carry what matters for the outcome.
    A `JEPA` in every other respect: it imagines, forecasts, and knows how far networks disagree.
    """

    below_centre: Tensor
    below_extent: Tensor

    class Config(JEPA.Config):
        """`ticks` of the body a step takes, sizes of `latent` and `macro`-action, and training.

        `horizon` is how many steps are planned at once. `hidden` is the width of both encoders;
        `noise` is in deviations of a macro-action.
        """

        ticks: int = Field(ge=2)
        latent: int = Field(default=16, ge=1)
        macro: int = Field(default=3, ge=1)
        pool: int = Field(default=1, ge=1)
        horizon: int = Field(default=8, ge=1)
        hidden: int = Field(default=96, ge=1)
        noise: float = Field(default=0.1, ge=0)

    def __init__(self, config: Config, below: Site, ticks: int) -> None:
        """Build an untrained level above one of the site `below`, whose steps take `ticks`.

        Raises ValueError unless a step takes a whole number of those below, two or more.
        """
        if config.ticks % ticks or config.ticks < 2 * ticks:
            raise ValueError(
                f"levels: expected time scales that divide, each a multiple of the one below and"
                f" larger, came {config.ticks} ticks above {ticks}; choose {2 * ticks} or"
                f" {4 * ticks}"
            )
        bound = (REACH,) * config.macro
        actuators = Layout(
            (Channel("macro_action", config.macro, "", tuple(-b for b in bound), bound),)
        )
        own = replace(
            below,
            latent=config.latent,
            actuators=actuators,
            below=below.latent,
            rate_hz=below.rate_hz * ticks / config.ticks,
        )
        super().__init__(config, own)
        self.config, self.ticks, self.horizon = config, config.ticks, config.horizon
        self.stride = config.ticks // ticks
        low, high = below.actuators.bounds()
        self.register_buffer("below_centre", (low + high) / 2, persistent=False)
        self.register_buffer("below_extent", (high - low) / 2, persistent=False)
        self.abstraction = _network((below.latent, config.hidden, config.hidden, config.latent))
        inputs = self.stride * below.actuators.size
        self.compression = _network((inputs, config.hidden, config.macro))

    def abstract(self, latents: Tensor) -> Tensor:
        """Return codes [..., Z] of pooled latents [..., Zb] of the level below; differentiable."""
        code: Tensor = self.abstraction(latents)
        return code

    def pooled(self, latents: Tensor) -> Tensor:
        """Return means [..., T Zb] of every latent [..., T Zb] and those before, `pool` in all.

        Before the first stands the first.
        """
        size = self.config.pool
        if size == 1:
            return latents
        first = latents[..., :1, :].expand(*latents.shape[:-2], size - 1, -1)
        return torch.cat((first, latents), dim=-2).unfold(-2, size, 1).mean(dim=-1)

    def compress(self, actions: Tensor, seed: int | None = None) -> Tensor:
        """Return macro-actions [..., m] of what is done below, [..., n A] in its units.

        `n` is `stride`. The middle of the actuators' range all the while, mostly rest, is 0. With a
        `seed`, as in training, they are blurred.
        """
        scaled = ((actions - self.below_centre) / self.below_extent).flatten(-2)
        code = self.compression(scaled) - self.compression(scaled.new_zeros(scaled.shape[-1]))
        if seed is not None and self.config.noise:
            generator = torch.Generator().manual_seed(seed)
            code = code + self.config.noise * torch.randn(code.shape, generator=generator)
        bounded: Tensor = REACH * (code / REACH).tanh()
        return bounded


def _network(widths: tuple[int, ...]) -> nn.Sequential:
    pairs = list(itertools.pairwise(widths))
    layers = [part for a, b in pairs[:-1] for part in (nn.Linear(a, b), nn.SiLU())]
    return nn.Sequential(*layers, nn.Linear(*pairs[-1]))


__all__ = ["REACH", "Level"]
