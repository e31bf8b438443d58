"""Self-supervised training of an encoder and a world model together.

Source: LeCun (2022) sec. 4.5-4.6; the objectives are parts, each with its own source; slow targets:
Grill et al. (2020), BYOL.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from pydantic import Field
from torch import Tensor, nn

from agent.core.settings import Settings
from modules.world_model.diagnosis import collapse, collapsed, criteria, deviations
from modules.world_model.jepa import JEPA
from modules.world_model.views import Objective, Views

MIX = 1_000_003
"""Prime that keeps the minibatch seeds of different runs apart."""

COLLAPSE_EVERY = 100
"""Steps between looks at the latents' collapse and the four criteria, for the log."""

RECIPE: list[dict[str, Any]] = [
    {"use": "prediction", "weight": 1.0},
    {"use": "vicreg", "weight": 1.0, "variance": 1.0, "covariance": 0.2},
    {"use": "inverse", "weight": 2.0},
]
"""The objectives of a config that lists none."""


class Encoder(Protocol):
    """What the learner needs of perception: a trainable `nn.Module` with `encode`."""

    def encode(self, values: Tensor) -> Tensor:
        """Return latents [..., Z] of packed sensors [..., O]; differentiable."""
        ...


@runtime_checkable
class Augmenting(Protocol):
    """An encoder that wants to see its sensors changed while it is trained."""

    def augment(self, values: Tensor, seed: int) -> Tensor:
        """Return sensors [..., O], changed as a function of `seed`."""
        ...


class Experience(Protocol):
    """Where minibatches come from."""

    def windows(self, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw sensors [count length+1 O] and commands [count length A]."""
        ...


class Learner(nn.Module):
    """Takes gradient steps on the weighted sum of objectives, for encoder and predictor at once.

    Every member learns from its own minibatch. The minibatch of a step is a function of (seed,
    step) alone, so a run resumed from `state_dict` and `optimiser` continues bit for bit.
    """

    class Config(Settings):
        """Optimisation, the objectives, and what a prediction should hit.

        `batch` windows per member and step, of `horizon` ticks; `objectives` are parts of the slot
        `objective`. Targets are the encoder's own codes: `shared` trains it through both sides,
        `detached` through the first only; `ema` are those of a slow copy that keeps `decay` of
        itself at each step. The learning rate warms up over 1 % of `steps`, then falls to 1 % of
        `rate` as a cosine.
        """

        steps: int = Field(default=14_000, ge=1)
        batch: int = Field(default=64, ge=2)
        horizon: int = Field(default=6, ge=1)
        rate: float = Field(default=2e-3, gt=0)
        clip: float = Field(default=1.0, gt=0)
        objectives: list[dict[str, Any]] = RECIPE
        target: Literal["shared", "detached", "ema"] = "shared"
        decay: float = Field(default=0.99, ge=0, lt=1)

    def __init__(
        self,
        config: Config,
        perception: nn.Module,
        model: JEPA,
        objectives: Sequence[Objective],
        seed: int = 0,
    ) -> None:
        """Prepare to train `perception` (which must satisfy `Encoder`) and `model` in place.

        `objectives` are those that `config.objectives` names, built.
        """
        super().__init__()
        self.config, self.seed = config, seed
        self.perception, self.model = perception, model
        self.objectives = nn.ModuleList(o for o in objectives if isinstance(o, nn.Module))
        self._objectives = tuple(objectives)
        trained = list(self.parameters())
        self.slow: nn.Module | None = None
        if config.target == "ema":
            self.slow = copy.deepcopy(perception).requires_grad_(False)
        self.optimiser = torch.optim.Adam(trained, lr=config.rate, fused=True)

    def step(self, index: int, experience: Experience) -> dict[str, float]:
        """Take gradient step `index` and return the criteria and collapse figures of its batch."""
        config, seed = self.config, self.seed * MIX + index
        generator = torch.Generator().manual_seed(seed)
        count = self.model.members * config.batch
        values, commands = experience.windows(count, config.horizon, generator)
        for group in self.optimiser.param_groups:
            group["lr"] = config.rate * schedule(index, config.steps)
        views = self._views(values, commands, seed)
        loss, figures = torch.zeros(()), dict[str, float]()
        for objective in self._objectives:
            penalty, found = objective(views)
            loss = loss + objective.config.weight * penalty
            figures |= found
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters(), config.clip)
        self.optimiser.step()
        self._follow()
        figures["loss"] = float(loss.detach())
        if index % COLLAPSE_EVERY == 0 and math.isfinite(figures["loss"]):
            latents = views.latents.detach()
            figures |= collapse(latents[:, 0]) | criteria(latents, views.predicted)
            figures |= deviations(latents[:, 0])
        return figures

    @torch.no_grad()
    def evaluate(self, experience: Experience, horizon: int, count: int = 512) -> dict[str, float]:
        """Return held-out figures: latent error per step relative to staying put, and collapse.

        `relative_error_h` is the rms latent error after h ticks over the rms change of the latent;
        `collapsed` is 1 if the latents say too little to be of use; see `diagnosis` for the others.
        The spread of `model` is calibrated to the one-step error measured here.
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
        figures["collapsed"] = collapsed(figures, latents.shape[-1])
        figures |= criteria(latents, ahead)
        for h in sorted({1, horizon}):
            ratio = error[:, h - 1].mean() / change[:, h - 1].mean().clamp(min=1e-12)
            figures[f"relative_error_{h}"] = float(ratio.sqrt())
        return figures

    def _views(self, values: Tensor, commands: Tensor, seed: int) -> Views:
        if isinstance(self.perception, Augmenting):
            values = self.perception.augment(values, seed)
        latents = self.perception.encode(values)  # type: ignore[operator]
        targets = latents.detach() if self.config.target == "detached" else latents
        if self.slow is not None:
            _copy_buffers(self.slow, self.perception)
            with torch.no_grad():
                targets = self.slow.encode(values)  # type: ignore[operator]
        scaled = (commands - self.model.centre) / self.model.extent
        return Views(latents, targets, self._predicted(latents, commands), scaled, seed)

    def _predicted(self, latents: Tensor, commands: Tensor) -> Tensor:
        """Return every member's own trajectory from the first of latents [n L+1 Z], as [n L Z]."""
        members, batch = self.model.members, self.config.batch
        states = latents.reshape(members, batch, *latents.shape[1:])[:, :, 0]
        moves = commands.reshape(members, batch, *commands.shape[1:])
        steps = []
        for h in range(self.config.horizon):
            states = self.model.step(states, moves[:, :, h])
            # A view per step: gradients then add up in time's order, however the steps are used.
            steps.append(states.view_as(states))
        return torch.stack(steps, dim=2).flatten(0, 1)

    @torch.no_grad()
    def _follow(self) -> None:
        """Let the slow copy keep `decay` of its weights and take the rest from perception."""
        if self.slow is None:
            return
        for slow, fast in zip(self.slow.parameters(), self.perception.parameters(), strict=True):
            slow.lerp_(fast, 1.0 - self.config.decay)


@torch.no_grad()
def _copy_buffers(to: nn.Module, source: nn.Module) -> None:
    """Copy what is not trained, such as a normaliser fitted after the copy was made."""
    for own, other in zip(to.buffers(), source.buffers(), strict=True):
        own.copy_(other)


def schedule(index: int, steps: int) -> float:
    """Return the share of the peak learning rate at step `index` of `steps`: warm-up and cosine."""
    warm = max(steps // 100, 1)
    if index < warm:
        return (index + 1) / warm
    done = min((index - warm) / max(steps - warm, 1), 1.0)
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * done))
