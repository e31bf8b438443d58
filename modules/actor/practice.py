"""A policy in training while its agent lives: what was deliberated becomes a habit.

Source: LeCun (2022) sec. 3.1.3 (from Mode-2 to Mode-1); Ross, Gordon, Bagnell (2011), DAgger:
lessons in the states that the pupil itself gets into.
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor
from torch.nn import functional as F

from modules.actor.policy import Policy, stretch

LOG = logging.getLogger(__name__)
CLIP = 5.0
"""Largest norm of a gradient."""


class Practice:
    """Lessons, the latest `capacity` of them, and steps of imitation on them.

    The policy is changed in place. Which lessons a step looks at is a function of `seed`
    and of how many steps there have been.
    """

    def __init__(self, policy: Policy, capacity: int, rate: float, batch: int, seed: int) -> None:
        """Train `policy` at Adam's `rate` on `batch` lessons a step; there are no lessons yet."""
        self.policy, self.count = policy, 0
        self._rows: tuple[Tensor, ...] | None = None
        self._capacity, self._batch = capacity, batch
        self._optimiser = torch.optim.Adam(policy.parameters(), lr=rate)
        self._draw = torch.Generator().manual_seed(seed)

    @property
    def lessons(self) -> tuple[Tensor, ...]:
        """What was learned from: latents [n Z], goals [n G], plans [n H A]; nothing at first."""
        return self._rows or ()

    def learn(self, latents: Tensor, goals: Tensor, plans: Tensor) -> None:
        """Keep lessons: from `latents` [n Z] towards `goals` [n G], `plans` [n H A]."""
        plans = stretch(plans, self.policy.horizon, self.policy.rest)
        columns: tuple[Tensor, ...] = (latents, goals, plans)
        if self._rows is not None:
            columns = tuple(torch.cat(pair) for pair in zip(self._rows, columns, strict=True))
        self._rows = tuple(column[-self._capacity :] for column in columns)
        self.count = len(self._rows[0])

    @torch.no_grad()
    def missed(self, since: int = 0) -> float:
        """Return the mean loss on lessons, from number `since` on."""
        assert self._rows is not None, "no lessons yet"
        return float(self._loss(*(column[since:] for column in self._rows)))

    def judged(self, steps: int) -> bool:
        """Rehearse on all but the latest quarter of lessons; take it back unless that gained by it.

        Returns whether it stays. Of fewer than four lessons nothing is learned.
        """
        known = self.count * 3 // 4
        if known < 1 or known == self.count:
            return False
        before = {name: value.clone() for name, value in self.policy.state_dict().items()}
        was = self.missed(known)
        self.rehearse(steps, known)
        if self.missed(known) < was:
            return True
        self.policy.load_state_dict(before)
        self._optimiser.state.clear()
        return False

    @torch.enable_grad()
    def rehearse(self, steps: int, known: int | None = None) -> None:
        """Take `steps` steps towards the lessons; take them back if they end in no numbers.

        Of `known` the first so many lessons are looked at, else all.
        """
        if self._rows is None:
            return
        policy, count = self.policy, known or self.count
        before = {name: value.clone() for name, value in policy.state_dict().items()}
        policy.requires_grad_(True)
        for _ in range(steps):
            some = torch.randint(count, (self._batch,), generator=self._draw)
            self._optimiser.zero_grad(set_to_none=True)
            loss = self._loss(*(column[some] for column in self._rows))
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(policy.parameters(), CLIP)
            self._optimiser.step()
        policy.requires_grad_(False)
        if not all(bool(value.isfinite().all()) for value in policy.state_dict().values()):
            LOG.warning("actor: what was practised was not finite; the last good policy stays")
            policy.load_state_dict(before)
            self._optimiser.state.clear()

    def _loss(self, latents: Tensor, goals: Tensor, plans: Tensor) -> Tensor:
        """Return how far proposals are from plans, in half the range of commands."""
        policy = self.policy
        gap = (policy(latents, goals) - plans) / ((policy.high - policy.low) / 2)
        return F.huber_loss(gap, torch.zeros_like(gap))
