"""Probes that read physical quantities out of latents, imagined ones included.

Source: LeCun (2022) sec. 3, the cost module sees the state only through perception and world
model; probes as a measure of what a latent holds: Alain, Bengio (2016).
"""

from __future__ import annotations

import itertools

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from agent.core.errors import expect_sensors
from agent.core.protocols import Site
from agent.core.settings import Settings

LEAST = 1e-6
"""Of a normalised squared error, below which the likelihood asks for no more."""


class ProbeReadouts(nn.Module):
    """Reads every scalar sensor's quantity from a latent, in the sensor's unit; no images.

    Fitted to sensors, never to a simulator's state, on latents that perception encoded and on
    latents imagined from them, so that rollouts are read without bias. `errors` [H+1 O] holds the
    held-out rms error of each scalar, by how many ticks ahead the latent was imagined (0: encoded).
    """

    class Config(Settings):
        """Hidden `layers` of `width`, quantities fitted as log(1 + |x|), and the ticks ahead.

        With `likelihood` the loss is Gaussian, its deviation, one for each scalar, the usual error:
        what hardly can be told, such as contact forces, then does not drown what can.
        Source: Kendall, Gal, Cipolla (2018) sec. 3.1, in its optimum over the deviations.
        """

        width: int = Field(default=128, ge=1)
        layers: int = Field(default=1, ge=1)
        compressed: tuple[str, ...] = ()
        horizon: int = Field(default=16, ge=1)
        rate: float = Field(default=2e-3, gt=0)
        likelihood: bool = False

    mean: Tensor
    scale: Tensor
    limit: Tensor
    errors: Tensor

    def __init__(self, config: Config, site: Site) -> None:
        """Build untrained probes. Raises ValueError if a compressed sensor does not exist."""
        super().__init__()
        self.layout, self.horizon = site.sensors.scalars, config.horizon
        expect_sensors("compressed", config.compressed, self.layout.names, "scalar sensors")
        self._likelihood = config.likelihood
        size = self.layout.size
        self._log = [self.layout[name] for name in config.compressed]
        self._where = [(channel.name, where) for channel, where in self.layout.slices()]
        widths = [site.latent, *[config.width] * config.layers]
        hidden = [(nn.Linear(a, b), nn.SiLU()) for a, b in itertools.pairwise(widths)]
        self.probe = nn.Sequential(*itertools.chain(*hidden), nn.Linear(config.width, size))
        self.linear = nn.Linear(site.latent, size, bias=False)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.register_buffer("limit", torch.zeros(size))
        self.register_buffer("errors", torch.zeros(config.horizon + 1, size))

    def read(self, latents: Tensor) -> dict[str, Tensor]:
        """Return each quantity, [..., n] in its sensor's unit, of latents [..., Z].

        A compressed quantity is never read beyond the largest size seen in training.
        """
        values = self.unpacked(latents)
        return {name: values[..., where] for name, where in self._where}

    def unpacked(self, latents: Tensor) -> Tensor:
        """Return all quantities packed like the sensors, [..., O], of latents [..., Z]."""
        values = torch.addcmul(self.mean, self._probed(latents), self.scale)
        for where in self._log:
            part = values[..., where].clamp(-self.limit[where], self.limit[where])
            values = torch.cat(
                (
                    values[..., : where.start],
                    part.sign() * part.abs().expm1(),
                    values[..., where.stop :],
                ),
                dim=-1,
            )
        return values

    def error(self) -> dict[str, float]:
        """Return the held-out rms error of each quantity in its unit, over all ticks ahead."""
        return {
            name: float(self.errors[:, where].square().mean().sqrt()) for name, where in self._where
        }

    def fit_scale(self, values: Tensor) -> None:
        """Take mean, deviation and largest size of sensor values [..., O], before fitting."""
        flat = self._compress(values).reshape(-1, self.layout.size)
        self.mean.copy_(flat.mean(dim=0))
        self.scale.copy_(flat.std(dim=0).clamp(min=1e-6))
        self.limit.copy_(flat.abs().amax(dim=0))

    def loss(self, latents: Tensor, values: Tensor) -> Tensor:
        """Return the mean squared normalised error of latents [..., Z] against sensors [..., O].

        With `likelihood`, the mean over scalars of the logarithms of theirs.
        """
        wanted = (self._compress(values) - self.mean) / self.scale
        if not self._likelihood:
            return F.mse_loss(self._probed(latents), wanted)
        squared = (self._probed(latents) - wanted).square().flatten(0, -2).mean(dim=0)
        return squared.clamp(min=LEAST).log().mean()

    @torch.no_grad()
    def measure(self, latents: Tensor, values: Tensor) -> None:
        """Keep the held-out errors of latents [n H+1 Z], step 0 encoded, against sensors."""
        shown = values[..., : self.layout.size]
        self.errors.copy_((self.unpacked(latents) - shown).square().mean(dim=0).sqrt())

    def _probed(self, latents: Tensor) -> Tensor:
        normalised: Tensor = self.linear(latents) + self.probe(latents)
        return normalised

    def _compress(self, values: Tensor) -> Tensor:
        packed = values[..., : self.layout.size].clone()
        for where in self._log:
            packed[..., where] = values[..., where].sign() * values[..., where].abs().log1p()
        return packed
