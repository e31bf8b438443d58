"""Tasks of several sub-goals: their order, their ends, what happens when one fails, what is refused."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from agent.core.errors import InputError
from agent.core.messages import Directive, Percept, Ruling, Task, Verdict
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from agent.core.subgoals import Progress
from modules.configurator.routes import Routes
from modules.configurator.subgoal import SubGoal
from modules.configurator.task_graph import TaskGraphConfigurator
from modules.cost.terms.aim import Aim
from tests.unit.modules.test_task_terms import seen

SENSORS = Layout((Channel("place", 2, "m"), Channel("height", 1, "m")))
PLACE = Layout((Channel("place", 2, "m"),))


class Read:
    """Readouts of a latent that is place and height already."""

    layout = SENSORS

    def read(self, latents: Tensor) -> dict[str, Tensor]:
        return {c.name: latents[..., where] for c, where in SENSORS.slices()}

    def error(self) -> dict[str, float]:
        return {"place": 0.0, "height": 0.0}


SITE = Site(SENSORS, Layout(()), 20.0, 3, PLACE, ("aim", "pain", "anticipation"), readouts=Read())
NEAR = {"quantity": "place", "within": 0.1}


def going(task: dict[str, Any], batch: int = 1) -> Any:
    """Return a function that ticks a configurator for agents at these places and heights."""
    raw = TaskGraphConfigurator.Config(task=task)
    one = TaskGraphConfigurator(raw, SITE)
    one.reset(batch)
    goal = torch.tensor([[5.0, 5.0]]).expand(batch, 2)

    def tick(*at: list[float] | None, vetoed: bool = False) -> Directive:
        ruling = int(Ruling.VETOED if vetoed else Ruling.ALLOWED)
        said: dict[type, Any] = {}
        if at[0] is not None:
            latent = torch.tensor(at)
            zero = torch.zeros(len(latent))
            said[Percept] = Percept(latent, zero, zero)
            kind = torch.full((len(latent),), ruling)
            said[Verdict] = Verdict(kind, kind, zero, zero, torch.zeros(len(latent), 0))
        return one.tick(Inbox(said, goal))

    return tick


class Inbox:
    """What a configurator reads and recalls."""

    def __init__(self, said: dict[type, Any], goal: Tensor) -> None:
        self.last, self._task = said.get, Task(goal)

    def __getitem__(self, kind: type) -> Any:
        assert kind is Task
        return self._task


def told(goal: Any, **more: Any) -> dict[str, Any]:
    """Return a sub-goal of place."""
    return {"goal": {"place": goal}, "done": NEAR} | more


ERRAND = {
    "out": told("told"),
    "up": {
        "after": ["out"],
        "goal": {"height": [2.0]},
        "done": {"quantity": "height", "above": 1.5, "ticks": 2},
        "weights": {"pain": 0.5},
        "attention": {"height": 0.0},
        "horizon": 7,
        "budget_ms": 9.0,
        "mode": 1,
    },
    "back": told("start", after=["up"]),
}


def test_sub_goals_are_done_one_by_one_and_the_last_is_held() -> None:
    tick = going(ERRAND)
    asked = [tick(None), tick([1.0, 2.0, 0.0]), tick([5.0, 5.05, 0.0])]
    assert [int(a.subgoals.active) for a in asked] == [0, 0, 1]
    assert asked[0].goal.tolist() == [[5.0, 5.0]]
    up = asked[2]
    assert (up.horizon, up.budget_ms, int(up.mode)) == (7, 9.0, 1)
    assert up.weights.tolist() == [[1.0, 0.5, 1.0]]
    assert up.attention.tolist() == [[1.0, 0.0]]
    assert up.subgoals.aim.tolist() == [[0.0, 0.0, 2.0]]
    assert up.subgoals.aimed.tolist() == [[False, False, True]]
    assert up.goal.tolist() == [[5.0, 5.0]], "what is told stays the goal where none is set"
    for height, expected in ((1.6, 1), (0.0, 1), (1.6, 1), (1.7, 2)):
        found = tick([5.0, 5.0, height])
        assert int(found.subgoals.active) == expected, "held for two ticks in a row"
    assert found.goal.tolist() == [[1.0, 2.0]], "back to where it was first seen"
    last = tick([1.0, 2.0, 0.0])
    assert last.subgoals.progress.tolist() == [[Progress.DONE] * 3]
    assert tick([9.0, 9.0, 0.0]).goal.tolist() == [[1.0, 2.0]]


def test_agents_go_their_own_ways() -> None:
    task = {"a": told([1.0, 0.0]), "b": told([2.0, 0.0], after=["a"], horizon=20)}
    tick = going(task, batch=2)
    found = tick([1.0, 0.0, 0.0], [0.0, 0.0, 0.0])
    assert found.subgoals.active.tolist() == [1, 0]
    assert found.goal.tolist() == [[2.0, 0.0], [1.0, 0.0]]
    assert found.horizon == 20, "the longest that any asks for"
    alone = found.rows(slice(1, 2))
    assert alone.subgoals is not None
    assert alone.subgoals.active.tolist() == [0]
    assert alone.subgoals.names == ("a", "b")


def test_what_fails_is_gone_round_and_tried_again_when_nothing_else_is_left() -> None:
    task = {
        "straight": told([1.0, 0.0], timeout=2),
        "detour": told([0.0, 1.0], timeout=2, retries=1),
        "round": told([1.0, 0.0], after=["detour"], instead="straight"),
    }
    tick, away = going(task), [9.0, 9.0, 0.0]
    active = [int(tick(away).subgoals.active) for _ in range(7)]
    assert active == [0, 1, 1, 1, 1, 0, 0], "detour fails twice; then straight on once more"
    tick = going(task)
    tick(away), tick(away)
    found = tick([0.0, 1.0, 0.0])
    assert found.subgoals.progress.tolist() == [[Progress.FAILED, Progress.DONE, Progress.ACTIVE]]


@pytest.mark.parametrize(("at", "way"), [(1.0, ["west"]), (-1.0, ["is_east", "east"])])
def test_a_sub_goal_that_wants_nothing_only_asks(at: float, way: list[str]) -> None:
    def asks(x: float) -> dict[str, Any]:
        return {"done": {"quantity": "place", "near": [x, 0.0], "within": 0.5}, "timeout": 2}

    task = {
        "straight": told("told", timeout=2),
        "is_west": asks(1.0),
        "west": told([2.0, 0.0], after=["is_west"]),
        "from_west": told("told", after=["west"], instead="straight"),
        "is_east": asks(-1.0),
        "east": told([-2.0, 0.0], after=["is_east"]),
        "from_east": told("told", after=["east"], instead="straight"),
    }
    tick = going(task)
    passed = []
    for _ in range(8):
        found = tick([at, 0.0, 0.0])
        passed.append(list(task)[int(found.subgoals.active)])
        if passed[-1].startswith("is"):
            assert not found.subgoals.aimed.any()
            assert found.goal.tolist() == [[5.0, 5.0]], "what is told stays the goal"
    assert list(dict.fromkeys(passed)) == ["straight", "is_west", *way]


def test_a_sub_goal_whose_plans_are_vetoed_has_failed() -> None:
    task = {"a": told([1.0, 0.0], vetoes=2), "b": told([2.0, 0.0], instead="a")}
    tick, away = going(task), [9.0, 9.0, 0.0]
    vetoes = [True, False, True, True]
    assert [int(tick(away, vetoed=v).subgoals.active) for v in vetoes] == [0, 0, 0, 1]


def test_what_cannot_be_told_is_never_done() -> None:
    tick = going({"a": told("start"), "b": told([1.0, 0.0], after=["a"])})
    blind = [float("nan")] * 3
    found = tick(blind)
    assert int(found.subgoals.active) == 0
    assert not found.subgoals.aimed.any(), "it does not know yet where it started"
    assert bool(found.goal.isfinite().all())
    assert int(tick([3.0, 3.0, 0.0]).subgoals.active) == 1


def test_a_place_may_be_where_something_is_seen_and_moves_with_it() -> None:
    task = {
        "level": told([3.0, "height"]),
        "beside": told({"of": ["height", "told"], "plus": [-0.5, 1.0]}, after=["level"]),
        "over": {
            "after": ["beside"],
            "goal": {"height": {"of": "start", "plus": [2.0]}},
            "done": {"quantity": "place", "near": {"of": "place", "plus": [9.0, 0.0]}, "within": 1},
        },
    }
    tick = going(task)
    unseen = tick(None)
    assert unseen.subgoals.aimed.tolist() == [[True, False, False]]
    assert unseen.goal.tolist() == [[3.0, 5.0]], "what is told stays, where nothing was seen yet"
    assert tick([0.0, 0.0, 7.0]).goal.tolist() == [[3.0, 7.0]]
    assert tick([0.0, 0.0, 8.0]).goal.tolist() == [[3.0, 8.0]], "the thing has moved"
    assert tick([3.0, 7.0, 7.0]).goal.tolist() == [[6.5, 6.0]], "its second number is the task's"
    over = tick([6.5, 6.0, 7.0])
    assert over.subgoals.aim.tolist() == [[0.0, 0.0, 9.0]], "higher than at first by 2"
    assert over.goal.tolist() == [[5.0, 5.0]]
    assert int(tick([6.5, 6.0, 9.0]).subgoals.active) == 2
    assert tick([6.5, 6.0, 9.0]).subgoals.progress[0, 2] == Progress.ACTIVE, (
        "9 m away from itself nothing ever is"
    )


def test_a_route_is_the_cheapest_order_there_is() -> None:
    price = {"a": 3.0, "b": 1.0, "b2": 0.5, "c": 1.0, "d": 2.0}
    after = {"c": ["a", "b"], "b2": ["d"]}
    task = {
        n: SubGoal(done=NEAR, cost=p, after=after.get(n, []), instead="b" if n == "b2" else None)
        for n, p in price.items()
    }
    routes = Routes(task)

    def allowed(order: tuple[str, ...]) -> bool:
        done: set[str] = set()
        for name in order:
            if routes.role(name) in done or not set(after.get(name, [])) <= done:
                return False
            done.add(routes.role(name))
        return "c" in done

    for failed in (set(), {"b"}, {"b2"}, {"d"}, {"b", "d"}, {"a"}):
        left = [n for n in task if n not in failed]
        orders = [o for k in range(6) for o in itertools.permutations(left, k) if allowed(o)]
        best = min((sum(price[n] for n in o) for o in orders), default=None)
        found = routes.route(frozenset(), failed)
        assert (found is None) == (best is None)
        if found is not None:
            assert allowed(tuple(found))
            assert sum(price[n] for n in found) == best
    assert routes.route(frozenset({"a", "b", "c"})) == []


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({}, "expected at least one sub-goal, came none"),
        (
            {"a": told("told", after=["b"]), "b": told("told", after=["a"])},
            "a cycle of sub-goals: ",
        ),
        ({"a": told("told", after=["c"])}, r"task.a.after: unknown sub-goal 'c'; known: a"),
        ({"a": told("told", instead="c")}, r"task.a.instead: unknown sub-goal 'c'"),
        (
            {"a": told("told"), "b": told("told", after=["a"], instead="a")},
            "task.b: can never be reached, as it comes after 'a'",
        ),
        (
            {"a": told("told", instead="b"), "b": told("told", instead="a")},
            "a cycle of `instead`: a → b → a",
        ),
        (
            {
                "a": told("told"),
                "b": told("told"),
                "c": told("told", after=["b"], instead="a"),
                "d": told("told", after=["a"], instead="b"),
            },
            "expected a sub-goal that nothing comes after",
        ),
        ({n: told("told") for n in "abcdefghijklm"}, "expected at most 4096 sets of sub-goals"),
        ({"a": told("there")}, r"goal.place: unknown place 'there'; known: height"),
        ({"a": told([1.0, "hight"])}, r"goal.place: unknown place 'hight'; did you mean 'height'"),
        ({"a": told([1.0])}, r"goal.place: expected 2 numbers, came 1: \[1.0\]"),
        (
            {"a": told({"of": "told", "plus": [1.0]})},
            r"goal.place.plus: expected 2 numbers, came 1: \[1.0\]",
        ),
        (
            {"a": {"goal": {"height": "place"}, "done": NEAR}},
            r"goal.height: expected a readout of 1 number or 1, came 'place' of 2; name another",
        ),
        (
            {"a": {"goal": {"hight": [1.0]}, "done": NEAR}},
            "no readout 'hight'; did you mean 'height'",
        ),
        (
            {"a": {"goal": {"height": "told"}, "done": NEAR}},
            "came `told`, but the task tells a place",
        ),
        ({"a": {"done": NEAR}}, "expected a place that place is to be near, came none"),
        (
            {"a": {"done": {"quantity": "weight", "above": 1.0}}},
            r"a.done: there is no readout 'weight'",
        ),
        ({"a": told("told", weights={"pane": 1.0})}, "unknown term 'pane'; did you mean 'pain'"),
        ({"a": told("told", weights={"pain": -1.0})}, r"weights.pain: expected 0 or more, came -1"),
        ({"a": told("told", attention={"hight": 0.0})}, "unknown sensor 'hight'"),
        ({"a": told("told", attention={"height": -1.0})}, r"attention.height: expected 0 or more"),
    ],
)
def test_what_is_refused_by_name(task: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as found:
        going(task)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cost": -1.0},
        {"timeout": -1},
        {"horizon": 0},
        {"mode": 3},
        {"done": {"quantity": "place"}},
        {"done": {"quantity": "place", "within": 0.1, "above": 0.0}},
        {"done": {"quantity": "place", "within": -0.1}},
        {"done": {"quantity": "height", "above": 0.1, "near": "told"}},
    ],
)
def test_settings_that_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SubGoal(**told("told") | wrong)


def test_it_needs_readouts() -> None:
    config = TaskGraphConfigurator.Config(task={"a": told("told")})
    with pytest.raises(ValueError, match=r"expected site.readouts, came None"):
        TaskGraphConfigurator(config, replace(SITE, readouts=None))


def test_aim_is_the_distance_to_what_is_asked_and_nothing_else() -> None:
    term = Aim(Aim.Config(quantity="place"), SITE)
    path = seen([1.0, 0.0], [4.0, 4.0])
    task = {
        "a": told([1.0, 0.0]),
        "b": {
            "after": ["a"],
            "goal": {"height": [1.0]},
            "done": {"quantity": "height", "above": 9.0},
        },
    }
    tick = going(task)
    assert term.energy(path, tick([0.0, 0.0, 0.0]))[0, 0, 0].tolist() == [0.0, 5.0]
    asked = tick([1.0, 0.0, 0.0])
    assert term.energy(path, asked)[0, 0, 0].tolist() == [0.0, 0.0], "height is asked, not place"
    assert term.energy(path, replace(asked, subgoals=None)).tolist() == [[[[0.0, 0.0]]]]
