"""`rooms`: walls hold, doors let through, sensors are honest, and layouts are the seed's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch

from agent.core.messages import Action
from worlds.oracle import Oracle
from worlds.rooms import trials
from worlds.rooms.layout import (
    DOOR_M,
    DOORS_M,
    FAR_M,
    HALF_M,
    RADIUS_M,
    clearance,
    draw,
    way_m,
)
from worlds.rooms.world import SENSORS, Rooms
from worlds.simulation import Array

SEEDS = list(range(1_000_000, 1_000_016))
BEFORE_M = 0.3
"""How far before and behind a wall the scripted puck lines up with its door."""


@pytest.fixture
def world() -> Iterator[Rooms]:
    made = Rooms(Rooms.Config(), len(SEEDS))
    yield made
    made.close()


def stops(position: Array, doors: Array, goal: Array) -> Array:
    """Return where to go next, [2], by what sensors show: through doors, then to the goal."""
    east = goal[0] > position[0]
    side = 1.0 if east else -1.0
    for x, door in zip((-1.0, 0.0, 1.0)[:: int(side)], doors[:: int(side)], strict=True):
        passed, needed = side * (position[0] - x) > 0.5 * BEFORE_M, side * (goal[0] - x) > 0
        if needed and not passed:
            lined_up = abs(position[1] - door) < 0.1
            return np.array([x + side * BEFORE_M * (1 if lined_up else -1), door])
    return goal


def driven(world: Rooms, goals: Array, ticks: int) -> trials.Score:
    """Drive every puck through the doors to its goal, by the sensors alone."""
    scorer = trials.Scorer(world, trials.tasks(SEEDS))
    seen = world.reset(SEEDS).values.double().numpy()
    for _ in range(ticks):
        aims = [stops(row[0:2], row[4:7], goal) for row, goal in zip(seen, goals, strict=True)]
        wish = 3.0 * (np.stack(aims) - seen[:, 0:2])
        wish /= np.maximum(np.linalg.norm(wish, axis=1, keepdims=True) / 0.85, 1.0)
        seen = world.step(Action(torch.from_numpy(wish.astype(np.float32)))).values.double().numpy()
        scorer.look()
    return scorer.score()


def test_every_goal_can_be_reached_through_the_doors_without_contact(world: Rooms) -> None:
    score = driven(world, trials.tasks(SEEDS).goal.double().numpy(), 150)
    assert score.reached.all()
    assert not score.contacts.any()
    assert not score.speeding.any()
    assert (score.more["way_left_m"] <= trials.TOLERANCE_M).all()


def test_goals_are_four_plans_away_and_walls_are_in_the_way() -> None:
    assert all(trials.way(s) >= FAR_M for s in SEEDS)
    assert all(trials.straight_path_blocked(s) for s in SEEDS)
    short = [trials.way(s) for s in range(100)]
    assert min(short) < 1.0 < max(short)


def test_goals_can_be_shown_and_tempt(world: Rooms) -> None:
    seen = trials.sights(world, SEEDS).values
    torch.testing.assert_close(seen[:, SENSORS["position"]], trials.tasks(SEEDS).goal)
    doors = np.stack([draw(seed).doors for seed in SEEDS]).astype(np.float32)
    np.testing.assert_array_equal(seen[:, SENSORS["doors"]].numpy(), doors)
    goals = trials.adversarial(SEEDS).goal.double().numpy()
    near = [clearance(goal, door) for goal, door in zip(goals, doors, strict=True)]
    assert max(near) < 0.0, "to reach any of them is to touch"


def test_no_wall_gives_way_at_full_speed(world: Rooms) -> None:
    turns = np.linspace(0, 2 * np.pi, len(SEEDS), endpoint=False)
    wish = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    wish /= np.abs(wish).max(axis=1, keepdims=True)
    world.reset(SEEDS)
    layouts = world.simulation.qpos[:, :3].copy()
    touched = np.zeros(len(SEEDS), bool)
    for tick in range(100):
        away = 1.0 if tick % 10 > 2 else -1.0
        world.step(Action(torch.from_numpy((away * wish).astype(np.float32))))
        trace = world.readings(world.simulation.trace)
        assert (trace[..., -2] > -0.03).all()
        assert (np.abs(trace[..., 0:2]) < np.array(HALF_M) - RADIUS_M + 0.03).all()
        touched |= trace[..., -1].max(axis=1) > 10.0
        for before, after in pairwise(trace.swapaxes(0, 1)):
            crossed = np.sign(before[:, 0:1] + [1, 0, -1]) != np.sign(after[:, 0:1] + [1, 0, -1])
            rows, walls = np.nonzero(crossed)
            in_door = np.abs(after[rows, 1] - after[rows, 4 + walls]) < 0.5 * DOOR_M
            assert in_door.all()
    assert touched.sum() > len(SEEDS) // 2
    np.testing.assert_allclose(world.simulation.qpos[:, :3], layouts, atol=1e-4)


def test_sensors_agree_with_geometry(world: Rooms) -> None:
    values = world.reset(SEEDS).values.double().numpy()
    for seed, row in zip(SEEDS[:3], values, strict=False):
        drawn = draw(seed)
        np.testing.assert_allclose(row[SENSORS["position"]], drawn.start, atol=1e-6)
        np.testing.assert_allclose(row[SENSORS["doors"]], drawn.doors, atol=1e-6)
        near = clearance(drawn.start, drawn.doors)
        np.testing.assert_allclose(row[SENSORS["clearance"]], near, atol=1e-5)


def test_a_seed_has_a_layout_and_seeds_differ() -> None:
    kept = [draw(seed) for seed in range(200)]
    draw.cache_clear()
    for seed, before in enumerate(kept):
        for one, other in zip(before, draw(seed), strict=True):
            np.testing.assert_array_equal(one, other)
    doors = np.stack([d.doors for d in kept])
    assert len(np.unique(doors)) == doors.size
    assert (np.abs(doors) <= DOORS_M).all()
    starts = np.stack([d.start for d in kept])
    assert set(np.floor(starts[:, 0])) == {-2.0, -1.0, 0.0, 1.0}, "all rooms are seen"


def test_ways_are_the_shortest_through_the_doors() -> None:
    reach = 0.5 * DOOR_M - RADIUS_M
    for seed in range(900_000, 900_005):
        drawn = draw(seed)
        west, east = sorted((drawn.start, drawn.goal), key=lambda place: float(place[0]))
        points, length = [west], np.zeros(1)
        for x, door in zip((-1.0, 0.0, 1.0), drawn.doors, strict=True):
            if not west[0] < x < east[0]:
                continue
            for edge in (x - 0.03, x + 0.03):
                gate = [np.array([edge, y]) for y in np.linspace(door - reach, door + reach, 129)]
                steps = np.linalg.norm(np.array(gate)[:, None] - np.array(points), axis=-1)
                points, length = gate, (length + steps).min(axis=1)
        last = np.linalg.norm(np.array(points) - east, axis=-1)
        assert trials.way(seed) == pytest.approx(float((length + last).min()), abs=2e-3)
    aligned = np.zeros(3)
    assert way_m(np.array([1.5, 0.1]), np.array([-1.5, 0.0]), aligned) == pytest.approx(9.01**0.5)


class Plain:
    """Perception that shows what sensors do."""

    def encode(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values."""
        return values


def test_the_true_simulator_imagines_every_copy_in_its_own_rooms(world: Rooms) -> None:
    world.reset(SEEDS)
    moves = torch.rand(len(SEEDS), 3, 8, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    oracle = Oracle(world, Plain())  # type: ignore[arg-type]
    order = torch.randperm(len(SEEDS), generator=torch.Generator().manual_seed(1))
    now = world.packed(world.simulation.trace)
    foreseen = oracle.imagine(now[order], moves[order]).latents[0]
    for tick in range(8):
        seen = world.step(Action(moves[:, 1, tick].contiguous())).values
        torch.testing.assert_close(foreseen[:, 1, tick], seen[order], rtol=0, atol=1e-6)
