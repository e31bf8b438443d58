"""Perception that remembers what went out of sight, and knows how far its forecasts usually miss.

Source: Kahneman, Treisman, Gibbs (1992), object files: what was last seen of a thing is kept while
it is hidden; Nix, Weigend (1994) for an error that is itself predicted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from agent.core.messages import Directive, Forecast, Observation, Percept
from agent.core.protocols import Inbox, Ports, Site
from agent.core.settings import Settings
from modules.perception.state import StatePerception


class HoldPerception(nn.Module):
    """Keeps the last value of every sensor while it is not valid or not attended to; encodes that.

    Nothing of what is hidden gets in; that it goes on existing, and when and where it will be seen
    again, has to be predicted from what was last seen of it and for how long ago that was, if a
    sensor shows that. Surprise is the latent error of the forecast over what such forecasts usually
    miss by, dimension by dimension, learned after the world model: 1 is usual, whether the moment
    was easy to predict or not.
    """

    class Config(Settings):
        """`width` and `compressed` as in `state`; the error's predictor: hidden layer, and limit.

        No error is expected to be larger than in all but the `excused` share of moments seen.
        """

        width: int = Field(default=128, ge=1)
        compressed: tuple[str, ...] = ()
        error_width: int = Field(default=128, ge=1)
        excused: float = Field(default=0.03, gt=0, lt=1)

    reads: ClassVar[tuple[type, ...]] = (Observation, Directive)
    recalls: ClassVar[tuple[type, ...]] = (Forecast,)
    posts: ClassVar[type] = Percept

    def __init__(self, config: Config, site: Site) -> None:
        """Build an untrained encoder. Raises ValueError for an unknown sensor."""
        super().__init__()
        encoder = StatePerception.Config(width=config.width, compressed=config.compressed)
        self.state = StatePerception(encoder, site)
        self.usual = UsualError(site.latent, config.error_width)
        self._excused = config.excused
        self._held = torch.zeros(0)

    def ports(self) -> Ports:
        """Insist on the body's sensor layout and promise a latent of the site's size."""
        return self.state.ports()

    def fit_normaliser(self, values: Tensor) -> None:
        """Take mean and deviation of sensor values [..., O], as `state` does."""
        self.state.fit_normaliser(values)

    def encode(self, values: Tensor) -> Tensor:
        """Return latents [..., Z] of packed sensor values [..., O]; differentiable."""
        return self.state.encode(values)

    def hold(self, observation: Observation) -> Tensor:
        """Return values [B O] with the last valid ones where a sensor is not valid or not finite.

        What was not valid since the episode began reads its training mean.
        """
        unknown = self.state.mean.expand_as(observation.values)
        if self._held.shape != observation.values.shape:
            self._held = unknown
        kept = torch.where(observation.first.unsqueeze(1), unknown, self._held)
        shown = observation.valid[:, self.state.sensor] & observation.values.isfinite()
        self._held = torch.where(shown, observation.values, kept)
        return self._held.clone()

    def surprise_loss(self, forecast: Tensor, spread: Tensor, latents: Tensor) -> Tensor:
        """Return how badly the usual error explains that `latents` came, [n Z]; lower is better.

        The negative log-likelihood, but for a constant, of a Laplace distribution around forecasts
        [n Z] of spreads [n]. Its tails are heavy: rare misses do not excuse the others.
        """
        log_scale = self.usual(forecast, spread)
        loss: Tensor = ((latents - forecast).abs() * (-log_scale).exp() + log_scale).mean()
        return loss

    @torch.no_grad()
    def limit_surprise(self, forecast: Tensor, spread: Tensor) -> None:
        """Let no error be expected that is rare among forecasts [n Z] of spreads [n].

        Without it a state unlike any seen, such as the inside of a wall, could excuse itself.
        """
        self.usual.most.fill_(torch.inf)
        self.usual.most.copy_(self.usual(forecast, spread).quantile(1.0 - self._excused, dim=0))

    def reset(self, batch: int) -> None:
        """Forget what was seen."""
        self._held = torch.zeros(0)

    @torch.no_grad()
    def tick(self, inbox: Inbox) -> Percept:
        """Return the percept of what is seen and held, and the surprise of the last forecast."""
        observation, attention = inbox[Observation], inbox[Directive].attention
        looked = attention > 0
        observation = replace(observation, valid=observation.valid & looked)
        missing = (~observation.valid[:, self.state.sensor]).sum(dim=1, dtype=torch.float32)
        held = self.state.normalise(self.hold(observation))
        scale = torch.where(looked, attention, 1.0)
        latent = self.state.embed(held * scale[:, self.state.sensor])
        forecast = inbox.last(Forecast)
        if forecast is None:
            return Percept(latent, missing.sqrt(), torch.zeros_like(missing))
        log_scale = self.usual(forecast.latent, forecast.spread)
        surprise = ((latent - forecast.latent).abs() * (-log_scale).exp()).mean(dim=1)
        variance = 2 * (2 * log_scale).exp().sum(dim=1)
        return Percept(latent, (variance + missing).sqrt(), surprise)


class UsualError(nn.Module):
    """Predicts the log of how far a latent is from its forecast, [n Z] of forecasts [n Z].

    That is the mean absolute error of each dimension; `spread` [n] is the forecast's own. `most`
    [Z] bounds it.
    """

    most: Tensor

    def __init__(self, latent: int, width: int) -> None:
        """Build an untrained predictor: an error of 1 everywhere."""
        super().__init__()
        last = nn.Linear(width, latent)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        hidden = nn.Linear(width, width)
        first = nn.Linear(latent + 1, width)
        self.register_buffer("most", torch.full((latent,), 3.0))
        self.network = nn.Sequential(first, nn.SiLU(), hidden, nn.SiLU(), last)

    def forward(self, forecast: Tensor, spread: Tensor) -> Tensor:
        """Return log errors, never below -7, so that no surprise is boundless, or above `most`."""
        known = spread.clamp(min=1e-6).log().unsqueeze(-1)
        raw: Tensor = self.network(torch.cat((forecast, known), dim=-1))
        return torch.minimum(raw.clamp(min=-7.0), self.most)
