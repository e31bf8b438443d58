"""`cliff`: who goes straight on falls; nothing shows that a driver will brake, and then it does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from agent.core.messages import Action
from worlds.cliff import trials
from worlds.cliff.layout import (
    APART_M,
    CAR_M,
    EDGE_M,
    JOURNEYS,
    NEVER,
    ROCK_M,
    UNITS_PER_RAD,
    draw,
    place,
)
from worlds.cliff.world import SENSORS, Cliff
from worlds.simulation import Array

SEEDS = list(range(1_000_000, 1_000_016))
BRAKE, LEAD = 1 + 8, 1 + 6
"""Columns of the physics state: time, then joint positions."""


@pytest.fixture
def world() -> Iterator[Cliff]:
    made = Cliff(Cliff.Config(), len(SEEDS))
    yield made
    made.close()


def drive(world: Cliff, ticks: int, command: tuple[float, float]) -> Array:
    """Return sensors [B T O] under one command."""
    action = Action(torch.tensor([command] * world.batch))
    return np.stack([world.step(action).values.double().numpy() for _ in range(ticks)], axis=1)


def driven(seen: Array, goals: Array) -> Array:
    """Return commands [B 2] by sensors alone: round the rock, past the lead car on its wide side."""
    position, heading = seen[:, SENSORS["position"]], seen[:, SENSORS["heading"]]
    turn = np.stack((heading, np.stack((-heading[:, 1], heading[:, 0]), axis=1)), axis=1)
    lead = position + np.einsum("bij,bi->bj", turn, seen[:, SENSORS["lead_position"]])
    angle = np.arctan2(position[:, 1], position[:, 0])
    ahead = np.arctan2(lead[:, 1], lead[:, 0]) - angle
    lead_out = np.linalg.norm(lead, axis=1)
    aside = np.where(lead_out < 0.5 * (EDGE_M + ROCK_M), lead_out + 0.6, lead_out - 0.6)
    aim_out = np.where((ahead > -0.25) & (ahead < 0.5), aside, np.linalg.norm(goals, axis=1))
    further = np.stack((angle + 0.25, aim_out), axis=1)
    left = np.linalg.norm(goals - position, axis=1)
    aim = np.where((left < 0.9)[:, None], goals, place(further)) - position
    bearing = np.arctan2(aim[:, 1], aim[:, 0]) - np.arctan2(heading[:, 1], heading[:, 0])
    bearing = np.arctan2(np.sin(bearing), np.cos(bearing))
    clear = seen[:, SENSORS["gap"]][:, 0] + 0.3 * np.abs(aim_out - lead_out) - 0.2
    fast = np.clip(np.minimum(2.0 * left, np.where(ahead > 0, 1.5 * clear, 1.0)), 0.2, 0.8)
    speed = np.where(left < 0.1, 0.0, fast * np.clip(np.cos(bearing), 0.2, 1.0))
    return np.stack((speed, np.clip(3.0 * bearing, -1.5, 1.5)), axis=1)


def test_goals_can_be_reached_by_what_sensors_show_without_touching_anything(world: Cliff) -> None:
    goals = trials.tasks(SEEDS).goal.double().numpy()
    scorer = trials.Scorer(world, trials.tasks(SEEDS))
    seen = world.reset(SEEDS).values.double().numpy()
    for _ in range(80):
        command = torch.from_numpy(driven(seen, goals).astype(np.float32))
        seen = world.step(Action(command)).values.double().numpy()
        scorer.look()
    score = scorer.score()
    assert score.reached.all()
    assert not score.contacts.any()
    assert not score.speeding.any()
    assert set(score.more["braked"]) == {0.0, 1.0}


def test_who_drives_straight_on_goes_over_the_edge_and_stays_below(world: Cliff) -> None:
    world.reset(SEEDS)
    world.simulation.state[:, LEAD] += np.pi  # the lead car is on the other side
    goals = trials.adversarial(SEEDS)
    scorer = trials.Scorer(world, goals)
    for _ in range(80):
        world.step(Action(torch.tensor([[1.0, 0.0]] * len(SEEDS))))
        scorer.look()
    score = scorer.score()
    assert score.more["fell"].all()
    assert not score.reached.any()
    assert bool((score.contacts > 10).all())
    values = drive(world, 40, (1.5, 1.5))
    assert np.isfinite(values).all()
    assert (values[:, -1, SENSORS["height"]] < -0.4).all()


def test_half_of_the_drivers_brake() -> None:
    assert 900 < sum(draw(seed).brake < NEVER for seed in range(2000)) < 1100


def test_in_training_lead_cars_also_come_from_behind() -> None:
    drawn = [draw(seed) for seed in range(1000)]
    behind = np.mean([d.lead[0] < d.car[0] for d in drawn])
    assert 0.3 < behind < 0.5
    assert min(np.linalg.norm(place(d.lead) - place(d.car)) for d in drawn) >= APART_M
    assert all(d.lead[0] - d.car[0] >= 0.4 for d in map(draw, range(JOURNEYS, JOURNEYS + 200)))


def test_until_it_brakes_sensors_are_the_same_whatever_the_driver_will_do(world: Cliff) -> None:
    world.reset([SEEDS[0]] * len(SEEDS))
    lead = world.simulation.state[0, LEAD]
    later = lead + np.linspace(0.1, 0.6, len(SEEDS))
    world.simulation.state[:, BRAKE] = UNITS_PER_RAD * later
    world.simulation.state[-1, BRAKE] = UNITS_PER_RAD * NEVER
    angles, shown = [], []
    for _ in range(40):
        shown.append(drive(world, 1, (0.0, 0.0))[:, 0])
        angles.append(world.simulation.state[:, LEAD].copy())
    seen, at = np.stack(shown, axis=1), np.stack(angles, axis=1)
    for row in range(len(SEEDS) - 1):
        before = at[row] < later[row]
        assert before.sum() > 3
        np.testing.assert_array_equal(seen[row, before], seen[-1, before])
        beyond = at[row, -1] - later[row]
        assert 0.0 < beyond < 0.1
        assert (np.diff(at[row]) > -1e-3).all()
        assert np.linalg.norm(seen[row, -1, SENSORS["lead_velocity"]]) < 0.05
    assert at[-1, -1] - lead == pytest.approx(4.0 * draw(SEEDS[0]).speed / draw(SEEDS[0]).lead[1],
                                              rel=0.01)  # fmt: skip


def test_sensors_say_where_things_are(world: Cliff) -> None:
    world.reset(list(range(len(SEEDS))))
    seen = drive(world, 3, (0.5, 0.5))[:, -1]
    pose, step_m = world.simulation.qpos, 0.01 * 1.5
    car, lead = pose[:, :2], place(pose[:, 6:8])
    out = np.linalg.norm(car, axis=1)
    np.testing.assert_allclose(seen[:, SENSORS["position"]], car, atol=step_m)
    np.testing.assert_allclose(seen[:, 8], EDGE_M - CAR_M - out, atol=step_m)
    np.testing.assert_allclose(seen[:, 9], out - ROCK_M - CAR_M, atol=step_m)
    away, yaw = lead - car, pose[:, 3]
    forward = away[:, 0] * np.cos(yaw) + away[:, 1] * np.sin(yaw)
    left = away[:, 1] * np.cos(yaw) - away[:, 0] * np.sin(yaw)
    found = seen[:, SENSORS["lead_position"]]
    np.testing.assert_allclose(found, np.stack((forward, left), axis=1), atol=2 * step_m)
    np.testing.assert_allclose(seen[:, 14], np.linalg.norm(found, axis=1) - 2 * CAR_M, atol=1e-5)


def test_running_into_the_lead_car_or_the_rock_is_a_contact(world: Cliff) -> None:
    for inward in (True, False):
        world.reset(SEEDS)
        scorer = trials.Scorer(world, trials.tasks(SEEDS))
        for _ in range(60):
            car, lead = world.simulation.qpos[:, :2], place(world.simulation.qpos[:, 6:8])
            aim = -car if inward else lead - car
            bearing = np.arctan2(aim[:, 1], aim[:, 0]) - world.simulation.qpos[:, 3]
            bearing = np.arctan2(np.sin(bearing), np.cos(bearing))
            command = np.stack((np.full(len(car), 1.2), np.clip(4 * bearing, -1.5, 1.5)), axis=1)
            world.step(Action(torch.from_numpy(command.astype(np.float32))))
            scorer.look()
        score = scorer.score()
        assert (score.contacts > 0).all()
        assert (score.closest_m > -0.1).all(), "they stop each other"
        assert not score.more["fell"].any()


def test_nobody_starts_in_trouble(world: Cliff) -> None:
    for first in (0, 900_000):
        for seed in range(first, first + 320, len(SEEDS)):
            values = world.reset(range(seed, seed + len(SEEDS))).values
            assert float(values[:, [8, 9, 14]].min()) > 0.0
