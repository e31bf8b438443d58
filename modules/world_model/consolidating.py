"""A world model that learns asleep, from what memory replays to it.

Source: McClelland, McNaughton, O'Reilly (1995), complementary learning systems: what memory took in
quickly is taught to the slow learner by replay; Sutton (1991), Dyna, for replay in planning agents.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from agent.core.messages import Forecast
from agent.core.protocols import Site
from agent.core.replay import Replay
from modules.world_model.jepa import JEPA, MIX
from modules.world_model.variable import LatentVariable


class Consolidating(JEPA):
    """A `jepa` whose weights go on learning between episodes; awake it is `jepa` bit for bit.

    Perception stays, so latents that memory holds keep their meaning. With `learns: commands` only
    what commands do to the first layer changes: a few episodes say little about all the rest.
    """

    class Config(JEPA.Config):
        """As `jepa`; a sleep is `steps` of `batch` pieces a network, at Adam's `rate`, to zero."""

        learns: Literal["commands", "all"] = "commands"
        steps: int = Field(default=300, ge=0)
        batch: int = Field(default=64, ge=1)
        rate: float = Field(default=1e-2, gt=0)
        clip: float = Field(default=1.0, gt=0)

    posts: ClassVar[type] = Forecast
    adapts: ClassVar[bool] = True

    def __init__(
        self, config: Config, site: Site, latent_variable: LatentVariable | None = None
    ) -> None:
        """Build an untrained ensemble.

        Raises ValueError with a latent variable: what surprised could then be either's to explain.
        """
        super().__init__(config, site)
        if latent_variable is not None:
            raise ValueError("expected no latent_variable, came one; use jepa, or leave it out")
        self.config = config

    @torch.enable_grad()
    def consolidate(self, known: Replay, held: Replay, seed: int = 0) -> dict[str, float]:
        """Learn to foresee the latents of `known`, tick by tick from their first; return the loss.

        Every network draws pieces of its own. The spread is scaled to the error on `held`, from
        which nothing else is learned, where that is larger than the networks' deviation says.
        """
        config, networks = self.config, (self.ensemble, self.config.batch)
        some_only = config.learns == "commands"
        learns = list(self.first.parameters() if some_only else self.parameters())
        optimiser = torch.optim.Adam(learns, lr=config.rate)
        draw = torch.Generator().manual_seed(self.site.seed * MIX + seed)
        loss = torch.zeros(())
        for index in range(config.steps):
            for group in optimiser.param_groups:
                group["lr"] = config.rate * (1.0 - index / config.steps)
            some = known.rows(torch.randint(len(known), networks, generator=draw))
            states, errors = some.latents[:, :, 0], []
            for tick, move in enumerate(some.commands.unbind(dim=2), start=1):
                states = self.step(states, move)
                errors.append((states - some.latents[:, :, tick]).square().mean())
            loss = torch.stack(errors).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            if some_only and self.first.weight.grad is not None:
                self.first.weight.grad[:, : self.site.latent] = 0.0
            nn.utils.clip_grad_norm_(learns, config.clip)
            optimiser.step()
        self._own_up(held)
        return {"loss": float(loss.detach())}

    @torch.no_grad()
    def _own_up(self, held: Replay) -> None:
        """Widen the spread to the error made on `held`; never narrow it."""
        before = self.spread_scale.clone()
        told = self.forecast(held.latents[:, 0], held.commands[:, 0])
        error = (told.latent - held.latents[:, 1]).square().sum(dim=-1).sqrt()
        self.calibrate_spread(told.spread, error)
        self.spread_scale.clamp_(min=before)
