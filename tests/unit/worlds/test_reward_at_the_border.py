"""A benchmark's reward: shown in training, learned by readouts, never perceived, never there later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
import yaml

from agent.config.build import Blueprint, blueprint
from agent.config.schema import AgentConfig, validate
from agent.core.errors import InputError, PhysicsError
from agent.core.messages import Action
from agent.evaluate.policy import Policy
from agent.evaluate.sac import paying
from agent.train.asking import expect_comparable
from agent.train.dataset import Dataset
from agent.train.progress import silent
from agent.train.understanding import warn_if_still
from modules.cost.terms.predicted import Predicted
from tests.environments import SLOPE
from tests.tiny import REACH
from worlds.adapters.gymnasium import TAUGHT_SEEDS, Gymnasium

ID = "tests.environments:Slope-v0"
PUSH = Action(torch.full((2, 1), 0.5))


@pytest.fixture
def slope() -> Iterator[Gymnasium]:
    world = Gymnasium(Gymnasium.Config(id=ID, reward=True), 2)
    yield world
    world.close()


def agent(**perception: Any) -> Blueprint:
    whole = yaml.safe_load(REACH.read_text()) | {k: v for k, v in SLOPE.items() if k != "extends"}
    whole["perception"] = perception or whole["perception"]
    del whole["goal"], whole["train"]
    return blueprint(validate(AgentConfig, whole, "slope"))


def test_minus_the_reward_is_a_sensor_in_training(slope: Gymnasium) -> None:
    assert slope.sensors.names == ("observation", "task_energy")
    assert slope.sensors.lasting.names == ("observation",)
    first = slope.reset([3, TAUGHT_SEEDS - 1])
    assert first.values[:, 2].tolist() == [0.0, 0.0]
    seen = slope.step(PUSH)
    torch.testing.assert_close(seen.values[:, 2], -seen.values[:, 0])
    assert bool(seen.valid.all())


def test_later_it_is_neither_valid_nor_there(slope: Gymnasium) -> None:
    slope.reset([TAUGHT_SEEDS, 4])
    seen = slope.step(PUSH)
    assert seen.valid.tolist() == [[True, False], [True, True]]
    assert float(seen.values[0, 2]) == 0.0
    assert float(seen.values[1, 2]) != 0.0
    assert slope.aside.paid[0] != 0.0, "scorers go on hearing of it"


def test_an_episode_that_ended_costs_nothing_more() -> None:
    world = Gymnasium(Gymnasium.Config(id=ID, reward=True, kwargs={"fatal": True}), 1)
    world.reset([3])
    while not world.aside.terminated.all():
        seen = world.step(Action(torch.ones(1, 1)))
    assert float(seen.values[0, 2]) < -0.9
    assert float(world.step(Action(torch.ones(1, 1))).values[0, 2]) == 0.0
    world.close()


@pytest.mark.parametrize("use", ["state", "hold", "filter", "recall"])
def test_no_percept_depends_on_it(use: str) -> None:
    mind = agent(use=use, width=16).assemble()
    values = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    other = values.clone()
    other[:, 2] = 100.0
    assert torch.equal(mind.perception.encode(values), mind.perception.encode(other))
    other[:, 1] = 100.0
    assert not torch.equal(mind.perception.encode(values), mind.perception.encode(other))


def test_a_policy_is_not_asked_for_it() -> None:
    found = agent()
    policy = Policy(found, found.assemble().tensors())
    command, state = policy.predict([0.1, 0.2])
    assert command.shape == (1,)
    assert state[0].last is not None
    assert state[0].last.faults == ()
    with pytest.raises(InputError, match=r"observations of 2 numbers \(place\[1\] m, speed"):
        policy.predict([0.1, 0.2, 0.3])


def test_what_learns_by_reward_is_paid_and_not_shown() -> None:
    env = paying(agent())
    shown, _ = env.reset(seed=3)
    assert shown.shape == (2,)
    env.close()


def test_a_reward_that_is_no_number_is_refused() -> None:
    world = Gymnasium(Gymnasium.Config(id=ID, reward=True, kwargs={"unpaid": True}), 1)
    world.reset([3])
    with pytest.raises(PhysicsError, match=r"paid nan in row 0 at tick 0; this episode is invalid"):
        world.step(Action(torch.ones(1, 1)))
    world.close()


def test_a_sensor_of_that_name_is_refused() -> None:
    named = [{"name": "task_energy", "size": 2}]
    with pytest.raises(InputError, match="has a sensor 'task_energy' of its own"):
        Gymnasium(Gymnasium.Config(id=ID, reward=True, channels=named), 1)


@pytest.mark.parametrize(("best", "warned"), [(-1.0, False), (-0.25, True), (None, None)])
def test_what_is_better_than_the_best_is_told(best: float | None, warned: bool | None) -> None:
    """Where nobody said what is best, a benchmark that pays more than 0 is refused."""
    term = Predicted(Predicted.Config(quantity="task_energy", best=best), agent().assemble().site)
    paid = -torch.tensor([0.0, 0.5, 1.0, 0.2])
    if warned is None:
        with pytest.raises(InputError, match=r"of 0 at least, came -1; 75\.0% of explored ticks"):
            term.compare(paid)
    else:
        said = term.compare(paid)
        assert ("50.0% of explored ticks are below and count alike" in said) is warned
        assert bool(said) is warned
    assert term.compare(-paid) == ""


def test_training_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    mind = agent().assemble()
    monkeypatch.setattr(mind.terms[0], "_best", 0.0)
    values = torch.full((2, 4, 3), -0.5)
    said: list[str] = []
    ledger = replace(silent(), say=said.append)
    expect_comparable(mind, Dataset(values, torch.zeros(2, 3, 1)), ledger)
    assert said == [
        "  warning: term 'predicted': expected task_energy of 0 at least, came -0.5; 100.0% of"
        " explored ticks are below and count alike; set its `best` to minus the most that is ever"
        " paid in a tick"
    ]


@pytest.mark.parametrize("ended", [1, 15])
def test_experience_of_what_ended_is_told(ended: int) -> None:
    values = torch.arange(20.0).expand(2, -1).clone()
    values[:, 20 - ended :] = values[:, -1:]
    said: list[str] = []
    seen = Dataset(values[..., None], torch.zeros(2, 19, 1))
    warn_if_still(seen, replace(silent(), say=said.append))
    assert len(said) == (ended == 15)
    assert all("in 74% of explored ticks nothing changed" in line for line in said)
