"""Errands on `reach`: what the scorer calls done, read from the simulator alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from agent.config import schema
from agent.config.build import blueprint
from agent.core.errors import InputError
from agent.core.messages import Action
from agent.evaluate.episodes import trials_of
from tests.tiny import ROOT

CONFIGS = sorted((ROOT / "configs" / "tasks").glob("*.yaml"))


def scored(commands: list[list[float]], **errand: Any) -> Any:
    """Return the score of an arm that is given these commands, one a tick."""
    config = schema.load(ROOT / "configs" / "tasks" / "posture.yaml")
    world = {"use": config.world["use"], **errand}
    made = blueprint(config.model_copy(update={"world": world})).world(1)
    trials = trials_of(made)
    scorer = trials.Scorer(made, trials.tasks([900_000]))
    made.reset([900_000])
    for command in commands:
        made.step(Action(torch.tensor([command])))
        scorer.look()
    made.close()
    return scorer.score()


REST, TURN = [[0.0, 0.0]], [[0.5, 0.0]]
START = {"quantity": "joint_angle", "near": "start", "within": 0.1}
AWAY = {"quantity": "joint_speed", "above": 0.2}


def test_stations_are_seen_to_in_order_and_held() -> None:
    stations = [{**START, "ticks": 3}]
    assert scored(REST * 2, stations=stations).reach_tick.tolist() == [-1]
    assert scored(REST * 3, stations=stations).reach_tick.tolist() == [2]
    then = [{"quantity": "joint_speed", "below": 0.01}, {**START, "ticks": 2}]
    assert scored(REST + TURN * 20, stations=then).reached.tolist() == [True]
    assert scored(TURN * 20 + REST * 20, stations=then[::-1]).reached.tolist() == [True]
    assert scored(TURN * 20, stations=[then[0]]).reached.tolist() == [False]


def test_what_holds_throughout_is_read_at_every_physics_step() -> None:
    slow = [{"quantity": "joint_speed", "below": 0.3}]
    found = scored(REST + TURN * 5 + REST * 9, stations=[START], throughout=slow)
    assert found.reached.tolist() == [False]
    assert scored(REST, stations=[START], throughout=slow).reached.tolist() == [True]


def test_what_the_arm_has_not_is_refused() -> None:
    with pytest.raises(InputError, match="the arm has no quantity 'colour'"):
        scored(REST, stations=[{"quantity": "colour", "above": 1.0}])
    with pytest.raises(InputError, match="expected either `near`"):
        scored(REST, stations=[{"quantity": "proximity"}])


@pytest.mark.parametrize("path", CONFIGS, ids=[p.stem for p in CONFIGS])
def test_only_world_directive_and_cost_differ_from_reach(path: Any) -> None:
    task, plain = (schema.load(p).model_dump() for p in (path, ROOT / "configs" / "reach.yaml"))
    free = {"name", "world", "configurator", "terms", "run", "eval"}
    assert {k: v for k, v in task.items() if k not in free} == {
        k: v for k, v in plain.items() if k not in free
    }
    assert task["configurator"]["horizon"] == plain["configurator"]["horizon"]
    assert np.array_equal(task["checkpoint"], plain["checkpoint"])
    made = blueprint(schema.load(path)).assemble()
    assert made.site.terms
