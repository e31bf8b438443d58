"""Tasks of the DeepMind Control Suite; skipped where dm_control is not installed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from agent.config.build import blueprint
from agent.config.schema import load
from agent.core.errors import InputError, MissingExtra, PhysicsError
from agent.core.messages import Action, Rollout
from agent.core.protocols import Site
from agent.core.spec import Layout
from agent.evaluate.baselines import random_policy
from agent.evaluate.episodes import episodes, trials_of
from agent.train.course import course_of
from agent.train.pupil import expect_able
from modules.cost.terms.predicted import Predicted
from worlds.adapters.dmc import Dmc

NEEDED = pytest.mark.skipif(
    importlib.util.find_spec("dm_control") is None,
    reason="needs dm-control; pip install -e '.[dmc]'",
)
CONFIGS = sorted((Path(__file__).parents[3] / "configs" / "dmc").glob("*.yaml"))


@pytest.fixture
def cartpole() -> Iterator[Dmc]:
    world = Dmc(Dmc.Config(task="cartpole-swingup"), 2)
    yield world
    world.close()


@NEEDED
def test_observations_are_sensors_and_reward_is_for_scorers(cartpole: Dmc) -> None:
    assert cartpole.sensors.describe() == "position[3] 1, velocity[2] 1"
    assert cartpole.actuators.bounds()[1].tolist() == [1.0]
    assert cartpole.rate_hz == 100.0
    scorer = trials_of(cartpole).Scorer(cartpole, trials_of(cartpole).tasks([0, 1]))
    seen = cartpole.reset([0, 1])
    assert seen.values.shape == (2, 5)
    for _ in range(20):
        cartpole.step(Action(torch.zeros(2, 1)))
        scorer.look()
    score = scorer.score()
    assert not score.counted
    assert (score.more["return"] >= 0).all()
    assert not cartpole.aside.truncated.any()


@NEEDED
def test_the_time_limit_is_lifted() -> None:
    world = Dmc(Dmc.Config(task="cartpole-balance"), 1)
    try:
        lived = random_policy(world, [900_000], 1005).more
    finally:
        world.close()
    assert lived["lived_ticks"].tolist() == [1005]
    assert 0 < lived["return"][0] < 1005


@NEEDED
def test_scalars_get_names_and_units_from_the_config() -> None:
    channels = [{"name": "orientations", "size": 14}, {"name": "height", "size": 1, "unit": "m"}]
    config = Dmc.Config(task="walker-walk", channels=[*channels, {"name": "velocity", "size": 9}])
    assert Dmc.body(config).sensors.unit("height") == "m"
    assert Dmc.body(config).rate_hz == 40.0


@NEEDED
def test_unstable_physics_is_not_passed_over(cartpole: Dmc) -> None:
    cartpole.reset([0, 1])
    cartpole._envs[1].unwrapped._env.physics.data.qpos[0] = np.nan
    with pytest.raises(PhysicsError, match="BADQPOS.*invalid"):
        cartpole.step(Action(torch.zeros(2, 1)))


@NEEDED
def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(InputError, match="came 'walker-wlak'; did you mean 'walker-walk'"):
        Dmc(Dmc.Config(task="walker-wlak"), 1)


def test_without_dm_control_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dm_control", None)
    with pytest.raises(MissingExtra, match=r"pip install -e '\.\[dmc\]'"):
        Dmc(Dmc.Config(task="walker-walk"), 1)


@NEEDED
def test_minus_the_reward_is_taught_and_its_limits_are_the_suites() -> None:
    world = Dmc(Dmc.Config(task="cartpole-swingup", reward=True), 2)
    channel = world.sensors.channel("task_energy")
    assert (channel.low, channel.high, channel.taught) == ((-1.0,), (0.0,), True)
    world.reset([0, 900_000])
    for _ in range(5):
        seen = world.step(Action(torch.ones(2, 1)))
    assert seen.values[0, -1] == pytest.approx(-world.aside.paid[0])
    assert seen.valid[:, -1].tolist() == [True, False]
    site = Site(world.sensors, world.actuators, world.rate_hz, 4, Layout(()))
    term = Predicted(Predicted.Config(quantity="task_energy"), site)
    read = {"task_energy": torch.tensor([[[[[-1.0], [-0.25]]]]])}
    rollout = Rollout(torch.zeros(1, 4), torch.zeros(1, 1, 2, 1), torch.zeros(1, 1, 1, 2, 4), read)
    assert term.energy(rollout, None).flatten().tolist() == [0.0, 0.75]  # type: ignore[arg-type]
    world.close()


@NEEDED
@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_the_configs_of_tasks_are_sound(path: Path) -> None:
    found = blueprint(load(path))
    world = found.world(2)
    try:
        mind = found.assemble()
        told = episodes(mind, world, [900_000, 900_001], 3)
    finally:
        world.close()
    assert told.faults == []
    assert told.rulings.tolist() == [6, 0, 0], "the fallback is within limits, and nothing is late"
    assert round(found.config.eval.ticks * found.singles["world"].settings.repeat) == 1000
    expect_able(mind, course_of(found).explore)


def test_without_dm_control_configs_of_tasks_say_what_to_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "dm_control", None)
    with pytest.raises(MissingExtra, match=r"pip install -e '\.\[dmc\]'"):
        blueprint(load(CONFIGS[0])).assemble()
