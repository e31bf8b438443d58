"""Discrete searches find what exhaustive search finds, on problems small enough to know."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import networkx as nx
import pytest
import torch
from torch import Tensor

from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.actor.astar import AStar, astar
from modules.actor.beam import Beam, beam
from modules.actor.discrete.problem import Path, Step, solve
from modules.actor.discrete.tree import Tree, grid
from modules.actor.dynamic_programming import DynamicProgramming
from modules.actor.mcts import MCTS, mcts
from modules.actor.policy import Policy
from modules.actor.waypoints import Waypoints
from tests.contract.test_planners import H, Slide, ask
from tests.toys import ACTUATORS

PLACE = Layout((Channel("place", 2, "m"),))
ALL, LAYER = 10_000, 144


class Branching:
    """A tree of random energies; a state is the choices made. Some steps are forbidden."""

    start: tuple[int, ...] = ()

    def __init__(self, seed: int, depth: int = 4, choices: int = 3) -> None:
        draw = random.Random(seed)
        self.depth, self.choices = depth, choices
        self.energies = {
            state: draw.random() if draw.random() < 0.9 else math.inf
            for length in range(1, depth + 1)
            for state in itertools.product(range(choices), repeat=length)
        }
        self.asked: list[tuple[int, ...]] = []

    def expand(self, states: Any) -> list[list[Step]]:
        self.asked += states
        return [
            [Step((*s, c), self.energies[(*s, c)]) for c in range(self.choices)] for s in states
        ]

    def estimate(self, state: Any) -> float:
        return 0.0

    def done(self, state: Any) -> bool:
        return len(state) == self.depth

    def distinct(self, paths: Any) -> list[Path]:
        return list(paths)

    def least(self) -> float:
        leaves = itertools.product(range(self.choices), repeat=self.depth)
        return min(sum(self.energies[leaf[: i + 1]] for i in range(self.depth)) for leaf in leaves)


class Network:
    """A random directed graph, held by networkx, to be crossed from 0 to its last node."""

    start = 0

    def __init__(self, seed: int, nodes: int = 24) -> None:
        draw = random.Random(seed)
        places = [(draw.random(), draw.random()) for _ in range(nodes)]
        self.graph, self.goal, self.depth = nx.DiGraph(), nodes - 1, nodes
        self.graph.add_nodes_from(range(nodes))
        for a, b in itertools.permutations(range(nodes), 2):
            if math.dist(places[a], places[b]) < 0.22:
                length = math.dist(places[a], places[b]) * draw.uniform(1.0, 2.0)
                self.graph.add_edge(a, b, energy=length)
        self.crow = [math.dist(place, places[-1]) for place in places]

    def expand(self, states: Any) -> list[list[Step]]:
        return [[Step(to, e["energy"]) for to, e in self.graph.adj[s].items()] for s in states]

    def estimate(self, state: Any) -> float:
        return self.crow[state]

    def done(self, state: Any) -> bool:
        return bool(state == self.goal)

    def distinct(self, paths: Any) -> list[Path]:
        first: dict[int, Path] = {}
        for path in paths:
            first.setdefault(path.state, path)
        return list(first.values())

    def least(self) -> float | None:
        try:
            found: float = nx.dijkstra_path_length(self.graph, 0, self.goal, weight="energy")
        except nx.NetworkXNoPath:
            return None
        return found


EXACT = {
    "beam": lambda p: beam(p, ALL),
    "astar": lambda p: astar(p),
    "astar by eights": lambda p: astar(p, width=8),
    "mcts": lambda p: mcts(p, 2, ALL, 0.3),
    "dynamic_programming": lambda p: beam(p, ALL, merge=True),
}
EVERY = pytest.mark.parametrize("name", EXACT)


@EVERY
@pytest.mark.parametrize("seed", range(8))
def test_the_best_leaf_of_a_tree_is_found(name: str, seed: int) -> None:
    problem = Branching(seed)
    found = solve(problem, EXACT[name](problem))
    assert found is not None
    assert found.energy == pytest.approx(problem.least())
    states = found.states()
    assert states[0] == () and len(states) == problem.depth + 1
    assert found.energy == pytest.approx(sum(problem.energies[s] for s in states[1:]))
    assert len(set(problem.asked)) == len(problem.asked), "no state is expanded twice"


@pytest.mark.parametrize("name", ["astar", "astar by eights", "dynamic_programming"])
@pytest.mark.parametrize("seed", range(12))
def test_the_shortest_path_of_a_graph_is_the_one_networkx_finds(name: str, seed: int) -> None:
    problem = Network(seed)
    found, least = solve(problem, EXACT[name](problem)), problem.least()
    assert (found is None) == (least is None)
    if found is not None:
        assert found.energy == pytest.approx(least)
        assert nx.path_weight(problem.graph, found.states(), "energy") == pytest.approx(least)


def test_some_graphs_can_be_crossed_and_some_cannot() -> None:
    found = [Network(seed).least() for seed in range(12)]
    assert 2 <= sum(length is None for length in found) <= 10


def test_an_estimate_spares_a_star_work() -> None:
    asked = []
    for weight in (0.0, 1.0):
        problem = Network(seed=crossable())
        seen: list[int] = []
        expand = problem.expand
        problem.expand = lambda s, e=expand, k=seen: (k.extend(s), e(s))[1]  # type: ignore[method-assign]
        solve(problem, astar(problem, weight=weight))
        asked.append(len(seen))
    assert asked[1] < asked[0]


def crossable() -> int:
    return next(seed for seed in range(12) if Network(seed).least() is not None)


@EVERY
def test_where_every_step_is_forbidden_there_is_no_path(name: str) -> None:
    problem = Branching(0)
    problem.energies = dict.fromkeys(problem.energies, math.inf)
    assert solve(problem, EXACT[name](problem)) is None


def test_mcts_gets_better_with_rounds_and_ends_when_all_was_tried() -> None:
    energies = []
    for rounds in (4, 8, 16, 32, 64, ALL):
        total = 0.0
        for seed in range(20):
            problem = Branching(seed, depth=5)
            found = solve(problem, mcts(problem, 1, rounds, 0.3))
            total += 10.0 if found is None else found.energy - problem.least()
        energies.append(total)
    assert energies == sorted(energies, reverse=True)
    assert energies[0] > 0 and energies[-1] == pytest.approx(0.0)
    assert energies[4] < 0.5 * energies[1]


def test_a_narrow_beam_finds_less_than_a_wide_one() -> None:
    def lost(width: int) -> float:
        problems = [Branching(seed, depth=5) for seed in range(20)]
        found = [solve(p, beam(p, width)) for p in problems]
        return sum(
            10.0 if f is None else f.energy - p.least()
            for f, p in zip(found, problems, strict=True)
        )

    assert lost(1) > lost(6) > lost(ALL) - 1e-9
    assert lost(ALL) == pytest.approx(0.0)


def test_a_grid_of_plans_lies_within_limits_and_its_base_is_first() -> None:
    low, high = torch.tensor([-1.0, 0.5]), torch.tensor([2.0, 1.0])
    base = torch.tensor([[[[0.0, 0.5], [2.0, 0.75]]]])
    found = grid([-1.0, 0.0, 0.5], low, base, high)
    assert found.shape == (1, 9, 2, 2)
    assert torch.equal(found[0, 0], base[0, 0])
    assert found[0, :, 0].tolist() == [
        [0.0, 0.5], [0.0, 0.75], [0.0, 0.5], [1.0, 0.5], [1.0, 0.75], [1.0, 0.5],
        [-1.0, 0.5], [-1.0, 0.75], [-1.0, 0.5],
    ]  # fmt: skip
    assert found[0, :3, 1].tolist() == [[2.0, 0.75], [2.0, 0.875], [2.0, 0.5]]


PLANNERS: dict[str, Any] = {
    "beam": lambda **c: Beam.Config(width=LAYER, **c),
    "astar": lambda **c: AStar.Config(width=8, rounds=ALL, weight=0.0, **c),
    "mcts": lambda **c: MCTS.Config(width=8, rounds=ALL, **c),
    "dynamic_programming": lambda **c: DynamicProgramming.Config(width=LAYER, merge=1e-4, **c),
}
KINDS: dict[str, Any] = {
    "beam": Beam, "astar": AStar, "mcts": MCTS, "dynamic_programming": DynamicProgramming,
}  # fmt: skip


def site(objective: Any) -> Site:
    return Site(PLACE, ACTUATORS, 20.0, 2, PLACE, ("away",), ("wall",), objective)


def exhaustive(objective: Any, low: Tensor, high: Tensor, goal: list[float], wall: float) -> float:
    """Return the least energy of all plans of three primitives, two ticks each, below the wall."""
    best = math.inf
    base = torch.zeros(1, 1, 1, 2)
    commands = grid([-1.0, 0.0, 1.0], low, base, high)[0, :, 0]
    for pick in itertools.product(commands, repeat=3):
        actions = torch.stack(pick).repeat_interleave(2, dim=0)[None, None]
        _, bill = objective(torch.zeros(1, 2), actions, ask([goal]))
        if float(bill.violation) <= 0:
            best = min(best, float(bill.energy))
    return best


@pytest.mark.parametrize("wall", [1e9, 0.4])
@pytest.mark.parametrize("name", PLANNERS)
def test_the_best_plan_of_primitives_is_found_through_the_model(name: str, wall: float) -> None:
    goal = [1.7, -1.9]
    objective = Slide(wall)
    config = PLANNERS[name](iterations=1, finest=1.0, policy=Policy.Config(span=1.0))
    made = KINDS[name](config, site(objective))
    plan = made.plan(torch.zeros(1, 2), ask([goal]))
    low, high = ACTUATORS.bounds()
    least = exhaustive(objective, low, high, goal, wall)
    assert plan.energy.item() == pytest.approx(least, rel=1e-5)
    assert plan.violation.item() == 0.0


class Walk(Branching):
    """Steps of -1, 0 or 1, each with an energy of its own; the same place is the same state."""

    start = (0, 0)

    def expand(self, states: Any) -> list[list[Step]]:
        self.asked += states
        return [[self.step(t, x, way) for way in (-1, 0, 1)] for t, x in states]

    def step(self, t: int, x: int, way: int) -> Step:
        return Step((t + 1, x + way), random.Random(f"{t} {x} {way}").random())

    def done(self, state: Any) -> bool:
        return bool(state[0] == self.depth)

    def distinct(self, paths: Any) -> list[Path]:
        return list({path.state: path for path in reversed(paths)}.values())[::-1]


def test_merging_spares_work_without_loss_where_states_are_the_same() -> None:
    one, other = Walk(0, depth=6), Walk(0, depth=6)
    found, wanted = solve(one, beam(one, ALL, merge=True)), solve(other, beam(other, ALL))
    assert found is not None and wanted is not None
    assert found.energy == pytest.approx(wanted.energy)
    assert len(one.asked) == sum(2 * t + 1 for t in range(6))
    assert len(other.asked) == sum(3**t for t in range(6))


def test_states_of_a_tree_are_one_if_their_latents_are_close() -> None:
    tree = Tree(depth=2, merge=0.1)
    ends = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.02, 0.0], [0.0, 1.0]])
    (steps,) = tree.learn([()], [4.0, 3.0, 1.0, 2.0], [5.0] * 4, [True] * 4, ends)
    paths = sorted(Path(()).on(steps), key=lambda path: path.energy)
    assert [path.state for path in tree.distinct(paths)] == [(2,), (3,), (1,)]
    strict = Tree(depth=2, merge=0.0)
    strict.learn([()], [4.0, 3.0, 1.0, 2.0], [5.0] * 4, [True] * 4, ends)
    assert len(strict.distinct(paths)) == 4


def test_where_nothing_is_allowed_the_whole_plan_leads_back() -> None:
    for name, kind in KINDS.items():
        made = kind(kind.Config(finest=1.0, width=8), site(Slide(wall=-2.0)))
        plan = made.plan(torch.zeros(1, 2), ask([[2.0, 0.0]]))
        step = float(made.policy.low[0])
        best = sum(max(0.0, (t + 1) * step + 2.0) for t in range(H))
        assert plan.violation.item() == pytest.approx(best, rel=1e-5), name


@pytest.mark.parametrize("levels", [[-1.0, 1.0], [0.0, 1.5]])
def test_levels_without_rest_or_beyond_the_limits_are_refused(levels: list[float]) -> None:
    with pytest.raises(ValueError, match="0 \\(no change\\) among them"):
        Beam.Config(levels=levels)


def test_a_body_with_too_many_primitives_is_refused() -> None:
    many = Layout((Channel("push", 7, "m/s", (-1.0,) * 7, (1.0,) * 7),))
    place = Site(PLACE, many, 20.0, 2, PLACE, ("away",), ("wall",), Slide())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="512 motion primitives, came 3 levels for each of 7"):
        Beam(Beam.Config(), place)
    with pytest.raises(ValueError, match="waypoints: .*came 3 levels for each of 7"):
        Waypoints(Waypoints.Config(levels=[0.0, 1.0], strides=[-1.0, 0.0, 1.0]), place)
