"""Discretised actions through the learned model: plans made of motion primitives.

Source: LeCun (2022) sec. 3.1.2; motion primitives, Frazzoli, Dahleh & Feron (2005).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from modules.actor.discrete.problem import Path, Step
from modules.actor.sampling import Pool

Choices = tuple[int, ...]
"""A state of a tree: which primitive was chosen at each depth so far, by number."""
ROOT: Choices = ()


def grid(levels: Sequence[float], low: Tensor, base: Tensor, high: Tensor) -> Tensor:
    """Return plans [B L^A H A] around `base` [B 1 H A], within the limits [A]; that is the first.

    For every combination of levels over the actuators there is one. A level is a share of the way
    to the low limit (-1) or to the high one (1).
    """
    ranked = sorted(set(levels), key=abs)
    shares = torch.tensor(list(itertools.product(ranked, repeat=len(low)))).unsqueeze(1)
    plans = base + shares.abs() * torch.where(shares < 0, low - base, high - base)
    return plans.clamp(low, high)


class Tree:
    """One agent's problem: which primitives to string together.

    Every state stands for a whole plan: its choices, then on as the first of them would. The bill
    of its own ticks is what it has paid, the remainder the estimate; at the last depth all is paid.
    """

    start = ROOT

    def __init__(self, depth: int, merge: float) -> None:
        """Start with nothing known; states closer than `merge` of a layer's spread are the same."""
        self.depth, self._merge = depth, merge
        self._paid, self._later = {ROOT: 0.0}, {ROOT: 0.0}
        self._row: dict[Choices, int] = {}
        self._ends = torch.zeros(0)

    def learn(
        self, states: Sequence[Choices], spent: Sequence[float], total: Sequence[float],
        good: Sequence[bool], ends: Tensor,
    ) -> list[list[Step]]:  # fmt: skip
        """Return the steps from `states`, equally many each, given what is known of their ends.

        Row by row: energy `spent` by then, in `total` at the plan's end, whether the step is
        `good`, and the latents [K Z] where it `ends`.
        """
        self._row, self._ends = {}, ends
        rows, width = itertools.count(), len(spent) // len(states)
        steps: list[list[Step]] = []
        for state in states:
            steps.append([])
            for choice in range(width):
                row, to = next(rows), (*state, choice)
                self._row[to], self._paid[to] = row, spent[row]
                self._later[to] = total[row] - spent[row]
                energy = spent[row] - self._paid[state] if good[row] else float("inf")
                steps[-1].append(Step(to, energy))
        return steps

    def estimate(self, state: Choices) -> float:
        """Return what is paid if the plan goes on from `state` as it began."""
        return self._later[state]

    def done(self, state: Choices) -> bool:
        """Say whether the plan is decided to its end."""
        return len(state) == self.depth

    def distinct(self, paths: Sequence[Path]) -> list[Path]:
        """Return `paths` without those whose latents lie within reach of one before.

        Of paths learned in the last round only.
        """
        if not paths or not self._merge:
            return list(paths)
        ends = self._ends[[self._row[path.state] for path in paths]]
        spread = (ends - ends.mean(dim=0)).square().sum(dim=-1).mean().sqrt()
        near = (torch.cdist(ends, ends) < self._merge * spread).tolist()
        kept: list[int] = []
        for index in range(len(paths)):
            if not any(near[index][other] for other in kept):
                kept.append(index)
        return [paths[index] for index in kept]


class Forest:
    """The trees of several agents, grown together: every round is one batch of plans for all.

    A step whose own ticks break a guardrail is forbidden, and so is a whole plan that does; where
    every first step of an agent is, its violation is counted instead of its energy.
    """

    def __init__(self, choices: Tensor, hold: int, moving: int, width: int, merge: float) -> None:
        """Build from `choices` [B P H A]: whole plans, of which `hold` ticks are taken at a time.

        With the first a plan goes on where nothing is chosen; all rest after `moving` ticks. At
        most `width` states of an agent are asked about in a round.
        """
        agents, self._count, horizon, _ = choices.shape
        self._choices, self._hold, self._width = choices, hold, width
        self.depth = -(-moving // hold)
        self.trees = [Tree(self.depth, merge) for _ in range(agents)]
        self._turn = (torch.arange(horizon) // hold).clamp(max=self.depth - 1)
        self._lost = torch.zeros(agents, 1, dtype=torch.bool)
        self._rounds = 0

    def plans(self, asked: Sequence[Sequence[Choices]]) -> Tensor:
        """Return the plans [B K H A] of all steps from the states that each agent asks for.

        A round has as many plans as an agent could ask for by then, whatever is asked: an agent's
        numbers do not depend, to the bit, on the others'.
        """
        width = min(self._width, self._count**self._rounds)
        full = [(*states, *[ROOT] * (width - len(states))) for states in asked]
        on = (0,) * self.depth
        before = torch.tensor([[(c + on)[: self.depth] for c in states] for states in full])
        lengths = torch.tensor([[len(c) for c in states] for states in full])
        self._lengths = lengths.repeat_interleave(self._count, dim=1) + 1
        picks = before.repeat_interleave(self._count, dim=1)
        numbers = torch.arange(self._count).repeat(len(full), width).unsqueeze(2)
        picks.scatter_(2, self._lengths.unsqueeze(2) - 1, numbers)
        ticks = torch.arange(len(self._turn))
        agents = torch.arange(len(picks))[:, None, None]
        return self._choices[agents, picks[:, :, self._turn], ticks]

    def learn(self, asked: Sequence[Sequence[Choices]], pool: Pool) -> list[list[list[Step]]]:
        """Return the steps from what each agent asked for, given the bills of `plans(asked)`."""
        last = (self._lengths * self._hold).clamp(max=len(self._turn)) - 1
        paid = _until(pool.terms, last)
        broken = _until(pool.guardrails.clamp(min=0.0), last)
        whole, violation = pool.energy.double(), pool.violation.double().clamp(min=0.0)
        sound = torch.isfinite(paid) & torch.isfinite(broken) & torch.isfinite(whole)
        if not self._rounds:
            self._lost = ~(sound & (broken <= 0)).any(dim=1, keepdim=True)
        self._rounds += 1
        done = self._lengths == self.depth
        total = torch.where(self._lost, violation, whole)
        spent = torch.where(done, total, torch.where(self._lost, broken, paid))
        good = sound & (self._lost | (torch.where(done, violation, broken) <= 0))
        agents, rows = torch.arange(len(last))[:, None], torch.arange(last.shape[1])
        ends = pool.latents[agents, rows, :, last].mean(dim=2)
        steps: list[list[list[Step]]] = []
        for b, states in enumerate(asked):
            cut = slice(0, len(states) * self._count)
            told = (spent[b, cut].tolist(), total[b, cut].tolist(), good[b, cut].tolist())
            steps.append(self.trees[b].learn(states, *told, ends[b, cut]) if states else [])
        return steps


def _until(values: Tensor, last: Tensor) -> Tensor:
    """Return the sums [B K] of `values` [B K n H] over all n and the ticks up to `last` [B K]."""
    sums = values.double().sum(dim=2).cumsum(dim=-1)
    return sums.gather(2, last.unsqueeze(2))[..., 0]
