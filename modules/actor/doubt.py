"""When to think: habit will not do, and thinking has not lately been in vain.

Source: Russell, Wefald (1991), the value of computation: thinking is worth what it changes.
"""

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

    def __init__(self, goals: Tensor, tolerated: float, patience: int, longest: int) -> None:
        """Doubt everything about agents with `goals` [B G].

        `tolerated` is a share of the energy, `patience` in ticks (0: always in doubt). After
        thought in vain it is not thought again for a tick, then 2, 4, ..., at most `longest`.
        """
        self._goals, self._tolerated = goals, tolerated
        self._patience, self._longest = patience, longest
        self._low = goals.new_full((len(goals),), torch.inf)
        self._idle, self._since, self._wait = torch.zeros(3, len(goals), dtype=torch.int64)
        self._new = torch.ones(len(goals), dtype=torch.bool)

    def __call__(self, habit: Pool, carried: Pool, goals: Tensor) -> tuple[Tensor, Tensor]:
        """Say who has to think, and whose proposal falls behind, both [B].

        Given the proposal `habit` [B 1], the last plan `carried` [B 1], and `goals` [B G] now.
        """
        own, kept = _worth(habit), _worth(carried)
        behind = own > kept + self._tolerated * kept.abs().nan_to_num(posinf=0.0)
        behind |= own.isinf()
        self._new = self._new | (goals != self._goals).any(dim=1)
        self._goals = goals
        lost = torch.minimum(own, kept).isinf()
        reason = behind | (self._idle >= self._patience)
        thinking = self._new | lost | (reason & (self._since >= self._wait))
        return thinking | (self._patience == 0), behind

    def settle(
        self, asked: Tensor, thought: Tensor, known: Tensor, chosen: Tensor, complete: bool
    ) -> None:
        """Take in who was `asked` to think if need be and who `thought`, both [B].

        With the energies [B] of the best `known` before, and of what was `chosen`. Thought that was
        not `complete` was not in vain. Who was not asked has nothing in hand that proves anything.
        """
        low = self._low.masked_fill(self._new, torch.inf)
        gained, fell = (
            before.isinf() | (before - chosen > self._tolerated * before.abs())
            for before in (known, low)
        )
        longer = (2 * self._wait).clamp(1, self._longest)
        wait = torch.where(gained, 0, longer) if complete else torch.zeros_like(longer)
        self._wait = torch.where(thought, wait, self._wait)
        self._since = torch.where(thought, 0, self._since + 1)
        self._idle = torch.where(fell | thought, 0, self._idle + 1)
        self._low = torch.where(fell, chosen, low)
        self._new = ~asked


def _worth(plan: Pool) -> Tensor:
    """Return the energies [B] of plans [B 1]; infinite where a guardrail is broken."""
    return plan.energy[:, 0].masked_fill(plan.violation[:, 0] > 0, torch.inf)
