"""A tree of states that can be reached: layers of steps, of which only those apart are kept.

Source: Li, Littlefield, Bekris (2016), stable sparse RRT, sec. 4: of states close to each other
only the cheapest is a node.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Step:
    """What is imagined of P actions from each of f states, for one step.

    Where they end: latents `ends` [f P Z], `places` [f P G] in the goal's quantity. What they cost:
    `energy` [f P]. Whether they are `good` [f P]: finite, and breaking no guardrail.
    """

    ends: Tensor
    places: Tensor
    energy: Tensor
    good: Tensor

    def split(self, counts: list[int]) -> list[Step]:
        """Return the steps from the first states, from the next, and so on."""
        parts = (torch.split(p, counts) for p in (self.ends, self.places, self.energy, self.good))
        return [Step(*some) for some in zip(*parts, strict=True)]


class Grown:
    """One agent's tree: `states` [m Z], their `places` [m G], what led there, what it cost.

    The root's place is taken to be where resting for a step leads.
    """

    def __init__(self, start: Tensor, choices: Tensor) -> None:
        """Plant it at latent `start` [Z]; `choices` [P A] are the actions tried at every state."""
        self.states, self.frontier = start[None], torch.zeros(1, dtype=torch.int64)
        self.places, self.tried = start.new_zeros(0), 0
        self._choices = choices
        self._paid, self._last = torch.zeros(1), torch.full((1,), torch.inf)
        self._parent = self._choice = torch.full((1,), -1)
        self._radius = 0.0

    def grow(self, step: Step, near: float, width: int, these: Tensor) -> None:
        """Add what is new among the ends of a step from the frontier's states, cheapest first.

        `these` [P] of all actions were tried.
        """
        self.tried += step.energy.numel()
        if not self._radius:
            self.places = step.places[0, :1]
            self._radius = near * float((step.places[0] - self.places).norm(dim=-1).mean())
            self._last[0] = step.energy[0, 0]
        came, which = step.good.nonzero(as_tuple=True)
        parents, places = self.frontier[came], step.places[came, which]
        paid = self._paid[parents] + step.energy[came, which]
        chosen = self._sparse(places, paid, width)
        first = len(self.states)
        self.states = torch.cat((self.states, step.ends[came, which][chosen]))
        self.places = torch.cat((self.places, places[chosen]))
        self._paid = torch.cat((self._paid, paid[chosen]))
        self._last = torch.cat((self._last, step.energy[came, which][chosen]))
        self._parent = torch.cat((self._parent, parents[chosen]))
        self._choice = torch.cat((self._choice, these[which[chosen]]))
        self.frontier = torch.arange(first, len(self.states))

    def _sparse(self, places: Tensor, paid: Tensor, width: int) -> Tensor:
        """Return which of `places` [n G] to keep: none near a known one, none near a cheaper."""
        order = paid.argsort()
        if not len(order):
            return order
        there = places[order]
        new = torch.cdist(there, self.places).amin(dim=1) > self._radius
        close = torch.cdist(there, there) <= self._radius
        kept: list[int] = []
        while len(kept) < width and bool(new.any()):
            index = int(new.int().argmax())
            kept.append(index)
            new &= ~close[index]
        return order[kept]

    def routes(self, count: int, patience: float) -> list[Tensor]:
        """Return the actions [k A] to the states where it is best to have come, the best first.

        Best is what costs least if one then stays there for `patience` steps.
        """
        score = self._paid + patience * self._last
        found = []
        for end in score.argsort()[:count].tolist():
            taken, here = [], end
            while self._parent[here] >= 0:
                taken.append(int(self._choice[here]))
                here = int(self._parent[here])
            found.append(self._choices[taken[::-1]])
        return found
