"""Routes through a graph of remembered states, and the planner that follows them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.core.messages import Bill, Directive, Rollout
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.actor.beam import Beam
from modules.actor.discrete.graph import START, STAY, Roadmap, Survey, remember
from modules.actor.discrete.problem import solve
from modules.actor.discrete.tree import grid
from modules.actor.policy import Policy
from modules.actor.waypoints import Waypoints
from tests.contract.fuzz import planners
from tests.contract.test_planners import Slide, ask
from tests.unit.modules.test_discrete import EXACT, PLACE


class Post(Slide):
    """Sliding around a post of radius 1 at the origin, which may not be touched."""

    def __call__(
        self, state: Tensor, actions: Tensor, directive: Directive
    ) -> tuple[Rollout, Bill]:
        seen, bill = super().__call__(state, actions, directive)
        rail = 1.0 - seen.latents[0].norm(dim=-1)
        return seen, Bill(
            bill.energy, bill.terms, rail[:, :, None], rail.clamp(min=0.0).sum(dim=-1)
        )


def roadmap(remembered: Tensor, here: list[float], goal: list[float], near: float = 0.1) -> Roadmap:
    rest, limit = torch.zeros(1, 1, 2, 2), torch.ones(2)
    moves = grid([-0.5, 0.0, 0.5], -limit, rest, limit)[0]
    moves[:, 1] = 0.0
    states = torch.cat((torch.tensor([here]), remembered))
    told = Survey.of(Post(), ask([goal] * len(states)), states, moves)
    return Roadmap(remembered, told, near, patience=20.0)


LATTICE = torch.cartesian_prod(torch.arange(-2.0, 2.1, 0.5), torch.arange(-2.0, 2.1, 0.5))


def test_a_route_through_memory_leads_around_what_is_forbidden() -> None:
    made = roadmap(LATTICE, [-2.0, 0.0], [2.0, 0.0])
    path = made.route()
    states = path.states()
    assert states[0] == START and states[-1] == STAY
    places = LATTICE[states[1:-1]]
    assert places[-1].tolist() == [2.0, 0.0]
    assert bool((places.norm(dim=-1) >= 1.0).all()), "never through the post"
    assert float(places[:, 1].abs().max()) >= 1.0
    walked = torch.cat((torch.tensor([[-2.0, 0.0]]), places))
    assert float((walked[1:] - walked[:-1]).abs().max()) <= 0.5 + 1e-6
    away = ((walked[1:] - torch.tensor([2.0, 0.0])) ** 2).sum(dim=-1)
    assert path.energy == pytest.approx(float(2 * away.sum()), rel=1e-4), "two ticks a move"
    assert len(made.moves(path)) == len(places)
    assert torch.equal(made.subgoals(path), places)


def test_without_memory_an_agent_stays() -> None:
    made = roadmap(torch.zeros(0, 2), [-2.0, 0.0], [2.0, 0.0])
    assert made.route().states() == [START, STAY]
    assert made.moves(made.route()) == []
    far = roadmap(LATTICE + 50.0, [-2.0, 0.0], [2.0, 0.0])
    assert far.route().states() == [START, STAY]


@pytest.mark.parametrize("name", ["astar", "astar by eights", "dynamic_programming"])
def test_searches_find_the_route_that_networkx_finds(name: str) -> None:
    made = roadmap(LATTICE, [-2.0, 0.5], [1.5, -1.5])
    found = solve(made, EXACT[name](made))
    assert found is not None
    assert found.energy == pytest.approx(made.route().energy)


@pytest.mark.parametrize("name", ["beam", "mcts"])
def test_searches_that_do_not_merge_find_a_way_on_a_small_map(name: str) -> None:
    small = torch.tensor([[-1.5, 0.5], [-1.5, 1.0], [-1.0, 1.5], [-0.5, 1.5], [0.0, 1.5]])
    made = roadmap(small, [-2.0, 0.0], [0.0, 1.5])
    assert len(made.route().states()) == 7
    found = solve(made, EXACT[name](made))
    assert found is not None
    assert found.energy == pytest.approx(made.route().energy)


def test_only_what_is_new_is_remembered_and_the_oldest_is_forgotten() -> None:
    known = torch.zeros(0, 2)
    for place in ([0.0, 0.0], [0.05, 0.0], [1.0, 0.0], [0.0, 0.1], [2.0, 0.0], [3.0, 0.0]):
        known = remember(known, torch.tensor(place), 0.2, 3)
    assert known.tolist() == [[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]


class Barrier(Slide):
    """Sliding past a wall that is half a metre thick, ends two metres up, and never ends below."""

    def __call__(
        self, state: Tensor, actions: Tensor, directive: Directive
    ) -> tuple[Rollout, Bill]:
        seen, bill = super().__call__(state, actions, directive)
        beside, above = seen.latents[0, ..., 0].abs() - 0.25, seen.latents[0, ..., 1] - 2.0
        rail = -torch.maximum(beside, above)
        violation = rail.clamp(min=0.0).sum(dim=-1)
        return seen, Bill(bill.energy, bill.terms, rail[:, :, None], violation)


def walked(kind: Any) -> tuple[float, float]:
    """Lead an agent over the wall and ask it back; return how far from its goal it ends each time."""
    body = Layout((Channel("push", 2, "m/s", (-1.0, -1.0), (1.0, 1.0)),))
    place = Site(PLACE, body, 20.0, 2, PLACE, ("away",), ("wall",), Barrier())  # type: ignore[arg-type]
    made = kind(kind.Config(iterations=1, width=4, policy=Policy.Config(span=0.5)), place)
    here, ends = torch.tensor([[-1.0, 0.0]]), []
    led = [([-1.0, 2.5], 8, 12), ([1.0, 2.5], 8, 12), ([1.0, 0.0], 10, 12)]
    for goal, ticks, horizon in (*led, ([-1.0, 0.0], 28, 40)):
        for _ in range(ticks):
            plan = made.plan(here, replace(ask([goal]), horizon=horizon))
            here = here + plan.actions[:, 0]
            assert abs(float(here[0, 0])) >= 0.25 or float(here[0, 1]) >= 2.0
        ends.append(math.dist(here[0].tolist(), goal))
    return ends[2], ends[3]


def test_an_agent_finds_back_the_way_it_came() -> None:
    """On its way there it was led; on its way back the wall is all that a plain search sees."""
    there, back = walked(Beam)
    assert there < 0.2
    assert back > 1.2
    there, back = walked(Waypoints)
    assert there < 0.2
    assert back < 0.2


def test_they_are_among_the_planners_that_the_contract_is_for() -> None:
    assert {"astar", "beam", "dynamic_programming", "mcts", "waypoints"} <= set(planners())
