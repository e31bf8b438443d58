"""Beam search that also knows the way through what it remembers.

Source: Eysenbach, Salakhutdinov & Levine (2019), search on the replay buffer; LeCun (2022)
sec. 4.6.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Directive, Mode, Plan
from agent.core.protocols import Site
from modules.actor.beam import beam
from modules.actor.discrete.graph import Roadmap, Survey, remember
from modules.actor.discrete.planner import Discrete, Levels
from modules.actor.discrete.problem import Problem, Search
from modules.actor.discrete.tree import grid
from modules.actor.policy import stretch
from modules.actor.search import Found

SHARE, FADING = 0.25, 0.9
"""Of the budget, what finding a route may take; and how a time that was too long is forgotten."""


class Waypoints(Discrete):
    """A beam search whose choices include the cheapest route through remembered states.

    Every tick the present state, brought to rest, is remembered if it is a new one, and all that is
    remembered is joined by imagined moves, priced by the objective under this tick's directive. The
    route's moves are one more candidate: what is carried out is judged as a whole plan from the
    present state like any other. It remembers what it has perceived in this episode: at the
    beginning nothing, and then it is a plain beam search; and so it is for a while where finding
    the route took more than a quarter of the budget.
    """

    class Config(Discrete.Config):
        """What is remembered, and which moves join it.

        At most `capacity` states, apart by more than `near` of a move's mean length; a move that
        ends within that of a state leads there. A move holds a combination of `strides`, levels as
        above, for `hold` ticks, then rests for `brake`. Remaining at the end of a route counts for
        `patience` ticks.
        """

        capacity: int = Field(default=24, ge=1)
        near: float = Field(default=0.25, gt=0)
        strides: Levels = [-1.0, -0.5, 0.0, 0.5, 1.0]
        brake: int = Field(default=4, ge=0)
        patience: float = Field(default=100.0, ge=0)

    posts: ClassVar[type] = Plan

    def __init__(self, config: Config, site: Site) -> None:
        """Build the planner, which remembers nothing. Raises ValueError as `Discrete` does."""
        super().__init__(config, site)
        self._few(config.strides)
        self.config = config
        self._known: list[Tensor] = []
        self._routes = torch.zeros(0)
        self._took_s = 0.0

    def reset(self, batch: int) -> None:
        """Forget the last plan and all states."""
        super().reset(batch)
        self._known = []

    def strategy(self, problem: Problem) -> Search:
        """Return the search for one agent's plan."""
        return beam(problem, self.config.width)

    def _think(self, latent: Tensor, directive: Directive, begin: float) -> Found:
        """Return what was found for all agents, with their routes among the candidates."""
        if len(self._known) != len(latent):
            self._known = [latent[:0]] * len(latent)
        rows = (directive.mode == Mode.DELIBERATE).nonzero()[:, 0]
        horizon, rest = directive.horizon, self.policy.rest
        self._routes, tried = rest.expand(len(latent), 1, horizon, -1).clone(), 0
        if self._took_s > SHARE * directive.budget_ms / 1e3:
            self._took_s *= FADING
        elif len(rows):
            moves = self._moves()
            told = self._survey(rows, latent, directive, moves)
            for row, part in zip(rows.tolist(), told, strict=True):
                route = self._route(row, part, moves)
                self._routes[row] = stretch(route, horizon, rest)
                tried += part.good.numel()
            self._took_s = time.perf_counter() - begin
        found = super()._think(latent, directive, begin)
        return replace(found, tried=found.tried + tried)

    def _warm(self, batch: int, horizon: int) -> Tensor:
        return torch.cat((super()._warm(batch, horizon), self._routes), dim=1)

    def _moves(self) -> Tensor:
        """Return the moves [P T A], rest first: levels held for `hold` ticks, then rest."""
        held = self.policy.rest.expand(1, 1, self.config.hold, -1)
        around = grid(self.config.strides, self.policy.low, held, self.policy.high)[0]
        return torch.cat((around, self.policy.rest.expand(len(around), self.config.brake, -1)), 1)

    def _survey(
        self, rows: Tensor, latent: Tensor, directive: Directive, moves: Tensor
    ) -> list[Survey]:
        """Return what is imagined from the present and remembered states of agents `rows`.

        One call for all, always of the same size: time and numbers do not depend on how much is
        remembered.
        """
        size = self.config.capacity + 1
        states = latent[rows].repeat_interleave(size, dim=0)
        for place, row in enumerate(rows.tolist()):
            known = self._known[row]
            states[place * size + 1 : place * size + 1 + len(known)] = known
        asked = directive.rows(rows.repeat_interleave(size))
        told = Survey.of(self._objective, asked, states, moves)
        return [told.rows(slice(i * size, (i + 1) * size)) for i in range(len(rows))]

    def _route(self, row: int, told: Survey, moves: Tensor) -> Tensor:
        """Return an agent's actions [1 T A] along its route, unbraked; and remember where it is."""
        known = self._known[row]
        made = Roadmap(
            known, told.rows(slice(len(known) + 1)), self.config.near, self.config.patience
        )
        if bool(made.resting.isfinite().all()):
            self._known[row] = remember(known, made.resting, made.reach, self.config.capacity)
        return moves[made.moves(made.route()), : self.config.hold].reshape(1, -1, moves.shape[-1])
