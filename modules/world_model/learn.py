"""Self-supervised training of an encoder and a world model together.

Source: LeCun (2022) sec. 4.5-4.6; Bardes, Ponce, LeCun (2022), VICReg; inverse dynamics as the
second guard against collapse: Pathak et al. (2017).
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from agent.core.settings import Settings
from modules.world_model.jepa import JEPA
from modules.world_model.objectives import VICReg, collapse

MIX = 1_000_003
"""Prime that keeps the minibatch seeds of different runs apart."""

COLLAPSE_EVERY = 100
"""Steps between looks at the latents' deviations and effective rank, for the log."""


class Encoder(Protocol):
    """What the learner needs of perception: a trainable `nn.Module` with `encode`."""

    def encode(self, values: Tensor) -> Tensor:
        """Return latents [..., Z] of packed sensors [..., O]; differentiable."""
        ...


class Experience(Protocol):
    """Where minibatches come from."""

    def windows(self, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw sensors [count length+1 O] and commands [count length A]."""
        ...


class Learner(nn.Module):
    """Takes gradient steps on: prediction of latents several steps ahead, VICReg, inverse dynamics.

    Every member learns from its own minibatch. The minibatch of a step is a function of (seed,
    step) alone, so a run resumed from `state_dict` and `optimiser` continues bit for bit.
    """

    class Config(Settings):
        """Optimisation and the weights of the criteria.

        `batch` windows per member and step, of `horizon` ticks; `inverse` weighs inverse dynamics.
        The learning rate warms up over 1 % of `steps`, then falls to 1 % of `rate` as a cosine.
        """

        steps: int = Field(default=14_000, ge=1)
        batch: int = Field(default=64, ge=2)
        horizon: int = Field(default=6, ge=1)
        rate: float = Field(default=2e-3, gt=0)
        clip: float = Field(default=1.0, gt=0)
        prediction: float = Field(default=1.0, gt=0)
        inverse: float = Field(default=2.0, ge=0)
        vicreg: VICReg.Config = VICReg.Config()

    def __init__(self, config: Config, perception: nn.Module, model: JEPA, seed: int = 0) -> None:
        """Prepare to train `perception` (which must satisfy `Encoder`) and `model` in place."""
        super().__init__()
        self.config, self.seed = config, seed
        self.perception, self.model = perception, model
        size, width = model.site.latent, 64
        self.inverse = nn.Sequential(
            nn.Linear(2 * size, width), nn.SiLU(), nn.Linear(width, model.site.actuators.size)
        )
        self._vicreg = VICReg(config.vicreg)
        self.optimiser = torch.optim.Adam(self.parameters(), lr=config.rate, fused=True)

    def step(self, index: int, experience: Experience) -> dict[str, float]:
        """Take gradient step `index` and return the criteria and collapse figures of its batch."""
        config, members = self.config, self.model.members
        generator = torch.Generator().manual_seed(self.seed * MIX + index)
        values, commands = experience.windows(members * config.batch, config.horizon, generator)
        for group in self.optimiser.param_groups:
            group["lr"] = config.rate * schedule(index, config.steps)
        latents = self.perception.encode(values)  # type: ignore[operator]
        prediction = self._prediction(latents, commands)
        penalty, figures = self._vicreg(latents[:, 0])
        inverse = self._inverse(latents, commands)
        loss = config.prediction * prediction + penalty + config.inverse * inverse
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters(), config.clip)
        self.optimiser.step()
        figures |= {"prediction": float(prediction.detach()), "inverse": float(inverse.detach())}
        if index % COLLAPSE_EVERY == 0:
            figures |= collapse(latents[:, 0])
        return figures

    @torch.no_grad()
    def evaluate(self, experience: Experience, horizon: int, count: int = 512) -> dict[str, float]:
        """Return held-out figures: latent error per step relative to staying put, and collapse.

        `relative_error_h` is the rms latent error after h ticks over the rms change of the latent;
        the spread of `model` is calibrated to the one-step error measured here.
        """
        generator = torch.Generator().manual_seed(self.seed)
        values, commands = experience.windows(count, horizon, generator)
        latents = self.perception.encode(values)  # type: ignore[operator]
        ahead = self.model.imagine(latents[:, 0], commands[:, None]).latents.mean(dim=0)[:, 0]
        error = (ahead - latents[:, 1:]).square().sum(dim=-1)
        change = (latents[:, 1:] - latents[:, :1]).square().sum(dim=-1)
        forecast = self.model.forecast(latents[:, 0], commands[:, 0])
        self.model.calibrate_spread(forecast.spread, error[:, 0].sqrt())
        figures = collapse(latents[:, 0])
        for h in sorted({1, horizon}):
            ratio = error[:, h - 1].mean() / change[:, h - 1].mean()
            figures[f"relative_error_{h}"] = float(ratio.sqrt())
        return figures

    def _prediction(self, latents: Tensor, commands: Tensor) -> Tensor:
        members, batch = self.model.members, self.config.batch
        own = latents.reshape(members, batch, *latents.shape[1:])
        moves = commands.reshape(members, batch, *commands.shape[1:])
        states, error = own[:, :, 0], torch.zeros(())
        for h in range(self.config.horizon):
            states = self.model.step(states, moves[:, :, h])
            error = error + F.mse_loss(states, own[:, :, h + 1])
        return error / self.config.horizon

    def _inverse(self, latents: Tensor, commands: Tensor) -> Tensor:
        pairs = torch.cat((latents[:, :-1], latents[:, 1:]), dim=-1)
        target = (commands - self.model.centre) / self.model.extent
        return F.mse_loss(self.inverse(pairs), target)


def schedule(index: int, steps: int) -> float:
    """Return the share of the peak learning rate at step `index` of `steps`: warm-up and cosine."""
    warm = max(steps // 100, 1)
    if index < warm:
        return (index + 1) / warm
    done = min((index - warm) / max(steps - warm, 1), 1.0)
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * done))
