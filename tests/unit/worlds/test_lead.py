"""`lead`: nothing shows where the lead car will turn, and then it turns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from agent.core.messages import Action, Task
from worlds.lead import overtaking, trials
from worlds.lead.world import SLOPE, Lead, start

CHOICE = 1 + 4
"""Column of the driver's choice in the physics state: time, then joint positions."""


@pytest.fixture
def world() -> Iterator[Lead]:
    made = Lead(Lead.Config(), 2)
    yield made
    made.close()


def drive(world: Lead, ticks: int, command: tuple[float, float] = (1.0, 0.1)) -> torch.Tensor:
    """Return sensors [B T O] under one command."""
    action = Action(torch.tensor([command] * world.batch))
    return torch.stack([world.step(action).values for _ in range(ticks)], dim=1)


def test_drivers_turn_either_way_as_often() -> None:
    left = sum(start(seed)[0][4] > 0 for seed in range(2000))
    assert 900 < left < 1100


def test_before_the_fork_sensors_are_the_same_whatever_the_driver_will_do(world: Lead) -> None:
    world.reset([5, 5])
    world.simulation.state[:, CHOICE] = (1.0, -1.0)
    values = drive(world, 70)
    road = trials.road(values)
    before = road[0, :, 0] < 0
    assert 5 < int(before.sum()) < 40
    assert torch.equal(values[0, before], values[1, before])
    assert bool((road[:, before, 1] == 0).all())
    after = road[0, :, 0] > 0.2
    assert bool((road[0, after, 1] > 0).all())
    torch.testing.assert_close(road[0, after, 1], -road[1, after, 1], atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(road[0, after, 1], SLOPE * road[0, after, 0], atol=0.03, rtol=0.01)
    torch.testing.assert_close(values[0, after, 6], values[0, :1, 6].expand(int(after.sum())),
                               atol=0.01, rtol=0)  # fmt: skip


def test_sensors_say_where_things_are(world: Lead) -> None:
    world.reset([1, 2])
    values = drive(world, 3)[:, -1].double().numpy()
    pose = world.simulation.qpos
    step_m = 0.01 * 2.0  # MuJoCo reads sensors before the last physics step moves what they show
    np.testing.assert_allclose(values[:, 0:2], pose[:, 0:2], atol=step_m)
    np.testing.assert_allclose(values[:, 4:6], pose[:, 2:4] - pose[:, 0:2], atol=step_m)
    np.testing.assert_allclose(
        values[:, 8], np.linalg.norm(values[:, 4:6], axis=1) - trials.CAR_M, atol=1e-5
    )


def test_cars_that_meet_touch_and_do_not_pass_through(world: Lead) -> None:
    world.reset([0, 1])
    scorer = trials.Scorer(world, trials.tasks([0, 1]))
    for _ in range(60):
        away = world.simulation.qpos[:, 3] - world.simulation.qpos[:, 1]
        command = np.stack((np.full(2, 2.0), np.clip(5 * away, -1.5, 1.5)), axis=1)
        world.step(Action(torch.tensor(command, dtype=torch.float32)))
        scorer.look()
    score = scorer.score()
    assert bool((score.contacts > 0).all())
    assert bool((score.closest_m > -0.1).all())
    assert bool((score.speeding > 0).any())


def test_following_after_the_fork_is_reached_and_before_it_is_not(world: Lead) -> None:
    world.reset([3, 4])
    seen = trials.road(drive(world, 1))[:, 0]
    goal = seen - torch.from_numpy(world.simulation.qpos[:, 0:2]).float()
    scorer = trials.Scorer(world, Task(goal))
    for _ in range(70):
        speed = world.simulation.state[:, 1 + 5 + 2 : 1 + 5 + 4]
        here = world.simulation.qpos
        gap = here[:, 2:4] - here[:, 0:2] - goal.double().numpy()
        command = np.clip(speed + 2 * gap, (0.0, -1.5), (2.0, 1.5))
        world.step(Action(torch.tensor(command, dtype=torch.float32)))
        scorer.look()
        if (world.simulation.qpos[:, 2] <= 0).all():
            assert not scorer.done.any()
    assert scorer.done.all()


def test_the_moment_before_the_fork_is_found(world: Lead) -> None:
    world.reset([7, 8])
    values = drive(world, 60)
    at = trials.before_fork(values)
    where = trials.road(values)[..., 0]
    for row, tick in enumerate(at.tolist()):
        assert float(where[row, tick]) <= -trials.APPROACH_M < float(where[row, tick + 1])


def test_overtaking_is_the_same_world_asked_another_thing(world: Lead) -> None:
    other = overtaking.Overtaking(overtaking.Overtaking.Config(), 2)
    try:
        world.reset([3, 4])
        other.reset([3, 4])
        assert torch.equal(drive(world, 5), drive(other, 5))
    finally:
        other.close()
    goals = overtaking.tasks(range(50)).goal
    assert bool(((goals[:, 0] >= 1.4) & (goals[:, 0] <= 1.8)).all())
    assert not goals[:, 1].any()


@pytest.mark.parametrize(("forward", "past"), [(2.0, True), (0.5, False)])
def test_who_is_a_cars_length_ahead_has_overtaken(world: Lead, forward: float, past: bool) -> None:
    world.reset([3, 4])
    scorer = overtaking.Scorer(world, overtaking.tasks([3, 4]))
    for _ in range(40):
        aside = world.simulation.qpos[:, 3] + 2.0 - world.simulation.qpos[:, 1]
        command = np.stack((np.full(2, forward), np.clip(5 * aside, -1.5, 1.5)), axis=1)
        world.step(Action(torch.tensor(command, dtype=torch.float32)))
        scorer.look()
        ahead = world.simulation.qpos[:, 0] - world.simulation.qpos[:, 2]
        assert bool((scorer.done >= (ahead > trials.CAR_M + 0.05)).all())
    score = scorer.score()
    assert score.reached.tolist() == [past, past]
    assert ((score.reach_tick >= 0) == past).all()
    assert ((score.distance_m >= trials.CAR_M) == past).all()
    assert not score.contacts.any()
