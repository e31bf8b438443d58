"""Perception from sensors and prediction: what sensors miss, the world model fills in.

Source: LeCun (2022) sec. 3, "perception module", and sec. 4 (completing what is not observed);
the gain: Kalman (1960).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Directive, Forecast, Observation, Percept
from agent.core.protocols import Inbox, Site
from modules.perception.completion import Completion
from modules.perception.surprise import EPSILON


class FilterPerception(Completion):
    """Fuses the new observation with the last forecast, scalar by scalar, then encodes it.

    A decoder reads from the forecast what the sensors should show. Each scalar is moved from there
    to what was measured by a gain: 0 where nothing was (invalid, not finite, or unattended), 1
    where a measurement is free of noise. With every scalar measured and no noise the latent is
    that of `state`; with none it is the forecast's. See README.md beside it for the equations.
    """

    class Config(Completion.Config):
        """`width` and `compressed` as in `state`; hidden layer of the decoder; noise.

        `observation_noise` is the deviation that sensors' own errors give the latent, over all its
        dimensions, as a forecast's spread is.
        """

        observation_noise: float = Field(default=0.0, ge=0)

    recalls: ClassVar[tuple[type, ...]] = (Forecast,)
    posts: ClassVar[type] = Percept

    def __init__(self, config: Config, site: Site) -> None:
        """Build an untrained encoder and decoder. Raises ValueError for an unknown sensor."""
        super().__init__(config, site)
        self._noise = config.observation_noise**2
        self._variance = torch.zeros(0)

    def reset(self, batch: int) -> None:
        """Forget how uncertain each scalar was."""
        self._variance = torch.zeros(batch, self.state.site.sensors.size)

    @torch.no_grad()
    def tick(self, inbox: Inbox) -> Percept:
        """Return the state that observation and forecast suggest, and how sure that is."""
        observation, attention = inbox[Observation], inbox[Directive].attention
        measured = observation.valid[:, self.state.sensor] & observation.values.isfinite()
        shown = self.state.normalise(observation.values).where(measured, torch.zeros(()))
        prior = self._prior(inbox.last(Forecast), shown)

        gain = prior.variance / (prior.variance + self._noise)
        gain = gain * attention[:, self.state.sensor] * measured
        rest = (1.0 - gain).clamp(min=0.0)
        self._variance = rest * prior.variance
        latent = self.state.embed(gain * shown + rest * prior.shown)
        lost = prior.latent - self.state.embed(prior.shown)
        latent = latent + rest.mean(dim=1, keepdim=True) * lost

        error = (latent - prior.latent).square().sum(dim=1)
        allowed = ((1.0 - rest) * prior.variance).mean(dim=1)
        surprise = error / allowed.clamp(min=EPSILON) * (prior.known & (allowed > 0))
        return Percept(latent, self._variance.mean(dim=1).sqrt(), surprise)

    def _prior(self, forecast: Forecast | None, like: Tensor) -> Prior:
        """Return what is known before looking; `like` are sensors [B O].

        Without a forecast, or where it is not finite, that is the training mean, with the variance
        of all latents: training keeps the deviation of each dimension near 1.
        """
        mean, wide = torch.zeros_like(like), torch.full_like(like, float(self.state.site.latent))
        nowhere = self.state.embed(mean)
        if forecast is None:
            return Prior(nowhere, mean, wide, torch.zeros(len(like), dtype=torch.bool))
        known = forecast.latent.isfinite().all(dim=1) & forecast.spread.isfinite()
        row = known.unsqueeze(1)
        missed = forecast.spread.square() + forecast.z_spread.square()
        variance = (self._variance + missed.unsqueeze(1)).clamp(min=EPSILON)
        return Prior(
            forecast.latent.where(row, nowhere),
            self.decoder(forecast.latent).where(row, mean),
            variance.where(row, wide),
            known,
        )


@dataclass(frozen=True, slots=True)
class Prior:
    """What is expected before looking.

    `latent` [B Z]; what the sensors should then show, normalised, `shown` [B O]; each scalar's
    `variance` [B O], in the latent's units; whether anything was forecast, `known` [B].
    """

    latent: Tensor
    shown: Tensor
    variance: Tensor
    known: Tensor
