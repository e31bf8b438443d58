"""A level above: predicts further, in a more abstract latent, under macro-actions that it learned.

Source: LeCun (2022) sec. 4.7 and fig. 15-16 (H-JEPA); macro-actions encoded from the commands of
the level below, so that they mean what is done and not what comes of it: Zhang et al. (2026), HWM.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from agent.core.errors import expect_sensors
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.world_model.jepa import JEPA
from modules.world_model.variable import LatentVariable

REACH = 2.5
"""Macro-actions lie within so many of their deviations, which training holds near 1."""


class Level(JEPA):
    """Predicts the abstract latent `ticks` ahead, from itself and a macro-action, with E networks.

    Its latents are codes of the one of the level below and, with a `pool` above 1, of their mean
    over so many of the last ticks (temporal pooling). Its actions are codes of what the level below
    does meanwhile; they are limited in number and blurred by `noise` while training, so that they
    carry what matters for the outcome.
    A `JEPA` in every other respect: it imagines, forecasts, and knows how far networks disagree;
    with a latent variable of its own, its futures part where a step may end in several ways.
    """

    below_centre: Tensor
    below_extent: Tensor

    class Config(JEPA.Config):
        """`ticks` of the body a step takes, sizes of `latent` and `macro`-action, and training.

        `horizon` is how many steps are planned at once, `follow` how many of them are taken before
        the level plans anew. `hidden` is the width of both encoders;
        `noise` is in deviations of a macro-action. Readouts tell the sensors named in `worst` by
        their least (`min`) or largest (`max`) value during a step: whoever bumped into something
        may be well clear of it at the step's end.
        """

        ticks: int = Field(ge=2)
        latent: int = Field(default=16, ge=1)
        macro: int = Field(default=3, ge=1)
        pool: int = Field(default=1, ge=1)
        horizon: int = Field(default=8, ge=1)
        follow: int = Field(default=1, ge=1)
        hidden: int = Field(default=96, ge=1)
        noise: float = Field(default=0.1, ge=0)
        worst: dict[str, Literal["min", "max"]] = {}

    def __init__(
        self,
        config: Config,
        below: Site,
        ticks: int,
        hidden: Callable[[Site], LatentVariable] | None = None,
    ) -> None:
        """Build an untrained level above one of the site `below`, whose steps take `ticks`.

        `hidden` builds the latent variable that `config.latent_variable` names, for its own site.
        Raises ValueError unless a step takes a whole number of those below, two or more, a plan is
        followed for no longer than it reaches, and all sensors named in `worst` exist.
        """
        if config.ticks % ticks or config.ticks < 2 * ticks:
            raise ValueError(
                f"levels: expected time scales that divide, each a multiple of the one below and"
                f" larger, came {config.ticks} ticks above {ticks}; choose {2 * ticks} or"
                f" {4 * ticks}"
            )
        if config.follow > config.horizon:
            raise ValueError(
                f"levels.follow: expected at most the horizon of {config.horizon} steps, came"
                f" {config.follow}: a plan that is over is no plan; lower it, or raise the horizon"
            )
        sensors = below.sensors.scalars.names
        expect_sensors("levels.worst", config.worst, sensors, "scalar sensors")
        bound = (REACH,) * config.macro
        actuators = Layout(
            (Channel("macro_action", config.macro, "", tuple(-b for b in bound), bound),)
        )
        own = replace(
            below,
            latent=config.latent,
            actuators=actuators,
            below=below.latent * (1 if config.pool == 1 else 2),
            rate_hz=below.rate_hz * ticks / config.ticks,
            follow=config.follow,
        )
        super().__init__(config, own, None if hidden is None else hidden(own))
        self.config, self.ticks, self.horizon = config, config.ticks, config.horizon
        self.pool, self.follow = config.pool, config.follow
        self.stride = config.ticks // ticks
        low, high = below.actuators.bounds()
        self.register_buffer("below_centre", (low + high) / 2, persistent=False)
        self.register_buffer("below_extent", (high - low) / 2, persistent=False)
        self.abstraction = _network((own.below, config.hidden, config.hidden, config.latent))
        inputs = self.stride * below.actuators.size
        self.compression = _network((inputs, config.hidden, config.macro))

    def abstract(self, latents: Tensor) -> Tensor:
        """Return codes [..., Z] of pooled latents [..., Zb] of the level below; differentiable."""
        code: Tensor = self.abstraction(latents)
        return code

    def pooled(self, latents: Tensor) -> Tensor:
        """Return what is encoded at every tick, of latents [..., T Zb] of the level below.

        They themselves; with a `pool`, beside them their means over as many of the last ticks,
        [..., T 2Zb]. Before the first stands the first.
        """
        size = self.pool
        if size == 1:
            return latents
        first = latents[..., :1, :].expand(*latents.shape[:-2], size - 1, -1)
        means = torch.cat((first, latents), dim=-2).unfold(-2, size, 1).mean(dim=-1)
        return torch.cat((latents, means), dim=-1)

    def told(self, values: Tensor) -> Tensor:
        """Return what readouts tell of scalar sensors [..., T O]: those in `worst` by their worst.

        Of a step that ends at a tick: what was seen while it was taken, its beginning left out.
        """
        told, scalars = values.clone(), self.site.sensors.scalars
        for name, how in self.config.worst.items():
            where = scalars[name]
            part = values[..., where]
            first = part[..., :1, :].expand(*part.shape[:-2], self.ticks - 1, -1)
            during = torch.cat((first, part), dim=-2).unfold(-2, self.ticks, 1)
            told[..., where] = during.amin(dim=-1) if how == "min" else during.amax(dim=-1)
        return told

    def compress(self, actions: Tensor, seed: int | None = None) -> Tensor:
        """Return macro-actions [..., m] of what is done below, [..., n A] in its units.

        `n` is `stride`. The middle of the actuators' range all the while, mostly rest, is 0. With a
        `seed`, as in training, they are blurred.
        """
        scaled = ((actions - self.below_centre) / self.below_extent).flatten(-2)
        code = self.compression(scaled) - self.compression(scaled.new_zeros(scaled.shape[-1]))
        if seed is not None and self.config.noise:
            generator = torch.Generator().manual_seed(seed)
            blur = torch.randn(code.shape, generator=generator).to(code.device)
            code = code + self.config.noise * blur
        bounded: Tensor = REACH * (code / REACH).tanh()
        return bounded


def _network(widths: tuple[int, ...]) -> nn.Sequential:
    pairs = list(itertools.pairwise(widths))
    layers = [part for a, b in pairs[:-1] for part in (nn.Linear(a, b), nn.SiLU())]
    return nn.Sequential(*layers, nn.Linear(*pairs[-1]))


__all__ = ["REACH", "Level"]
