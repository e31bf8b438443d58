"""Perception from sensors: a normaliser and a small encoder.

Source: LeCun (2022) sec. 3, "perception module"; sec. 4.4 for the encoder of a JEPA.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from agent.core.errors import expect_sensors
from agent.core.messages import Directive, Forecast, Observation, Percept
from agent.core.protocols import Inbox, Ports, Site
from agent.core.settings import Settings
from agent.core.spec import Spec
from modules.perception.surprise import EPSILON, percept


class StatePerception(nn.Module):
    """Encodes packed sensors [B O] into a latent [B Z]: a linear map plus a small network.

    Sensors are normalised with statistics of exploration (`fit_normaliser`). A sensor that is not
    valid, or not attended to, is replaced by its training mean, and each of its scalars adds 1 to
    the squared uncertainty, which otherwise is the squared spread of the last forecast. Attention
    scales the normalised sensors. What is only taught (`Channel.taught`) is never looked at.
    """

    class Config(Settings):
        """`width` of the two hidden layers; sensors named in `compressed` pass a log first.

        Compression, sign(x) log(1 + |x|), tames spiky quantities such as contact forces. Sensors
        named in `angles` are in rad, and seen as sine and cosine: a whole turn changes nothing.
        """

        width: int = Field(default=128, ge=1)
        compressed: tuple[str, ...] = ()
        angles: tuple[str, ...] = ()

    reads: ClassVar[tuple[type, ...]] = (Observation, Directive)
    recalls: ClassVar[tuple[type, ...]] = (Forecast,)
    posts: ClassVar[type] = Percept

    mean: Tensor
    scale: Tensor
    log: Tensor
    sensor: Tensor

    def __init__(self, config: Config, site: Site) -> None:
        """Build an untrained encoder. Raises ValueError if a sensor named does not exist."""
        super().__init__()
        self.site = site
        for option in ("compressed", "angles"):
            expect_sensors(option, getattr(config, option), site.sensors.names)
        channels = site.sensors.channels
        sensor = torch.arange(len(channels)).repeat_interleave(
            torch.tensor([c.size for c in channels])
        )
        scalars = torch.arange(site.sensors.size)
        turning = torch.cat([scalars[:0], *(scalars[site.sensors[n]] for n in config.angles)])
        self._turning = turning if len(turning) else None
        sensor = torch.cat((sensor, sensor[turning]))  # cosines come last
        size = len(sensor)
        self.encoder = nn.Sequential(
            nn.Linear(size, config.width),
            nn.SiLU(),
            nn.Linear(config.width, config.width),
            nn.SiLU(),
            nn.Linear(config.width, site.latent),
        )
        self.linear = nn.Linear(size, site.latent, bias=False)
        log = torch.zeros(size, dtype=torch.bool)
        for name in config.compressed:
            log[site.sensors[name]] = True
        taught = torch.tensor([c.taught for c in channels])[sensor]
        self._taught = taught.nonzero().squeeze(1) if bool(taught.any()) else None
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.register_buffer("log", log, persistent=False)
        self.register_buffer("sensor", sensor, persistent=False)

    def ports(self) -> Ports:
        """Insist on the body's sensor layout and promise a latent of the site's size."""
        sensors = self.site.sensors
        return Ports(
            axes={"O": sensors.size, "S": len(sensors.channels), "Z": self.site.latent},
            fields={(Observation, "values"): Spec(("B", "O"), layout=sensors)},
        )

    def fit_normaliser(self, values: Tensor) -> None:
        """Take mean and deviation of sensor values [..., O]; constant sensors keep scale 1."""
        flat = self._shown(values).flatten(0, -2)
        deviation = flat.std(dim=0)
        self.mean.copy_(flat.mean(dim=0))
        self.scale.copy_(torch.where(deviation > EPSILON, deviation, torch.ones_like(deviation)))

    def encode(self, values: Tensor) -> Tensor:
        """Return latents [..., Z] of packed sensor values [..., O]; differentiable."""
        return self.embed(self.normalise(values))

    def reset(self, batch: int) -> None:
        """Nothing to forget: all state is recalled from the last forecast."""

    @torch.no_grad()
    def tick(self, inbox: Inbox) -> Percept:
        """Return the percept of this tick's observation and the surprise of the last forecast."""
        observation, attention = inbox[Observation], inbox[Directive].attention
        valid = (observation.valid & (attention > 0))[:, self.sensor]
        if self._taught is not None:
            valid = valid.index_fill(1, self._taught, True)
        seen = torch.where(valid, self.normalise(observation.values), torch.zeros(()))
        latent = self.embed(seen * attention[:, self.sensor])
        missing = (~valid).sum(dim=1, dtype=latent.dtype)
        return percept(latent, missing, inbox.last(Forecast))

    def embed(self, normalised: Tensor) -> Tensor:
        """Return latents [..., Z] of sensors that are normalised already (`normalise`)."""
        if self._taught is not None:
            normalised = normalised.index_fill(-1, self._taught, 0.0)
        latents: Tensor = self.linear(normalised) + self.encoder(normalised)
        return latents

    def normalise(self, values: Tensor) -> Tensor:
        """Return sensor values [..., O] compressed, less the mean, over the deviation.

        Of angles, the sine stands in their place, and the cosines of all after everything else.
        """
        return (self._shown(values) - self.mean) / self.scale

    def _shown(self, values: Tensor) -> Tensor:
        if self._turning is not None:
            turning = values[..., self._turning]
            turned = values.index_copy(-1, self._turning, turning.sin())
            values = torch.cat((turned, turning.cos()), dim=-1)
        return torch.where(self.log, values.sign() * values.abs().log1p(), values)
