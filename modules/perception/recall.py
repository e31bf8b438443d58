"""Perception that completes what its sensors miss from memory: what is hidden is still there.

Source: LeCun (2022) sec. 3, "short-term memory", which is queried to complete the state of the
world; object permanence: Baillargeon, Spelke, Wasserman (1985).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from agent.core.messages import Directive, Forecast, Observation, Percept, Recollection
from agent.core.protocols import Inbox, Ports, Site
from agent.core.settings import Settings
from modules.perception.filter import Decoder
from modules.perception.state import EPSILON, StatePerception


class RecallPerception(nn.Module):
    """As `state`, but a sensor that is not valid shows what memory last saw there.

    Memory is asked for the latent of the last moment in which that sensor was valid
    (`Recollection.seen`, of the last tick); a decoder reads the sensor's values from it, each time
    from that same latent, so that no error adds up. Where memory has nothing, a sensor reads its
    training mean, as in `state`; each such scalar adds 1 to the squared uncertainty.
    """

    class Config(Settings):
        """`width` and `compressed` as in `state`; hidden layer of the decoder."""

        width: int = Field(default=128, ge=1)
        compressed: tuple[str, ...] = ()
        decoder_width: int = Field(default=128, ge=1)

    reads: ClassVar[tuple[type, ...]] = (Observation, Directive)
    recalls: ClassVar[tuple[type, ...]] = (Forecast, Recollection)
    posts: ClassVar[type] = Percept

    def __init__(self, config: Config, site: Site) -> None:
        """Build an untrained encoder and decoder. Raises KeyError for an unknown sensor."""
        super().__init__()
        encoder = StatePerception.Config(width=config.width, compressed=config.compressed)
        self.state = StatePerception(encoder, site)
        self.decoder = Decoder(site.latent, config.decoder_width, site.sensors.size)

    def ports(self) -> Ports:
        """Insist on the body's sensor layout and promise a latent of the site's size."""
        return self.state.ports()

    def fit_normaliser(self, values: Tensor) -> None:
        """Take mean and deviation of sensor values [..., O], as `state` does."""
        self.state.fit_normaliser(values)

    def encode(self, values: Tensor) -> Tensor:
        """Return latents [..., Z] of packed sensor values [..., O]; differentiable."""
        return self.state.encode(values)

    def completion_loss(self, latents: Tensor, values: Tensor) -> Tensor:
        """Return the decoder's mean squared error from latents [..., Z] to sensors [..., O].

        In units of the sensors' deviations: 1 is what always saying the mean would cost.
        """
        return F.mse_loss(self.decoder(latents), self.state.normalise(values))

    def reset(self, batch: int) -> None:
        """Nothing to forget: memory is a module of its own."""

    @torch.no_grad()
    def tick(self, inbox: Inbox) -> Percept:
        """Return the percept of what is shown and recollected, and the last forecast's surprise."""
        observation, attention = inbox[Observation], inbox[Directive].attention
        sensor = self.state.sensor
        shown = observation.valid[:, sensor] & observation.values.isfinite()
        values, known = self._completed(inbox.last(Recollection), shown)
        values = self.state.normalise(observation.values).where(shown, values)
        latent = self.state.embed(values * attention[:, sensor])
        missing = (~(shown | known)).sum(dim=1, dtype=latent.dtype)
        forecast = inbox.last(Forecast)
        if forecast is None:
            return Percept(latent, missing.sqrt(), torch.zeros_like(missing))
        variance = forecast.spread.square() + forecast.z_spread.square()
        error = (latent - forecast.latent).square().sum(dim=1)
        return Percept(latent, (variance + missing).sqrt(), error / variance.clamp(min=EPSILON))

    def _completed(self, past: Recollection | None, shown: Tensor) -> tuple[Tensor, Tensor]:
        """Return normalised values [B O] as memory has them, and where it has any, [B O].

        The decoder is asked only if a sensor is missing (`shown` [B O]).
        """
        nothing = torch.zeros_like(shown, dtype=torch.float32), torch.zeros_like(shown)
        if past is None or past.seen is None or past.unseen is None or bool(shown.all()):
            return nothing
        sensor = self.state.sensor
        scalars = torch.arange(len(sensor))
        values = self.decoder(past.seen)[:, sensor, scalars]
        known = (past.unseen >= 0)[:, sensor] & values.isfinite()
        return values.where(known, nothing[0]), known
