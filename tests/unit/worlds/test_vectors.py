"""Gymnasium's own bodies: the same file, substeps, starts and commands, and no end on the way."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest

from agent.config.choose import choose
from agent.core.errors import InputError, MissingExtra
from worlds import pace
from worlds.vectors import Pool, Vectors, body

BATCH, TICKS = 3, 25
PENDULUM = "InvertedPendulum-v5"


@pytest.fixture
def world() -> Iterator[Any]:
    made = choose("world", "world", body(PENDULUM)).embodied().build(BATCH)
    yield made
    made.close()


@pytest.mark.parametrize("id_", [PENDULUM, "Reacher-v5", "Hopper-v5", "Humanoid-v5"])
def test_a_body_is_the_environments_file_at_its_own_substeps(id_: str) -> None:
    env: Any = gymnasium.make(id_).unwrapped
    made = choose("world", "world", body(id_)).embodied().build(1)
    try:
        assert made.simulation.substeps == env.frame_skip
        assert made.model.opt.timestep == env.model.opt.timestep
        assert (made.model.nq, made.model.nv) == (env.model.nq, env.model.nv)
        np.testing.assert_array_equal(made.model.body_mass, env.model.body_mass)
        assert made.sensors.size >= env.model.nq + env.model.nv - 1  # free joints turn in three
    finally:
        made.close()
        env.close()


@pytest.mark.parametrize("id_", ["Pendulum-v1", "NoSuchThing-v0"])
def test_other_environments_are_refused(id_: str) -> None:
    with pytest.raises(InputError, match=id_):
        body(id_)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_gymnasium_steps_the_same_physics_and_ends_nothing(mode: str, world: Any) -> None:
    told = pace.commands(world, TICKS)
    rival = Vectors(PENDULUM, mode, world, told)
    try:
        for _ in range(2):
            assert rival(TICKS) > 0
        pace.closed_loop(world, told)(TICKS)
        state = world.simulation.state[:, 1:]
        assert (np.abs(state[:, 1]) > 0.2).all(), "by then Gymnasium calls all episodes over"
        np.testing.assert_allclose(rival.seen, state, rtol=0, atol=1e-9)
    finally:
        rival.close()


def test_gymnasium_shows_positions_and_velocities_and_no_more() -> None:
    made = choose("world", "world", body("Humanoid-v5")).embodied().build(1)
    rival = Vectors("Humanoid-v5", "sync", made, pace.commands(made, 2))
    try:
        assert rival(2) > 0
        hidden = 2  # where it is on the floor
        assert rival.seen.shape == (1, made.model.nq + made.model.nv - hidden)
    finally:
        rival.close()
        made.close()


class Recorded:
    """Stands in for envpool, and keeps what it is asked for."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config, self.given, self.steps = config, dict[str, Any](), 0

    def list_all_envs(self) -> list[str]:
        return [PENDULUM]

    def make_spec(self, id_: str) -> Any:
        return SimpleNamespace(config=SimpleNamespace(_asdict=lambda: self._config))

    def make_gymnasium(self, id_: str, **given: Any) -> Recorded:
        self.given = given
        return self

    def reset(self) -> None:
        self.steps = 0

    def step(self, action: Any) -> None:
        assert action.shape == (BATCH, 1)
        self.steps += 1


@pytest.mark.parametrize(
    ("config", "given"),
    [
        ({"terminate_when_unhealthy": True, "healthy_z_min": 1}, {"terminate_when_unhealthy": 0}),
        ({"healthy_z_min": 0, "healthy_z_max": 1}, {"healthy_z_min": -1e9, "healthy_z_max": 1e9}),
        ({}, {}),
    ],
)
def test_envpools_episodes_do_not_end_either(
    config: dict[str, Any], given: dict[str, Any], world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = Recorded(config)
    monkeypatch.setitem(sys.modules, "envpool", stand_in)
    rival = Pool(PENDULUM, world, pace.commands(world, TICKS))
    assert rival(TICKS) > 0
    assert stand_in.steps == TICKS
    ours = {k: v for k, v in stand_in.given.items() if k in (*config, "terminate_when_unhealthy")}
    assert ours == given
    assert stand_in.given["num_envs"] == BATCH
    assert stand_in.given["max_episode_steps"] > 100 * TICKS


def test_envpool_is_missed_by_name(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "envpool", None)
    with pytest.raises(MissingExtra, match=r"\.\[pace\]"):
        Pool(PENDULUM, world, pace.commands(world, TICKS))
    monkeypatch.setitem(sys.modules, "envpool", Recorded({}))
    with pytest.raises(MissingExtra, match="no task 'Mine-v0'"):
        Pool("Mine-v0", world, pace.commands(world, TICKS))


def test_envpools_own_copies_go_on_where_they_would_have_ended(world: Any) -> None:
    pytest.importorskip("envpool", reason="needs envpool; pip install -e '.[pace]'")
    rival = Pool(PENDULUM, world, pace.commands(world, 60))
    rival(60)
    seen, _, ended, cut, _ = rival.envs.step(np.zeros((BATCH, 1)))
    assert (np.abs(seen[:, 1]) > 0.2).all()
    assert not ended.any()
    assert not cut.any()
    rival.close()
