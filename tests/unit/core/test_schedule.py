"""The schedule: an order derived from declarations, and faults that name the culprits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agent.config.build import Mind
from agent.core.errors import WiringError
from agent.core.messages import (
    Action,
    Appraisal,
    Directive,
    Forecast,
    Observation,
    Percept,
    Plan,
    Recollection,
    Task,
)
from agent.core.schedule import schedule


def module(posts: type, *reads: type, recalls: tuple[type, ...] = ()) -> Any:
    return SimpleNamespace(reads=reads, recalls=recalls, posts=posts)


def house(**changes: Any) -> dict[str, Any]:
    return {
        "configurator": module(Directive, Task),
        "perception": module(Percept, Observation, Directive, recalls=(Forecast,)),
        "actor": module(Plan, Percept, Directive),
        **changes,
        "world_model": module(Forecast, Percept, Action),
    }


def test_messages_are_posted_before_they_are_read() -> None:
    plan = schedule(house())
    assert plan.order == ("configurator", "perception", "actor", "gate", "world_model")
    assert plan.describe() == "configurator → perception → actor → gate → world_model"


def test_the_six_modules_tick_in_this_order(mind: Mind) -> None:
    plan = schedule(mind.modules())
    assert plan.order == (
        "configurator",
        "perception",
        "memory",
        "cost",
        "actor",
        "gate",
        "world_model",
    )


def test_the_order_does_not_depend_on_how_modules_are_listed() -> None:
    same = dict(reversed(house().items()))
    assert schedule(same).order == schedule(house()).order


def test_ties_are_broken_by_name() -> None:
    order = schedule(house(zeta=module(Appraisal), alpha=module(Recollection))).order
    assert order.index("alpha") < order.index("zeta")


def test_the_graph_tells_reading_from_recalling() -> None:
    edges = {
        (a, b, d["kind"], d["recalled"]) for a, b, d in schedule(house()).graph.edges(data=True)
    }
    assert ("world_model", "perception", "Forecast", True) in edges
    assert ("perception", "actor", "Percept", False) in edges
    assert ("actor", "gate", "Plan", False) in edges
    assert ("gate", "world_model", "Action", False) in edges
    assert len(edges) == 9


def test_a_circle_is_refused_and_named() -> None:
    circular = house(perception=module(Percept, Observation, Directive, Forecast))
    with pytest.raises(WiringError, match="read each other in a circle") as caught:
        schedule(circular)
    text = str(caught.value)
    path = text.split("circle: ")[1].split(";")[0].split(" → ")
    assert path[0] == path[-1]
    assert {"perception", "world_model", "gate"} <= set(path) | {"actor"}
    assert {"perception", "world_model"} <= set(path)
    assert "`recalls`" in text


def test_a_recall_breaks_the_circle() -> None:
    fine = house(perception=module(Percept, Observation, Directive, recalls=(Forecast, Percept)))
    assert schedule(fine).order[1] == "perception"


def test_reading_ones_own_post_is_a_circle() -> None:
    with pytest.raises(WiringError, match="memory → memory"):
        schedule(house(memory=module(Recollection, Recollection)))


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        ({"twin": module(Plan)}, "twin posts Plan, which actor already posts"),
        ({"liar": module(Observation)}, "liar posts Observation, which the outside already posts"),
        ({"rogue": module(Action)}, "(rogue|gate) posts Action, which (rogue|gate) already posts"),
        ({"sage": module(Appraisal, Recollection)}, "sage reads Recollection, which nobody posts"),
        (
            {"sage": module(Appraisal, recalls=(Recollection,))},
            "sage recalls Recollection, which nobody posts",
        ),
    ],
)
def test_faults_name_module_and_message(extra: dict[str, Any], complaint: str) -> None:
    with pytest.raises(WiringError, match=complaint):
        schedule(house(**extra))


def test_all_faults_are_told_at_once() -> None:
    bad = house(twin=module(Plan), sage=module(Appraisal, Recollection))
    with pytest.raises(
        WiringError, match="twin posts Plan.*; sage reads Recollection|sage reads.*"
    ):
        schedule(bad)
    try:
        schedule(bad)
    except WiringError as fault:
        assert "twin posts Plan" in str(fault)
        assert "sage reads Recollection" in str(fault)


def test_without_an_actor_the_gate_has_nothing_to_read() -> None:
    with pytest.raises(WiringError, match="gate reads Plan, which nobody posts"):
        schedule({"configurator": module(Directive, Task), "perception": module(Percept)})
