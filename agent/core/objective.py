"""Imagination and judgement joined: the one question a planner asks.

The runtime owns this: a cost module cannot leave the guardrails out of the bill.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from agent.core.guardrails import Guardrails, violation
from agent.core.messages import Bill, Directive, Rollout
from agent.core.protocols import Cost, WorldModel

CHUNK_FLOATS = 4_000_000
"""Imagined latents held at once; larger batches are evaluated agent by agent chunk."""


class GuardedObjective:
    """Energy of candidate plans under the cost module, with the sealed guardrails added."""

    def __init__(self, world_model: WorldModel, cost: Cost, guardrails: Guardrails) -> None:
        """Join a world model, a cost and the run's guardrails."""
        self._model, self._cost, self._guardrails = world_model, cost, guardrails

    @property
    def guardrails(self) -> Guardrails:
        """The guardrails that plans are judged by."""
        return self._guardrails

    def imagine(self, state: Tensor, actions: Tensor) -> Rollout:
        """Return the futures of `actions` [B K H A] from `state` [B Z], quantities read out.

        With them goes what guardrails remember of the episode that led there.
        """
        rollout, rails = self._model.imagine(state, actions), self._guardrails
        seen, past = rails.read(rollout), rails.recall(state)
        return replace(rollout, actions=actions, quantities=seen, past=past)

    def guard(self, state: Tensor, actions: Tensor) -> Tensor:
        """Return guardrail values, margin included, of `actions` [B K H A]: [B K R H]."""
        return self._guardrails.evaluate(self.imagine(state, actions))

    def __call__(
        self, state: Tensor, actions: Tensor, directive: Directive
    ) -> tuple[Rollout, Bill]:
        """Return futures and bills of candidate `actions` [B K H A] from `state` [B Z]."""
        (b, k, h, _), (_, size) = actions.shape, state.shape
        per_agent = k * h * size * self._model.members
        rows = max(1, CHUNK_FLOATS // per_agent)
        if rows >= b:
            return self._judge(state, actions, directive)
        cuts = [slice(i, i + rows) for i in range(0, b, rows)]
        parts = [self._judge(state[c], actions[c], directive.rows(c)) for c in cuts]
        rollouts, bills = [r for r, _ in parts], [b for _, b in parts]
        one, *_ = rollouts
        rollout = replace(
            one,
            start=state,
            actions=actions,
            latents=torch.cat([r.latents for r in rollouts], dim=1),
            quantities={
                n: torch.cat([r.quantities[n] for r in rollouts], dim=1) for n in one.quantities
            },
            past={n: torch.cat([r.past[n] for r in rollouts]) for n in one.past},
        )
        fields = ("energy", "terms", "guardrails", "violation")
        bill = Bill(*(torch.cat([getattr(x, f) for x in bills]) for f in fields))
        return rollout, bill

    def _judge(self, state: Tensor, actions: Tensor, directive: Directive) -> tuple[Rollout, Bill]:
        rollout = self.imagine(state, actions)
        values = self._guardrails.evaluate(rollout)
        bill = self._cost.energy(rollout, directive)
        return rollout, replace(bill, guardrails=values, violation=violation(values))
