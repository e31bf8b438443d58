"""A joint-embedding predictive world model: an ensemble that predicts latents from latents.

Source: LeCun (2022) sec. 4.4 (JEPA, and its latent variable) and 4.3 (energy-based prediction
without pixels); ensembles for what the model does not know: Chua et al. (2018), PETS.
"""

from __future__ import annotations

import functools
import math
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from agent.core.messages import Action, Forecast, Percept, Rollout
from agent.core.protocols import Inbox, Ports, Site
from agent.core.settings import Settings
from agent.core.spec import Spec
from modules.world_model.variable import LatentVariable

MIX = 1_000_003
"""Prime that keeps the shares of different seeds apart."""


class Batched(nn.Module):
    """One affine layer for each of `members` networks: [E n in] -> [E n out]."""

    def __init__(self, members: int, inputs: int, outputs: int, gain: float = 1.0) -> None:
        """Draw weights uniformly in +-`gain`/sqrt(inputs); biases start at zero."""
        super().__init__()
        bound = gain / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs))

    def forward(self, rows: Tensor) -> Tensor:
        """Return every member's affine map of its own rows."""
        return torch.baddbmm(self.bias, rows, self.weight)


class JEPA(nn.Module):
    """Predicts the change of the latent under an action, s' = s + f_e(s, a, z), with E networks.

    The networks differ in their initial weights and in the minibatches they saw; each rolls its
    own trajectory. Their deviation, scaled to held-out error by `calibrate_spread`, is the spread.
    With a latent variable z, each rolls `draws` of them: `members` is the number of futures in a
    rollout, networks times draws. Without, z is left out of every formula.
    """

    class Config(Settings):
        """Number of `members`, their two hidden layers' `width`, and rows per cached chunk.

        `latent_variable` is a part of that slot; none means that futures differ by network only.
        """

        members: int = Field(default=3, ge=1)
        width: int = Field(default=128, ge=1)
        chunk: int = Field(default=320, ge=1)
        latent_variable: dict[str, Any] | None = None

    reads: ClassVar[tuple[type, ...]] = (Percept, Action)
    recalls: ClassVar[tuple[type, ...]] = ()
    posts: ClassVar[type] = Forecast

    centre: Tensor
    extent: Tensor
    spread_scale: Tensor

    def __init__(
        self, config: Config, site: Site, latent_variable: LatentVariable | None = None
    ) -> None:
        """Build an untrained ensemble for the site's latent and actuators.

        `latent_variable` is what `config.latent_variable` names, built.
        """
        super().__init__()
        self.latent_variable = latent_variable
        self.ensemble, self.site, self._chunk = config.members, site, config.chunk
        self.members = self.ensemble * (latent_variable.draws if latent_variable else 1)
        inputs = site.latent + site.actuators.size
        inputs += latent_variable.size if latent_variable else 0
        self.first = Batched(config.members, inputs, config.width, math.sqrt(3.0))
        self.second = Batched(config.members, config.width, config.width, math.sqrt(3.0))
        self.third = Batched(config.members, config.width, site.latent, 0.1)
        low, high = site.actuators.bounds()
        self.register_buffer("centre", (low + high) / 2, persistent=False)
        self.register_buffer("extent", (high - low) / 2, persistent=False)
        self.register_buffer("spread_scale", torch.ones(()))
        self._kept: list[Tensor] = []

    def ports(self) -> Ports:
        """Insist on commands in the body's actuator layout."""
        actuators = self.site.actuators
        return Ports(
            axes={"Z": self.site.latent, "A": actuators.size},
            fields={(Action, "command"): Spec(("B", "A"), layout=actuators)},
        )

    def step(self, states: Tensor, actions: Tensor, z: Tensor | None = None) -> Tensor:
        """Return each network's next latents [E n Z] of its own states [E n Z] and actions [E n A].

        Actions are in actuator units; `z` [E n D] is needed with a latent variable. Differentiable.
        """
        known = (states, self.scaled(actions), *(() if z is None else (z,)))
        hidden = F.silu(self.second(F.silu(self.first(torch.cat(known, dim=-1)))))
        ahead: Tensor = states + self.third(hidden)
        return ahead

    def scaled(self, actions: Tensor) -> Tensor:
        """Return actions in units of half the actuators' range, around its centre."""
        return (actions - self.centre) / self.extent

    def imagine(self, state: Tensor, actions: Tensor, latent: Tensor | None = None) -> Rollout:
        """Return the futures of `actions` [B K H A] (actuator units) from `state` [B Z].

        With a latent variable, futures of all networks are sampled `draws` times each, from the
        prior; the draws are the same at every call, for every row: a plan is judged in the same
        worlds as its rivals. Or z is given as `latent` [M B K H D], to be swept: M futures from
        each network. Every row depends on its own state and actions only. Differentiable while
        gradients are enabled; otherwise rolled in chunks of rows that stay in cache.
        """
        batch, candidates, horizon, _ = actions.shape
        rows = batch * candidates
        start = state.unsqueeze(1).expand(-1, candidates, -1).reshape(rows, -1)
        moves = actions.reshape(rows, horizon, -1)
        if self.latent_variable is not None:
            given = None if latent is None else latent.reshape(-1, rows, *latent.shape[3:])
            latents = self._drawn(self.latent_variable, start, moves, given)
        else:
            assert latent is None, "this world model has no latent variable"
            roll = self._differentiable if torch.is_grad_enabled() else self._fast
            latents = roll(start, moves)
        shape = (-1, batch, candidates, horizon, state.shape[-1])
        found = latents.reshape(shape)
        return Rollout(state, actions, found, {}, self.ensemble, self.spread_scale)

    def explain(self, latents: Tensor, actions: Tensor) -> Tensor | None:
        """Return z [1 n 1 L D], for `imagine`, with which `actions` [n L A] lead to what was seen.

        `latents` [n L+1 Z] are codes of it. The latent variable infers z tick by tick, one for all
        networks. None without a latent variable.
        """
        if self.latent_variable is None:
            return None
        states, steps = latents[:, 0].expand(self.ensemble, -1, -1), []
        for h, move in enumerate(actions.unbind(dim=1)):
            moves = move.expand(self.ensemble, -1, -1)

            after = latents[:, h + 1]
            energy = functools.partial(self.errors, states, move, after)
            z, _ = self.latent_variable.infer(states.mean(dim=0), self.scaled(move), after, energy)
            states = self.step(states, moves, z.expand(self.ensemble, -1, -1))
            steps.append(z)
        return torch.stack(steps, dim=1)[None, :, None]

    def errors(self, states: Tensor, actions: Tensor, after: Tensor, z: Tensor) -> Tensor:
        """Return the mean squared error [n] of one step, over networks and dimensions.

        From states [n Z], or each network's own [E n Z], under actions [n A] and z [n D].
        """
        rows = (t.expand(self.ensemble, -1, -1) for t in (states, actions, z))
        return (self.step(*rows) - after).square().mean(dim=(0, 2))

    @torch.no_grad()
    def calibrate_spread(self, spread: Tensor, error: Tensor) -> None:
        """Scale spreads so that their mean square equals that of held-out errors, both [n]."""
        self.spread_scale *= (error.square().mean() / spread.square().mean()).sqrt()

    def reset(self, batch: int) -> None:
        """Nothing to forget: the state is the percept."""

    @torch.no_grad()
    def tick(self, inbox: Inbox) -> Forecast:
        """Return the next latent, mean over futures, and how far networks and draws disagree."""
        return self.forecast(inbox[Percept].latent, inbox[Action].command)

    def forecast(self, latent: Tensor, command: Tensor) -> Forecast:
        """Return the forecast of one step from latents [B Z] under commands [B A].

        `spread` is the networks' calibrated deviation, `z_spread` that of the draws of z.
        """
        if self.latent_variable is not None:
            ahead = self.imagine(latent, command[:, None, None]).latents[:, :, 0, 0]
            ahead = ahead.reshape(self.ensemble, -1, *ahead.shape[1:])
            spread = self._disagreement(ahead)
            told = ahead.mean(dim=0).var(dim=0, correction=0).sum(dim=-1).sqrt()
            return Forecast(ahead.mean(dim=(0, 1)), spread, told)
        expand = (self.members, -1, -1)
        ahead = self.step(latent.expand(expand), command.expand(expand))
        spread = self._disagreement(ahead.unsqueeze(1))
        return Forecast(ahead.mean(dim=0), spread, torch.zeros_like(spread))

    def _disagreement(self, ahead: Tensor) -> Tensor:
        """Return the networks' calibrated deviation [B] of what they foresee, [E M B Z].

        One network alone cannot disagree: its spread is its usual error.
        """
        if self.ensemble == 1:
            return self.spread_scale.expand(ahead.shape[2])
        return ahead.var(dim=0).mean(dim=0).sum(dim=-1).sqrt() * self.spread_scale

    def _drawn(
        self, variable: LatentVariable, start: Tensor, moves: Tensor, given: Tensor | None
    ) -> Tensor:
        """Return futures [E M n H Z] of n rows, z sampled where it is not `given` [M n H D]."""
        rows, horizon, _ = moves.shape
        draws = variable.draws if given is None else len(given)
        shares = self._shares(horizon, draws)
        parts = []
        for low in range(0, rows, self._chunk):
            cut = slice(low, low + self._chunk)
            lead = (self.ensemble, draws, len(start[cut]))
            states, scaled, steps = start[cut].expand(*lead, -1), self.scaled(moves[cut]), []
            for h in range(horizon):
                action = scaled[:, h].expand(*lead, -1)
                if given is None:
                    z = variable.sample(states, action, shares[h, :, None].expand(lead))
                else:
                    z = given[:, cut, h].expand(*lead, -1)
                states = self._next(states, action, z)
                steps.append(states)
            parts.append(torch.stack(steps, dim=3))
        return torch.cat(parts, dim=2)

    def _next(self, states: Tensor, scaled: Tensor, z: Tensor) -> Tensor:
        """Return the next states [E M n Z], M draws being rows of the networks' batch."""
        known = torch.cat((states, scaled, z), dim=-1).flatten(1, 2)
        change = self.third(F.silu(self.second(F.silu(self.first(known)))))
        ahead: Tensor = states + change.view(states.shape)
        return ahead

    def _shares(self, horizon: int, draws: int) -> Tensor:
        """Return where each draw stands in the prior at each tick, [H M] in (0, 1).

        At every tick the draws are spread evenly, in an order of their own (a Latin hypercube).
        """
        generator = torch.Generator().manual_seed(self.site.seed * MIX)
        order = torch.rand(horizon, draws, generator=generator).argsort(dim=1)
        return (order + 0.5) / draws

    def _differentiable(self, start: Tensor, moves: Tensor) -> Tensor:
        states, steps = start.expand(self.members, -1, -1), []
        for move in moves.unbind(dim=1):
            states = self.step(states, move.expand(self.members, -1, -1))
            steps.append(states)
        return torch.stack(steps, dim=2)

    def _fast(self, start: Tensor, moves: Tensor) -> Tensor:
        (rows, horizon, _), size = moves.shape, start.shape[-1]
        latents = start.new_empty(self.members, rows, horizon, size)
        scaled = (moves - self.centre) / self.extent
        first, second, third = self.first, self.second, self.third
        for low in range(0, rows, self._chunk):
            high = min(low + self._chunk, rows)
            inputs, one, two, change = self._workspace(high - low, start)
            states, commands = inputs[..., :size], inputs[..., size:]
            states.copy_(start[low:high])
            steps = latents[:, low:high].unbind(dim=2)
            for move, step in zip(scaled[low:high].unbind(dim=1), steps, strict=True):
                commands.copy_(move)
                torch.baddbmm(first.bias, inputs, first.weight, out=one)
                torch.baddbmm(second.bias, F.silu(one, inplace=True), second.weight, out=two)
                torch.baddbmm(third.bias, F.silu(two, inplace=True), third.weight, out=change)
                step.copy_(states.add_(change))
        return latents

    def _workspace(self, rows: int, like: Tensor) -> list[Tensor]:
        """Return where a chunk is computed: inputs, both hidden layers, change; kept for reuse."""
        if not self._kept or self._kept[0].device != like.device:
            inputs, width = self.first.weight.shape[1:]
            sizes = (inputs, width, width, self.third.bias.shape[-1])
            self._kept = [like.new_empty(self.members, self._chunk, size) for size in sizes]
        return [space[:, :rows] for space in self._kept]
