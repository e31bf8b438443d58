"""A graph of remembered states, joined where the world model says that a move leads across.

Source: Eysenbach, Salakhutdinov & Levine (2019), search on the replay buffer; Kavraki et al.
(1996), probabilistic roadmaps; LeCun (2022) sec. 4.6, predicted states as sub-goals.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import networkx as nx
import torch
from torch import Tensor

from agent.core.messages import Directive
from agent.core.protocols import Objective
from modules.actor.discrete.problem import Path, State, Step

START, STAY = "start", "stay"
"""The present state, and the end of every path: to remain where it has come to."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What the model and the objective say of P moves from each of n states.

    `paid` [n P] for a move, without terminal terms; `good` [n P], finite and breaking no guardrail;
    `remain` [n] for a tick of staying there; `later` [n], what terminal terms (a cost-to-go, a
    critic) expect from there; `ends` [n P Z] of moves, the first being to stay.
    """

    paid: Tensor
    good: Tensor
    remain: Tensor
    later: Tensor
    ends: Tensor

    @staticmethod
    def of(objective: Objective, directive: Directive, states: Tensor, moves: Tensor) -> Survey:
        """Imagine `moves` [P T A], the first of them rest, from states [n Z], a directive each."""
        tried = torch.cat((moves, moves[:1, :1].expand(len(moves), 1, -1)), dim=1)
        rollout, bill = objective(states, tried.expand(len(states), -1, -1, -1), directive)
        # A last tick of rest takes the terminal terms: what was paid before it is the move's.
        ticks = bill.terms.double().sum(dim=2) * tried.shape[1]
        remain = ticks[:, 0, -2].nan_to_num(torch.inf).clamp(min=0.0)
        return Survey(
            paid=ticks[..., :-1].sum(dim=-1).clamp(min=0.0),
            good=torch.isfinite(ticks).all(dim=-1) & (bill.violation <= 0),
            remain=remain,
            later=(ticks[:, 0, -1].nan_to_num(torch.inf) - remain).clamp(min=0.0),
            ends=rollout.latents.mean(dim=0)[:, :, -2],
        )

    def rows(self, cut: slice) -> Survey:
        """Return what is said of some of the states."""
        return Survey(*(getattr(self, f.name)[cut] for f in fields(Survey)))


class Roadmap:
    """States that an agent remembers, and how it could go from one to another, and at what energy.

    `graph` is a networkx.DiGraph over START, the remembered states 0 ... n - 1, and STAY. An edge
    has an `energy`, what the objective charges for its ticks, and the number of the `move` that
    takes it; None leads to STAY, at `patience` ticks of what remaining costs. So the cheapest path
    to STAY goes to where it is good to be, and its states are the sub-goals on the way there. What
    terminal terms expect of a state is no edge's energy but its `estimate`.

    It is a `Problem`: any search may be run on it.
    """

    start: State = START

    def __init__(self, remembered: Tensor, told: Survey, near: float, patience: float) -> None:
        """Join the present state and `remembered` ones [n Z] by the moves a survey tells of.

        Its first row is about the present state, the others about the remembered ones, which are at
        rest as moves should end. A move that is good leads to the nearest state, if that lies
        within `near` of a move's mean length.
        """
        self.latents = remembered
        self._names: list[State] = [START, *range(len(remembered))]
        self.depth = len(self._names)
        self._later: dict[State, float] = dict(zip(self._names, told.later.tolist(), strict=True))
        self.resting = told.ends[0, 0]
        self.reach = near * float((told.ends[0, 1:] - self.resting).norm(dim=-1).mean())
        self.graph = nx.DiGraph()
        for name, energy in zip(self._names, (patience * told.remain).tolist(), strict=True):
            self.graph.add_edge(name, STAY, energy=energy, move=None)
        if len(remembered):
            self._join(told.paid, told.good, told.ends)

    def _join(self, paid: Tensor, good: Tensor, ends: Tensor) -> None:
        """Add the cheapest edge of every pair of states that moves join."""
        gap, nearest = torch.cdist(ends.flatten(0, 1), self.latents).min(dim=1)
        joined = (gap.view(good.shape) <= self.reach) & good
        to = nearest.view(good.shape)
        for row, move in joined.nonzero().tolist():
            here, there, energy = self._names[row], int(to[row, move]), float(paid[row, move])
            known: Any = self.graph.get_edge_data(here, there)
            if here != there and (known is None or energy < known["energy"]):
                self.graph.add_edge(here, there, energy=energy, move=move)

    def route(self) -> Path:
        """Return the cheapest path to STAY; the states between the ends are the sub-goals."""
        found, states = nx.single_source_dijkstra(self.graph, START, STAY, weight="energy")
        path = Path(START)
        for here, there in itertools.pairwise(states):
            path = Path(there, path.energy + self.graph.edges[here, there]["energy"], path)
        assert path.energy == found
        return path

    def subgoals(self, path: Path) -> Tensor:
        """Return the latents [k Z] of the remembered states along a path."""
        return self.latents[[state for state in path.states() if isinstance(state, int)]]

    def moves(self, path: Path) -> list[int]:
        """Return the numbers of the moves that lead along a path."""
        taken = [self.graph.edges[edge]["move"] for edge in itertools.pairwise(path.states())]
        return [move for move in taken if move is not None]

    def expand(self, states: Sequence[State]) -> list[list[Step]]:
        """Return the edges from each of `states`."""
        return [
            [Step(to, edge["energy"]) for to, edge in self.graph.adj[state].items()]
            for state in states
        ]

    def estimate(self, state: State) -> float:
        """Return what the objective's terminal terms expect from `state` on."""
        return self._later.get(state, 0.0)

    def done(self, state: State) -> bool:
        """Say whether it was decided to remain."""
        return bool(state == STAY)

    def distinct(self, paths: Sequence[Path]) -> list[Path]:
        """Return the first path to every state."""
        return list({path.state: path for path in reversed(paths)}.values())[::-1]


def remember(known: Tensor, latent: Tensor, apart: float, capacity: int) -> Tensor:
    """Return `known` [n Z] and `latent` [Z], unless it lies within `apart` of one of them.

    Of more than `capacity` states the oldest is forgotten.
    """
    if len(known) and float((known - latent).norm(dim=-1).min()) <= apart:
        return known
    return torch.cat((known, latent[None]))[-capacity:]
