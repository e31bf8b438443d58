"""Self-supervised training of an encoder and a world model together.

Source: LeCun (2022) sec. 4.5-4.6; the objectives are parts, each with its own source; slow targets:
Grill et al. (2020), BYOL.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from agent.core.settings import Settings
from modules.world_model.diagnosis import collapse, collapsed, criteria, deviations
from modules.world_model.jepa import JEPA
from modules.world_model.lessons import Above, Augmented, Augmenting, Compressing, Experience
from modules.world_model.views import Objective, Views

MIX = 1_000_003
"""Prime that keeps the minibatch seeds of different runs apart."""

COLLAPSE_EVERY = 100
"""Steps between looks at the latents' collapse and the four criteria, for the log."""

WARM_PRICE = 0.5
"""Share of the steps over which the price of a latent variable's information rises to its own."""

RECIPE: list[dict[str, Any]] = [
    {"use": "prediction", "weight": 1.0},
    {"use": "vicreg", "weight": 1.0, "variance": 1.0, "covariance": 0.2},
    {"use": "inverse", "weight": 2.0},
]
"""The objectives of a config that lists none."""


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
        `rate` as a cosine. Steps are computed on `device`, such as cpu or cuda. With `residual`, a
        latent variable explains only what the prediction without it, z = 0, leaves open: that one
        alone shapes codes and macro-actions, so that z takes nothing over that they could say. The
        criteria of the log are then those of that one; held-out figures are told z in either case.
        """

        steps: int = Field(default=14_000, ge=1)
        batch: int = Field(default=64, ge=2)
        horizon: int = Field(default=6, ge=1)
        rate: float = Field(default=2e-3, gt=0)
        clip: float = Field(default=1.0, gt=0)
        objectives: list[dict[str, Any]] = RECIPE
        target: Literal["shared", "detached", "ema"] = "shared"
        decay: float = Field(default=0.99, ge=0, lt=1)
        device: str = "cpu"
        residual: bool = False

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
        config = self.config
        for group in self.optimiser.param_groups:
            group["lr"] = config.rate * schedule(index, config.steps)
        loss, figures = self.loss(index, *self.minibatch(index, experience))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters(), config.clip)
        self.optimiser.step()
        self.follow()
        return figures

    def minibatch(self, index: int, experience: Experience) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return what step `index` learns from: sensors, commands, and a second view if there is.

        A window for every member and every one of `batch`.
        """
        config, seed = self.config, self.seed * MIX + index
        generator = torch.Generator().manual_seed(seed)
        count = self.model.ensemble * config.batch
        values, commands = experience.windows(count, config.horizon, generator)
        other = experience.view(values, generator) if isinstance(experience, Augmented) else None
        if isinstance(self.perception, Augmenting):
            values = self.perception.augment(values, seed)
        other = None if other is None else other.to(config.device)
        return values.to(config.device), commands.to(config.device), other

    def loss(
        self, index: int, values: Tensor, commands: Tensor, other: Tensor | None = None
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the weighted sum of the objectives at step `index`, with gradients, and figures.

        Of a minibatch as `minibatch` returns it. Steps may go on beyond those of the config.
        """
        share = min(1.0, index / (WARM_PRICE * self.config.steps))
        views, told, nats = self._views(values, commands, self.seed * MIX + index, share, other)
        loss, figures = torch.zeros(()), dict[str, float]()
        for objective in self._objectives:
            penalty, found = objective(views)
            loss = loss + objective.config.weight * penalty
            figures |= found
            if told is not None and objective.predicts:
                penalty, found = objective(told)
                loss = loss + objective.config.weight * penalty
                figures |= {f"told.{name}": value for name, value in found.items()}
        if self.model.latent_variable is not None:
            loss = loss + self.model.latent_variable.penalty(nats)
            figures["information_z"] = float(nats.detach().mean())
        figures["loss"] = float(loss.detach())
        if index % COLLAPSE_EVERY == 0 and math.isfinite(figures["loss"]):
            latents = views.latents.detach()
            figures |= collapse(latents[:, 0]) | deviations(latents[:, 0])
            figures |= criteria(latents, views.predicted, float(nats.detach().mean()))
        return loss, figures

    @torch.no_grad()
    def follow(self) -> None:
        """Let the slow copy keep `decay` of its weights and take the rest from perception."""
        if self.slow is None:
            return
        for slow, fast in zip(self.slow.parameters(), self.perception.parameters(), strict=True):
            slow.lerp_(fast, 1.0 - self.config.decay)

    @torch.no_grad()
    def evaluate(self, experience: Experience, horizon: int, count: int = 512) -> dict[str, float]:
        """Return held-out figures: latent error per step relative to staying put, and collapse.

        `relative_error_h` is the rms latent error after h ticks over the rms change of the latent;
        `collapsed` is 1 if the latents say too little to be of use; see `diagnosis` for the others.
        A latent variable is inferred from what came, as in training.
        The spread of `model` is calibrated to the one-step error measured here.
        """
        generator = torch.Generator().manual_seed(self.seed)
        values, commands = experience.windows(count, horizon, generator)
        commands = self._actions(commands)
        latents = self.perception.encode(values)  # type: ignore[operator]
        z = self.model.explain(latents, commands)
        ahead = self.model.imagine(latents[:, 0], commands[:, None], z).latents.mean(dim=0)[:, 0]
        error = (ahead - latents[:, 1:]).square().sum(dim=-1)
        change = (latents[:, 1:] - latents[:, :1]).square().sum(dim=-1)
        forecast = self.model.forecast(latents[:, 0], commands[:, 0])
        self.model.calibrate_spread(forecast.spread, error[:, 0].sqrt())
        figures = collapse(latents[:, 0])
        figures["collapsed"] = collapsed(figures, latents.shape[-1])
        figures |= criteria(latents, ahead, self._information(latents, commands))
        for h in sorted({1, horizon}):
            ratio = error[:, h - 1].mean() / change[:, h - 1].mean().clamp(min=1e-12)
            figures[f"relative_error_{h}"] = float(ratio.sqrt())
        return figures

    def _views(
        self,
        values: Tensor,
        commands: Tensor,
        seed: int,
        share: float,
        other: Tensor | None = None,
    ) -> tuple[Views, Views | None, Tensor]:
        """Return what objectives see, and the nats that the latent variable carried, [E n L].

        In between, with `residual`, what they see of a prediction that is told z; it trains the
        world model alone.
        """
        latents = self.perception.encode(values)  # type: ignore[operator]
        targets = latents if other is None else self.perception.encode(other)  # type: ignore[operator]
        targets = targets.detach() if self.config.target == "detached" else targets
        if self.slow is not None:
            _copy_buffers(self.slow, self.perception)
            with torch.no_grad():
                targets = self.slow.encode(values if other is None else other)  # type: ignore[operator]
        commands = self._actions(commands, seed)
        scaled = (commands - self.model.centre) / self.model.extent
        below = self.perception.below(values) if isinstance(self.perception, Above) else None
        after = targets.detach()
        if self.model.latent_variable is None or not self.config.residual:
            predicted, nats = self._predicted(latents, commands, after, seed, share)
            return Views(latents, targets, predicted, scaled, seed, below), None, nats
        untold, _ = self._predicted(latents, commands, None, seed, share)
        views = Views(latents, targets, untold, scaled, seed, below)
        known = latents.detach(), commands.detach()
        predicted, nats = self._predicted(*known, after, seed, share)
        return (
            views,
            replace(
                views,
                latents=known[0],
                targets=after,
                predicted=predicted,
                commands=scaled.detach(),
                below=None if below is None else below.detach(),
            ),
            nats,
        )

    def _actions(self, commands: Tensor, seed: int | None = None) -> Tensor:
        """Return what the model takes as actions [n L A] where `commands` were given."""
        model = self.model
        return model.compress(commands, seed) if isinstance(model, Compressing) else commands

    def _predicted(
        self, latents: Tensor, commands: Tensor, targets: Tensor | None, seed: int, share: float
    ) -> tuple[Tensor, Tensor]:
        """Return every network's own trajectory from the first of latents [n L+1 Z], as [n L Z].

        A latent variable is inferred from `targets`, tick by tick, or 0 without them; also returns
        its nats [E n L].
        """
        model, variable = self.model, self.model.latent_variable
        shape = (model.ensemble, self.config.batch)
        states = latents.reshape(*shape, *latents.shape[1:])[:, :, 0]
        moves = commands.reshape(*shape, *commands.shape[1:])
        after = None if targets is None else targets.reshape(*shape, *targets.shape[1:])
        steps, carried = [], [latents.new_zeros(shape)]
        for h in range(self.config.horizon):
            z, move = None, moves[:, :, h]
            if variable is not None and after is None:
                z = states.new_zeros(*shape, variable.size)
            elif variable is not None and after is not None:
                known = (states, move, after[:, :, h + 1])
                z, nats = variable.infer(
                    states,
                    model.scaled(move),
                    known[2],
                    functools.partial(_energy, model, known),
                    seed * MIX + h,
                    share,
                )
                carried.append(nats)
            states = model.step(states, move, z)
            # A view per step: gradients then add up in time's order, however the steps are used.
            steps.append(states.view_as(states))
        return torch.stack(steps, dim=2).flatten(0, 1), torch.stack(carried[1:] or carried, dim=2)

    def _information(self, latents: Tensor, commands: Tensor) -> float:
        """Return the mean nats per tick with which a latent variable explains latents [n L+1 Z]."""
        variable = self.model.latent_variable
        if variable is None:
            return 0.0
        known = (latents[:, :-1], commands, latents[:, 1:])
        energy = functools.partial(_energy, self.model, known)
        moves = self.model.scaled(commands)
        return float(variable.infer(known[0], moves, known[2], energy)[1].mean())


def _energy(model: JEPA, known: tuple[Tensor, Tensor, Tensor], z: Tensor) -> Tensor:
    """Return all networks' mean squared error [x y] on every row of states, actions, after, z."""
    return model.errors(*(t.flatten(0, 1) for t in (*known, z))).view(z.shape[:2])


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
