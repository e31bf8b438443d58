"""Margins that follow what comes: wider where a guardrail's forecasts fall short of what was seen.

Sealed margins were calibrated once, on plans of then. While living, what a guardrail foresaw of
the commands that really went out is compared with what was perceived, and the margin of every
guardrail and step is moved so that in the long run a share `alpha` of forecasts is exceeded by
more, whatever the world does.
Source: Gibbs, Candès (2021), adaptive conformal inference; Angelopoulos, Candès, Tibshirani (2023),
who track the quantile itself, as is done here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from agent.core.guardrails import Guardrails
from agent.core.messages import Rollout
from agent.core.objective import GuardedObjective


class AdaptiveMargins:
    """Widens the margins of sealed guardrails, never below the sealed ones.

    A step of `pace` is in units of the largest error seen of that guardrail and step. All agents of
    a batch share margins; episodes go on from where the last one left them.
    """

    def __init__(
        self, guardrails: Guardrails, objective: GuardedObjective, horizon: int, alpha: float,
        pace: float,
    ) -> None:  # fmt: skip
        """Follow plans of `horizon` ticks; of forecasts a share `alpha` may be exceeded."""
        self._guardrails, self._objective = guardrails, objective
        self._horizon, self.alpha, self._pace = horizon, alpha, pace
        shape = (len(guardrails), horizon)
        self._free, self._scale = torch.zeros(shape), torch.zeros(shape)
        self._covered, self._held = torch.zeros(shape), torch.zeros(shape)
        self.forecasts = 0
        self.begin()

    def begin(self) -> None:
        """Start an episode: forecasts do not reach from one into the next."""
        self._states: deque[Tensor] = deque(maxlen=self._horizon + 1)
        self._commands: deque[Tensor] = deque(maxlen=self._horizon)
        self._pasts: deque[Mapping[str, Tensor]] = deque(maxlen=self._horizon + 1)
        self._acting = False

    def widen(self, more: Tensor) -> None:
        """Add at least `more` [R H] to the sealed margins from now on.

        Raises ValueError as `Guardrails.widen` does.
        """
        self._guardrails.widen(torch.maximum(self._free, more))
        self._free = torch.maximum(self._free, more)

    def see(self, latent: Tensor) -> None:
        """Take in the percept of a tick [B Z], compare, and put new margins into force."""
        if self._acting:
            self.begin()  # a tick without a command: forecasts begin anew
        self._acting = True
        self._states.append(latent.detach().clone())
        self._pasts.append(self._guardrails.recall(latent))
        if len(self._states) <= self._horizon or not len(self._guardrails):
            return
        excess = self._excess()
        known = torch.isfinite(excess)
        margins = self._guardrails.margins(self._horizon)
        missed = (~known | (excess > margins)).float().mean(dim=0)
        sealed = (~known | (excess > self._guardrails.sealed_margins(self._horizon))).float()
        rows = self._guardrails.realised
        self._covered += 1.0 - missed
        self._held += 1.0 - sealed.mean(dim=0)
        self.forecasts += 1
        size = torch.where(known, excess.abs(), 0.0).amax(dim=0)
        self._scale = torch.maximum(self._scale, size)
        step = self._pace * self._scale * (missed - self.alpha)
        self._free = torch.where(rows[:, None], (self._free + step).clamp(min=0.0), 0.0)
        self._guardrails.widen(self._free)

    def sent(self, command: Tensor) -> None:
        """Take in the command of a tick [B A]."""
        if not self._acting:
            self.begin()  # a tick without a percept
            return
        self._acting = False
        self._commands.append(command.detach().clone())

    def coverage(self) -> dict[str, dict[str, float]]:
        """Return by guardrail, at its worst step, the share of forecasts that held.

        `achieved` under the margins in force, `sealed` under the sealed ones alone; `widest` is the
        most that was added when last asked, in the guardrail's unit. Empty before the first.
        """
        if not self.forecasts:
            return {}
        rows = zip(
            self._guardrails.names, self._guardrails.realised.tolist(), self._covered, self._held,
            self._free, strict=True,
        )  # fmt: skip
        return {
            name: {
                "achieved": float(covered.min()) / self.forecasts,
                "sealed": float(held.min()) / self.forecasts,
                "widest": float(free.max()),
            }
            for name, shown, covered, held, free in rows
            if shown
        }

    @torch.no_grad()
    def _excess(self) -> Tensor:
        """Return realised - foreseen values of the last `horizon` ticks, [B R H]."""
        start, past = self._states[0], self._pasts[0]
        actions = torch.stack(tuple(self._commands), dim=1)[:, None]
        foreseen = replace(self._objective.imagine(start, actions), past=past)
        latents = torch.stack(tuple(self._states)[1:], dim=1)[None, :, None]
        came = Rollout(start, actions, latents, {}, networks=1, past=past)
        came = replace(came, quantities=self._guardrails.read(came))
        return self._guardrails.values(came)[:, 0] - self._guardrails.values(foreseen)[:, 0]
