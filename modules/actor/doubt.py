"""When to think: a proposal falls behind the plan in hand, or energy has long not fallen."""

from __future__ import annotations

import torch
from torch import Tensor

from modules.actor.sampling import Pool


class Doubt:
    """Each agent's reasons, in this episode, not to go by habit.

    What a proposal is held against is the last plan carried on: it was thought over a moment ago,
    or has kept pace since. Before the first plan, and with a new goal, there is nothing to hold it
    against, and so there is doubt.
    """

    def __init__(self, goals: Tensor, tolerated: float, patience: int) -> None:
        """Doubt everything about agents with `goals` [B G].

        `tolerated` is a share of the energy, `patience` in ticks.
        """
        self._goals, self._tolerated, self._least = goals, tolerated, patience
        self._low = goals.new_full((len(goals),), torch.inf)
        self._patience = torch.full((len(goals),), patience)
        self._idle = self._patience.clone()

    def __call__(self, habit: Pool, carried: Pool, goals: Tensor) -> Tensor:
        """Say for which agents [B] the proposal `habit` [B 1] will not do, given `carried` [B 1].

        `carried` is the last plan, `goals` [B G] what is wanted now.
        """
        proposed, kept = habit.energy[:, 0], carried.energy[:, 0]
        unsound = (habit.violation[:, 0] > 0) | ~proposed.isfinite()
        behind = proposed > kept + self._tolerated * kept.abs()
        allowed = (carried.violation[:, 0] <= 0) & kept.isfinite()
        changed = (goals != self._goals).any(dim=1)
        self._goals = goals
        self._low = self._low.masked_fill(changed, torch.inf)
        return unsound | (behind & allowed) | changed | (self._idle >= self._patience)

    def settle(self, asked: Tensor, thought: Tensor, habit: Tensor, chosen: Tensor) -> None:
        """Take in who was `asked` to think if need be and who `thought`, both [B].

        With the energies [B] of their `habit` and of what was `chosen`. Progress resets patience,
        thought in vain doubles it. Who was not asked has no plan in hand that proves anything.
        """
        low = self._low
        fell = low.isinf() | (low - chosen > self._tolerated * low.abs())
        vain = thought & ~(habit.isinf() | (habit - chosen > self._tolerated * habit.abs()))
        patience = torch.where(vain, 2 * self._patience, self._patience)
        self._patience = patience.masked_fill(fell, self._least)
        self._low = torch.where(fell, chosen, low)
        idle = torch.where(fell | thought, 0, self._idle + 1)
        self._idle = torch.where(asked, idle, self._patience)
