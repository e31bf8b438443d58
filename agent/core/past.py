"""What guardrails keep of an episode: what already happened cannot be read off a plan.

A guardrail such as "not there until that has happened" depends on the past. It keeps no state
itself: it is a function of what it kept and of the moment. The runtime holds what was kept, moves
it on once per tick, and lays it beside every imagined future, so that planner and gate judge by
the same past.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from agent.core.messages import Rollout

Read = Callable[[Tensor], Mapping[str, Tensor]]
"""Quantities [..., n] by name, of latents [..., Z]."""

BROKEN = "broken"


def every(guardrails: Sequence[Any]) -> Iterator[Any]:
    """Yield all guardrails, the parts of a compound one before it."""
    for guardrail in guardrails:
        yield from every(getattr(guardrail, "parts", ()))
        yield guardrail


def since(guardrails: Sequence[Any], now: Rollout) -> dict[str, Tensor]:
    """Return what guardrails keep, by name, once the moment `now` has been seen."""
    return {g.name: g.remember(now) for g in every(guardrails) if hasattr(g, "remember")}


def moment(latent: Tensor, quantities: Mapping[str, Tensor], past: Mapping[str, Tensor]) -> Rollout:
    """Return what is so now as a rollout of one step of one future that never errs.

    `latent` [B Z], quantities [B n]. Nothing moved: its actions are no commands.
    """
    one = {name: value[None, :, None, None] for name, value in quantities.items()}
    still = latent.new_zeros(len(latent), 1, 1, 0)
    return Rollout(latent, still, latent[None, :, None, None], one, networks=1, past=past)


class Past:
    """What the run's guardrails keep, of B agents that live in lock-step.

    `trace` is a SHA-256 over it. Where no guardrail remembers, all of this is nothing.
    """

    def __init__(self, guardrails: Sequence[Any], read: Read) -> None:
        """Keep what `guardrails` remember of what `read` shows."""
        self._guardrails, self._read = tuple(guardrails), read
        self.remembers = any(hasattr(g, "remember") for g in every(guardrails))
        self.begin()

    def begin(self) -> None:
        """Start anew: nothing has happened, and nobody is there."""
        self._kept: dict[str, Tensor] = {}
        self._present: Tensor | None = None
        self._missed = False
        self.trace = self._digest()

    def intact(self) -> bool:
        """Say whether what is kept is what was last written."""
        return not self.remembers or self.trace == self._digest()

    def witness(self, latent: Tensor | None) -> None:
        """Let a tick begin: the last moment becomes past, `latent` [B Z] the present.

        None: nothing was perceived, which is kept as quantities that are not numbers.
        """
        if not self.remembers:
            return
        last = self._present
        if last is not None:
            self._kept = self._after(last, self._kept)
        if latent is not None:
            self._present = latent.detach().clone()
            if last is None and self._missed:
                self._kept = self._after(torch.full_like(latent, torch.nan), {})
        elif last is not None:
            self._present = torch.full_like(last, torch.nan)
        self._missed = latent is None
        self.trace = self._digest()

    def recall(self, states: Tensor) -> dict[str, Tensor]:
        """Return what is kept, [b m], for futures that begin in `states` [b Z], those included.

        An agent's state is known by its latent, whatever chunks and orders a planner works in.
        Other states are those an agent only thinks of: a lone agent's past is its own there too;
        of several agents nobody can say whose it is, and nothing came before.
        """
        if not self.remembers:
            return {}
        if self._present is None:
            return self._after(states, {})
        whose, known = self._whose(states, self._present)
        mine = {name: kept[whose] for name, kept in self._kept.items()}
        lived = self._after(states, mine)
        if bool(known.all()):
            return lived
        fresh, known = self._after(states, {}), known[:, None]
        return {name: torch.where(known, lived[name], fresh[name]) for name in lived}

    @staticmethod
    def _whose(states: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Return the agent of each state [b], and whether it is one of them [b]."""
        if len(present) == 1:
            none = torch.zeros(len(states), dtype=torch.int64)
            return none, torch.ones(len(states), dtype=torch.bool)
        same = (states[:, None] == present).all(dim=-1).float()
        if len(states) == len(present):
            same += same * torch.eye(len(present))  # of twins, the one in its own place
        best, whose = same.max(dim=1)
        return whose, best > 0

    def _after(self, states: Tensor, kept: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return since(self._guardrails, moment(states, self._read(states), kept))

    def _digest(self) -> str:
        digest = hashlib.sha256()
        present = {} if self._present is None else {"": self._present}
        for name, value in (present | self._kept).items():
            digest.update(name.encode())
            digest.update(value.detach().contiguous().numpy().data)
        return digest.hexdigest()
