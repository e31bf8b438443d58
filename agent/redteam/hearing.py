"""What a gate imagined at one level while no module was ticking, judged again by others."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from agent.core.guardrails import Guardrails, violation
from agent.core.messages import Plan, Rollout


class Heard:
    """The futures `imagined` at a level in this tick, and the plan that is followed there."""

    def __init__(self, judge: Guardrails, ticks: int, rest: Tensor | None = None) -> None:
        """Judge by guardrails out of the agent's reach; a step of this level takes `ticks`.

        A standing plan may break guardrails if it does so less than the action `rest` [A], held.
        """
        self._judge, self._ticks, self._rest = judge, ticks, rest
        self.imagined: list[Rollout] = []
        self.reset()

    def reset(self) -> None:
        """Forget the episode."""
        self.imagined.clear()
        self._plan: Plan | None = None
        self._age, self._fine = 0, torch.zeros(0, dtype=torch.bool)

    def first(self, command: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Say whose [B] command begins a plan imagined from its state, and a safe one."""
        return self._found(command[:, None], state)

    def standing(self, plan: Plan | None, state: Tensor) -> Tensor:
        """Say whose [B] plan here was imagined whole when it was new, is safe, and is not over."""
        if plan is None:
            return torch.zeros(len(state), dtype=torch.bool)
        if plan is self._plan:
            self._age += 1
            return self._fine & (self._age < self._ticks)
        self._plan, self._age = plan, 0
        _, safe = self._found(plan.actions, state)
        self._fine = safe | self._lesser(plan.actions, state)
        return self._fine

    def _lesser(self, actions: Tensor, state: Tensor) -> Tensor:
        """Say whose [B] `actions` [B h A] were imagined beside rest, and to break less than it."""
        found = torch.zeros(len(actions), dtype=torch.bool)
        if self._rest is None:
            return found
        rest = self._rest.expand_as(actions)
        for rollout in self.imagined:
            if (len(rollout.actions), rollout.actions.shape[2]) != actions.shape[:2]:
                continue
            seen = (rollout.start == state).all(dim=1, keepdim=True)
            ours, theirs = (
                (rollout.actions == a.unsqueeze(1)).flatten(2).all(dim=2) & seen
                for a in (actions, rest)
            )
            broken = violation(self.values(rollout))
            least = broken.masked_fill(~theirs, -torch.inf).amax(dim=1, keepdim=True)
            found |= (ours & (broken < least)).any(dim=1)
        return found

    def _found(self, actions: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Say for whom [B] `actions` [B h A] begin an imagined plan, and a safe one."""
        rows, steps = actions.shape[:2]
        known = safe = torch.zeros(rows, dtype=torch.bool)
        for rollout in self.imagined:
            plans = rollout.actions
            if plans.shape[0] != rows or plans.shape[2] < steps:
                continue
            same = (plans[:, :, :steps] == actions.unsqueeze(1)).flatten(2).all(dim=2)
            same &= (rollout.start == state).all(dim=1, keepdim=True)
            values = self.values(rollout)
            kept = (values <= 0.0).flatten(2).all(dim=2) & (values.shape[-1] == plans.shape[2])
            known, safe = known | same.any(dim=1), safe | (same & kept).any(dim=1)
        return known, safe

    def values(self, rollout: Rollout) -> Tensor:
        """Return guardrail values [B K R H] of what was imagined.

        Guardrails that remember do so from the percepts of this episode, as the runtime's do.
        """
        judge = self._judge
        read, past = judge.read(rollout), judge.recall(rollout.start)
        return judge.evaluate(replace(rollout, quantities=read, past=past))
