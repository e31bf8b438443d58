"""A joint-embedding predictive world model: an ensemble that predicts latents from latents.

Source: LeCun (2022) sec. 4.4 (JEPA) and 4.3 (energy-based prediction without pixels);
ensembles for what the model does not know: Chua et al. (2018), PETS.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from agent.core.messages import Action, Forecast, Percept, Rollout
from agent.core.protocols import Inbox, Ports, Site
from agent.core.settings import Settings
from agent.core.spec import Spec


class Batched(nn.Module):
    """One affine layer for each of `members` networks: [E n in] -> [E n out]."""

    def __init__(self, members: int, inputs: int, outputs: int, gain: float = 1.0) -> None:
        """Draw weights uniformly in +-`gain`/sqrt(inputs); biases start at zero."""
        super().__init__()
        bound = gain / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs))

    def forward(self, rows: Tensor, out: Tensor | None = None) -> Tensor:
        """Return every member's affine map of its own rows, into `out` if it is given."""
        if out is None:
            return torch.baddbmm(self.bias, rows, self.weight)
        return torch.baddbmm(self.bias, rows, self.weight, out=out)


class JEPA(nn.Module):
    """Predicts the change of the latent under an action, s' = s + f_e(s, a), with E members.

    The members differ in their initial weights and in the minibatches they saw; each rolls its
    own trajectory. Their deviation, scaled to held-out error by `calibrate_spread`, is the spread.
    """

    class Config(Settings):
        """Number of `members`, their two hidden layers' `width`, and rows per cached chunk."""

        members: int = Field(default=3, ge=2)
        width: int = Field(default=128, ge=1)
        chunk: int = Field(default=128, ge=1)

    reads: ClassVar[tuple[type, ...]] = (Percept, Action)
    recalls: ClassVar[tuple[type, ...]] = ()
    posts: ClassVar[type] = Forecast

    centre: Tensor
    extent: Tensor
    spread_scale: Tensor

    def __init__(self, config: Config, site: Site) -> None:
        """Build an untrained ensemble for the site's latent and actuators."""
        super().__init__()
        self.members, self.site, self._chunk = config.members, site, config.chunk
        inputs = site.latent + site.actuators.size
        self.first = Batched(config.members, inputs, config.width, math.sqrt(3.0))
        self.second = Batched(config.members, config.width, config.width, math.sqrt(3.0))
        self.third = Batched(config.members, config.width, site.latent, 0.1)
        low, high = site.actuators.bounds()
        self.register_buffer("centre", (low + high) / 2, persistent=False)
        self.register_buffer("extent", (high - low) / 2, persistent=False)
        self.register_buffer("spread_scale", torch.ones(()))

    def ports(self) -> Ports:
        """Insist on commands in the body's actuator layout."""
        actuators = self.site.actuators
        return Ports(
            axes={"Z": self.site.latent, "A": actuators.size},
            fields={(Action, "command"): Spec(("B", "A"), layout=actuators)},
        )

    def step(self, states: Tensor, actions: Tensor) -> Tensor:
        """Return each member's next latents [E n Z] of its own states [E n Z] and actions [E n A].

        Actions are in actuator units. Differentiable.
        """
        rows = torch.cat((states, (actions - self.centre) / self.extent), dim=-1)
        hidden = F.silu(self.second(F.silu(self.first(rows))))
        ahead: Tensor = states + self.third(hidden)
        return ahead

    def imagine(self, state: Tensor, actions: Tensor, latent: Tensor | None = None) -> Rollout:
        """Return the futures of `actions` [B K H A] (actuator units) from `state` [B Z].

        The model is deterministic given its member, so `latent` must be None. Every row depends
        on its own state and actions only. Differentiable while gradients are enabled; otherwise
        rolled in chunks of rows that stay in cache.
        """
        assert latent is None, "this world model has no latent variable"
        batch, candidates, horizon, _ = actions.shape
        rows = batch * candidates
        start = state.unsqueeze(1).expand(-1, candidates, -1).reshape(rows, -1)
        moves = actions.reshape(rows, horizon, -1)
        roll = self._differentiable if torch.is_grad_enabled() else self._fast
        latents = roll(start, moves)
        shape = (self.members, batch, candidates, horizon, state.shape[-1])
        return Rollout(state, actions, latents.reshape(shape), {})

    @torch.no_grad()
    def calibrate_spread(self, spread: Tensor, error: Tensor) -> None:
        """Scale spreads so that their mean square equals that of held-out errors, both [n]."""
        self.spread_scale *= (error.square().mean() / spread.square().mean()).sqrt()

    def reset(self, batch: int) -> None:
        """Nothing to forget: the state is the percept."""

    @torch.no_grad()
    def tick(self, inbox: Inbox) -> Forecast:
        """Return the next latent, mean over members, and the members' calibrated spread."""
        return self.forecast(inbox[Percept].latent, inbox[Action].command)

    def forecast(self, latent: Tensor, command: Tensor) -> Forecast:
        """Return the forecast of one step from latents [B Z] under commands [B A]."""
        expand = (self.members, -1, -1)
        ahead = self.step(latent.expand(expand), command.expand(expand))
        spread = ahead.var(dim=0).sum(dim=-1).sqrt() * self.spread_scale
        return Forecast(ahead.mean(dim=0), spread)

    def _differentiable(self, start: Tensor, moves: Tensor) -> Tensor:
        states, steps = start.expand(self.members, -1, -1), []
        for move in moves.unbind(dim=1):
            states = self.step(states, move.expand(self.members, -1, -1))
            steps.append(states)
        return torch.stack(steps, dim=2)

    def _fast(self, start: Tensor, moves: Tensor) -> Tensor:
        members, (rows, horizon, _), size = self.members, moves.shape, start.shape[-1]
        latents = start.new_empty(members, rows, horizon, size)
        scaled = (moves - self.centre) / self.extent
        for low in range(0, rows, self._chunk):
            high = min(low + self._chunk, rows)
            inputs = start.new_empty(members, high - low, size + moves.shape[-1])
            states, commands = inputs[..., :size], inputs[..., size:]
            states.copy_(start[low:high].expand(members, -1, -1))
            one = start.new_empty(members, high - low, self.first.bias.shape[-1])
            two, change = torch.empty_like(one), start.new_empty(members, high - low, size)
            for h in range(horizon):
                commands.copy_(scaled[low:high, h].expand(members, -1, -1))
                F.silu(self.first(inputs, out=one), inplace=True)
                F.silu(self.second(one, out=two), inplace=True)
                states += self.third(two, out=change)
                latents[:, low:high, h] = states
        return latents
