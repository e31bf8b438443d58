"""A world model that goes on learning while it is lived with, and forgets nothing by it.

Source: Åström, Wittenmark (1995), "Adaptive Control", ch. 2, recursive least squares; Kumar et al.
(2021), RMA, for one network with a context that stands for the body; Nagabandi et al. (2019), MOLe,
for a bank of contexts that is added to when none explains what happens.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from agent.core.messages import Action, Forecast, Percept
from agent.core.protocols import Inbox, Site
from modules.world_model.context import Context
from modules.world_model.jepa import JEPA
from modules.world_model.variable import LatentVariable

LOG = logging.getLogger(__name__)
DIFFERENCE = 0.05


class Adapting(JEPA):
    """A `jepa` whose trained weights stay, in front of which commands are corrected by context.

    The body acts as if it had been told another command: u' = u + W [s, u, 1], in units of half the
    actuators' range and kept inside it. W is 0 for the world of training, context 0, and then this
    is `jepa` bit for bit. When the surprise of the last `recent` ticks, their squared error over
    their squared spread, exceeds `tolerated`, a context that explains them much better is taken up
    (context 0 if better at all), and what the last one learned since surprise began is taken back.
    If there is none, the one in use learns from them; where that has had its `lessons` a new one
    does, once surprise has lasted so long that all of these ticks are of the new world (at the
    start of an episode they are).
    Contexts survive `reset`: only the recent ticks are forgotten between episodes.
    Agents in lock-step are taken to live in one world and share contexts.
    """

    class Config(JEPA.Config):
        """As `jepa`, and when and how much to adapt.

        `contexts` beyond that of training are kept, the one least lately used is replaced;
        `tolerated` should be a high quantile of the surprise where training happened (`bench
        continual` prints it); `prior` is the precision of a new context around the one before it,
        `caution` times that for what depends on the latent, of which there is most.
        """

        contexts: int = Field(default=4, ge=1)
        recent: int = Field(default=10, ge=2)
        tolerated: float = Field(default=1.5, gt=0)
        lessons: int = Field(default=400, ge=1)
        prior: float = Field(default=1.0, gt=0)
        caution: float = Field(default=100.0, gt=0)

    reads: ClassVar[tuple[type, ...]] = (Percept, Action)
    recalls: ClassVar[tuple[type, ...]] = ()
    posts: ClassVar[type] = Forecast
    adapts: ClassVar[bool] = True

    def __init__(
        self, config: Config, site: Site, latent_variable: LatentVariable | None = None
    ) -> None:
        """Build an untrained ensemble, with context 0 alone.

        Raises ValueError with a latent variable: what surprises could then be either's to explain.
        """
        super().__init__(config, site)
        if latent_variable is not None:
            raise ValueError("expected no latent_variable, came one; use jepa, or leave it out")
        self.config = config
        self.contexts: list[Context] = []
        self.active = 0
        self._stood: Context | None = None
        self._order: list[int] = []
        self._last: tuple[Tensor, Tensor] | None = None
        self._surprised, self._patience = 0, 1
        self._recent: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=config.recent)
        self.forget()

    def forget(self) -> None:
        """Start a new life: only the world of training is known."""
        inputs, outputs = self.site.latent + self.site.actuators.size + 1, self.site.actuators.size
        trained = Context.around(torch.zeros(inputs, outputs), self._prior())
        self.contexts = [replace(trained, lessons=self.config.lessons)]
        self.active, self._order = 0, []
        self.reset(1)

    def reset(self, batch: int) -> None:
        """Forget the last ticks. Contexts stay: the next episode may be in the same world."""
        self._last = None
        self._recent.clear()
        self._surprised, self._patience = 0, 1

    @torch.no_grad()
    def tick(self, inbox: Inbox) -> Forecast:
        """Return the forecast, after learning from how the last one turned out."""
        latent, command = inbox[Percept].latent, inbox[Action].command
        if self._last is not None:
            self.notice(*self._last, latent)
        self._last = latent, command
        return self.forecast(latent, command)

    def step(self, states: Tensor, actions: Tensor, z: Tensor | None = None) -> Tensor:
        """Return each member's next latents [E n Z] under the commands that the context makes."""
        if self.active:
            weight = self.contexts[self.active].weight
            actions = self._corrected(states, self.scaled(actions), weight)
            actions = actions * self.extent + self.centre
        return super().step(states, actions, z)

    def surprise(self) -> float:
        """Return the squared error of the recent ticks over their squared spread; 0 at first.

        The spread is that of context 0, so that contexts are measured alike.
        """
        if len(self._recent) < self.config.recent:
            return 0.0
        return self._missed(self.active) / max(self._expected(), 1e-12)

    def notice(self, before: Tensor, command: Tensor, after: Tensor) -> None:
        """Take in that `command` [B A] led from latents `before` to `after` [B Z].

        What is not finite teaches nothing.
        """
        if not all(bool(part.isfinite().all()) for part in (before, command, after)):
            self._recent.clear()
            return
        self._recent.append((before, command, after))
        if self.surprise() <= self.config.tolerated:
            self._surprised, self._patience = 0, self.config.recent
            return
        self._surprised += 1
        if self._surprised == 1:
            self._stood = self.contexts[self.active]
        missed = [self._missed(index) for index in range(len(self.contexts))]
        best = min(range(len(missed)), key=missed.__getitem__)
        if missed[best] < (0.5 if best else 1.0) * missed[self.active]:
            assert self._stood is not None
            self.contexts[self.active] = self._stood
            self._take_up(best)
        elif self.contexts[self.active].lessons < self.config.lessons:
            self._learn(before, command, after)
        elif self._surprised >= self._patience:
            self._open(best)
            self._learn(*self._window())

    def _prior(self) -> Tensor:
        """Return the information [NA NA] that a new context starts with."""
        commands, latent = self.site.actuators.size, self.site.latent
        precision = torch.full((latent + commands + 1, commands), self.config.prior)
        precision[:latent] *= self.config.caution
        return torch.diag(precision.flatten().double())

    def _take_up(self, index: int) -> None:
        self.active, self._surprised, self._patience = index, 0, self.config.recent
        if index in self._order:
            self._order.remove(index)
        if index:
            self._order.append(index)

    def _open(self, like: int) -> None:
        """Open a context that starts where context `like` ended."""
        fresh = Context.around(self.contexts[like].weight, self._prior())
        if len(self.contexts) <= self.config.contexts:
            self.contexts.append(fresh)
            self._take_up(len(self.contexts) - 1)
        else:
            oldest = self._order[0]
            self.contexts[oldest] = fresh
            self._take_up(oldest)

    def _learn(self, before: Tensor, commands: Tensor, after: Tensor) -> None:
        """Take a Gauss-Newton step of the active context on transitions; drop it if not finite."""
        context = self.contexts[self.active]
        scaled = self.scaled(commands).expand(self.members, -1, -1)
        states = before.expand(self.members, -1, -1)
        told = self._corrected(states, scaled, context.weight) * self.extent + self.centre
        ahead, effect = self._effect(states, told)
        inputs = _inputs(states, scaled)
        design = torch.einsum("eni,enza->enzia", inputs, effect).flatten(3).flatten(0, 2).double()
        left = (after - ahead).flatten().double() + design @ context.weight.flatten().double()
        found = context.after(design, left, 1.0 / self.members, len(before))
        if found is None:
            LOG.warning("world_model: an adaptation was not finite; the last good one stays")
        else:
            self.contexts[self.active] = found

    def _effect(self, states: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """Return next latents [E n Z] and what scaled commands do to them, [E n Z A].

        The derivative is a central difference over `DIFFERENCE` of half the actuators' range.
        """
        axes = (torch.eye(told.shape[-1]) * DIFFERENCE * self.extent).unbind()
        columns = [
            (JEPA.step(self, states, told + a) - JEPA.step(self, states, told - a)) / DIFFERENCE / 2
            for a in axes
        ]
        return JEPA.step(self, states, told), torch.stack(columns, dim=-1)

    def _missed(self, index: int) -> float:
        """Return the squared error that context `index` would have made over the recent ticks."""
        before, commands, after = self._window()
        return float((self._under(index, before, commands).latent - after).square().sum())

    def _expected(self) -> float:
        """Return the squared error that context 0 expected over the recent ticks."""
        before, commands, _ = self._window()
        return float(self._under(0, before, commands).spread.square().sum())

    def _under(self, index: int, before: Tensor, commands: Tensor) -> Forecast:
        kept, self.active = self.active, index
        try:
            return self.forecast(before, commands)
        finally:
            self.active = kept

    def _window(self) -> tuple[Tensor, Tensor, Tensor]:
        before, commands, after = zip(*self._recent, strict=True)
        return torch.cat(before), torch.cat(commands), torch.cat(after)

    def _corrected(self, states: Tensor, scaled: Tensor, weight: Tensor) -> Tensor:
        """Return the command [E n A] that the body acts on, in the range that was trained on."""
        return (scaled + _inputs(states, scaled) @ weight).clamp(-1.0, 1.0)

    def _fast(self, start: Tensor, moves: Tensor) -> Tensor:
        """Roll as `jepa` does, in chunks that stay in cache, under the context's commands."""
        if not self.active:
            return super()._fast(start, moves)
        weight, size = self.contexts[self.active].weight, start.shape[-1]
        members, (rows, horizon, _) = self.members, moves.shape
        scaled = self.scaled(moves)
        told = scaled + scaled @ weight[size:-1] + weight[-1]
        latents = start.new_empty(members, rows, horizon, size)
        for low in range(0, rows, self._chunk):
            high = min(low + self._chunk, rows)
            inputs = start.new_empty(members, high - low, size + moves.shape[-1])
            states, commands = inputs[..., :size], inputs[..., size:]
            states.copy_(start[low:high].expand(members, -1, -1))
            for h in range(horizon):
                torch.add(told[low:high, h], states @ weight[:size], out=commands)
                commands.clamp_(-1.0, 1.0)
                hidden = F.silu(self.first(inputs), inplace=True)
                states += self.third(F.silu(self.second(hidden), inplace=True))
                latents[:, low:high, h] = states
        return latents


def _inputs(states: Tensor, scaled: Tensor) -> Tensor:
    return torch.cat((states, scaled, torch.ones_like(scaled[..., :1])), dim=-1)
