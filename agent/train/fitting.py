"""What is fitted onto a frozen perception and world model: completion, usual errors, readouts.

Source: Alain, Bengio (2016), probes of what a representation holds; LeCun (2022) sec. 3.3 and 4.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from pydantic import Field
from torch import Tensor, nn

from agent.core.messages import Observation
from agent.core.protocols import Encoder, WorldModel
from agent.core.settings import Settings
from agent.train.dataset import Dataset
from agent.train.progress import Figures, Ledger, descend

MIX = 1_000_003


class Fit(Settings):
    """How long a probe is fitted, on how many windows a step, of how many ticks."""

    steps: int = Field(default=3000, ge=1)
    batch: int = Field(default=64, ge=1)
    horizon: int = Field(default=16, ge=1)
    rate: float = Field(default=2e-3, gt=0)


@runtime_checkable
class Explaining(Protocol):
    """A world model that can say with which latent variable it would have foreseen what came."""

    def explain(self, latents: Tensor, actions: Tensor) -> Tensor | None:
        """Return z for `imagine`, of latents [n L+1 Z] under actions [n L A]; None without z."""
        ...


@runtime_checkable
class Completing(Protocol):
    """A perception that fills in missing sensors by reading latents with a decoder of its own."""

    decoder: nn.Module

    def encode(self, values: Tensor) -> Tensor:
        """Return latents [..., Z] of packed sensor values [..., O]; differentiable."""
        ...

    def completion_loss(self, latents: Tensor, values: Tensor) -> Tensor:
        """Return the decoder's mean squared error, in the sensors' variances; a mean says 1."""
        ...


def fit_completion(
    perception: Completing,
    model: WorldModel,
    dataset: Dataset,
    config: Fit,
    ledger: Ledger,
    seed: int = 0,
) -> Figures:
    """Fit the decoder of a perception, on encoded and on imagined latents; all else is left alone.

    Returns the held-out error on encoded latents, and on those imagined `config.horizon` ticks
    ahead, as a share of the sensors' variance.
    """
    known, held = dataset.split()
    decoder = perception.decoder.requires_grad_(True)
    _descend_probe(
        "completion", decoder, perception.completion_loss, perception, model, known, config,
        ledger, seed,
    )  # fmt: skip
    decoder.requires_grad_(False)
    values, commands = held.windows(512, config.horizon, torch.Generator().manual_seed(seed))
    latents, ahead = _imagined(perception, model, values, commands)
    with torch.no_grad():
        seen = perception.completion_loss(latents, values)
        far = perception.completion_loss(ahead.mean(dim=0)[:, -1], values[:, -1])
    return {"error_0": float(seen), f"error_{config.horizon}": float(far)}


@runtime_checkable
class Holding(Protocol):
    """A perception that remembers what sensors last showed, and how far forecasts usually miss."""

    usual: nn.Module

    def hold(self, observation: Observation) -> Tensor:
        """Return values [B O] with the last valid ones where a sensor is not valid."""
        ...

    def encode(self, values: Tensor) -> Tensor:
        """Return latents [..., Z] of packed sensor values [..., O]; differentiable."""
        ...

    def limit_surprise(self, forecast: Tensor, spread: Tensor) -> None:
        """Let no error be expected that is rare among these forecasts."""
        ...

    def surprise_loss(self, forecast: Tensor, spread: Tensor, latents: Tensor) -> Tensor:
        """Return how badly the usual error explains that `latents` came after a forecast."""
        ...


def fit_surprise(
    perception: Holding,
    model: Any,
    known: Any,
    held: Any,
    config: Fit,
    ledger: Ledger,
    seed: int = 0,
) -> Figures:
    """Fit how far one-step forecasts usually miss, on `known` windows; all else is left alone.

    Returns the loss on `held` windows, and their mean surprise: 1 if the errors are the usual ones.
    """
    usual = perception.usual.requires_grad_(True)
    optimiser = torch.optim.Adam(usual.parameters(), lr=config.rate, fused=True)

    @torch.no_grad()
    def missed(experience: Any, count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        values, commands = experience.windows(count, 1, generator)
        latents = perception.encode(values)
        forecast = model.forecast(latents[:, 0], commands[:, 0])
        return forecast.latent, forecast.spread, latents[:, 1]

    def step(index: int) -> Figures:
        for group in optimiser.param_groups:
            group["lr"] = config.rate * max(1.0 - index / config.steps, 0.01)
        loss = perception.surprise_loss(*missed(known, config.batch, seed * MIX + index))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return {"loss": float(loss.detach())}

    descend("surprise", config.steps, step, usual, optimiser, ledger)
    perception.limit_surprise(*missed(known, 4096, seed)[:2])
    usual.requires_grad_(False)
    forecast, spread, latents = missed(held, 4096, seed)
    with torch.no_grad():
        loss = perception.surprise_loss(forecast, spread, latents)
        ratio = (latents - forecast).abs() * (-perception.usual(forecast, spread)).exp()
    return {"loss": float(loss), "held_out": float(ratio.mean())}


def fit_readouts(
    readouts: Any,
    perception: Encoder,
    model: WorldModel,
    dataset: Any,
    config: Fit,
    ledger: Ledger,
    seed: int = 0,
    stage: str = "readouts",
) -> Figures:
    """Fit probes to sensors on encoded and on imagined latents; return rms errors by quantity.

    The errors of `readouts` are measured on held-out episodes over its own horizon.
    """
    readouts.fit_scale(dataset.sample())
    known, held = dataset.split()
    _descend_probe(stage, readouts, readouts.loss, perception, model, known, config, ledger, seed)
    generator = torch.Generator().manual_seed(seed)
    values, commands = held.windows(1024, readouts.horizon, generator)
    latents, ahead = _imagined(perception, model, values, commands)
    readouts.measure(torch.cat((latents[:, :1], ahead.mean(dim=0)), dim=1), values)
    errors: Figures = readouts.error()
    return errors


def _descend_probe(
    stage: str,
    part: Any,
    loss: Callable[[Tensor, Tensor], Tensor],
    perception: Encoder,
    model: WorldModel,
    known: Any,
    config: Fit,
    ledger: Ledger,
    seed: int,
) -> None:
    """Train `part` on `loss(latents, sensors)`, of encoded latents and of imagined ones alike."""
    optimiser = torch.optim.Adam(part.parameters(), lr=config.rate, fused=True)

    def step(index: int) -> Figures:
        for group in optimiser.param_groups:
            group["lr"] = config.rate * max(1.0 - index / config.steps, 0.01)
        generator = torch.Generator().manual_seed(seed * MIX + index)
        values, commands = known.windows(config.batch, config.horizon, generator)
        latents, ahead = _imagined(perception, model, values, commands)
        targets = values[:, 1:].expand(len(ahead), -1, -1, -1)
        total = loss(latents, values) + loss(ahead, targets)
        optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return {"loss": float(total.detach())}

    descend(stage, config.steps, step, part, optimiser, ledger)


@torch.no_grad()
def _imagined(
    perception: Encoder, model: WorldModel, values: Tensor, commands: Tensor
) -> tuple[Tensor, Tensor]:
    """Return latents [n L+1 Z] of sensors, and those imagined from the first [E n L Z].

    A latent variable is inferred from what came: another future would be no error.
    """
    latents = perception.encode(values)
    z = model.explain(latents, commands) if isinstance(model, Explaining) else None
    return latents, model.imagine(latents[:, 0], commands[:, None], z).latents[:, :, 0]
