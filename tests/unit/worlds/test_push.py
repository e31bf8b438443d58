"""`push`: the box blocks, can be pushed away and frees the door; sensors are honest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from agent.core.messages import Action
from worlds.oracle import Oracle
from worlds.push import trials
from worlds.push.layout import BEFORE_M, DOOR_M, NEAR_M, SIDE_M, apart, clearance, draw
from worlds.push.world import SENSORS, Push
from worlds.simulation import Array

SEEDS = list(range(1_000_000, 1_000_016))
HALF, RIM = 0.25, 0.08


@pytest.fixture
def world() -> Iterator[Push]:
    made = Push(Push.Config(), len(SEEDS))
    yield made
    made.close()


class Script:
    """Pushes the box along the wall to where there is more room, then goes through: by sensors."""

    def __init__(self, goal: Array) -> None:
        """Aim for `goal` [2]; the door is thought blocked."""
        self.goal, self.freed = goal, False

    def aim(self, seen: Array) -> Array:
        """Return the velocity wished for, [2]."""
        place, box = seen[SENSORS["position"]], seen[SENSORS["box_position"]]
        door, free = float(seen[SENSORS["door"]][0]), float(seen[SENSORS["opening"]][0])
        way = -1.0 if door > 0 else 1.0
        self.freed |= free > 0.34
        if self.freed:
            middle = door - way * 0.5 * (DOOR_M - free)
            if place[0] > 0.15:
                return self.goal - place
            lined_up = abs(place[1] - middle) < 0.06
            return np.array([0.3 if lined_up else place[0], middle]) - place
        behind = box[1] - way * (HALF + RIM + 0.05)
        west = box[0] - HALF - RIM - 0.1
        if way * (behind - place[1]) > -0.04:
            if abs(place[0] - box[0] + 0.05) < 0.1:
                return np.array([box[0] - 0.05 - place[0], 0.3 * way])
            return np.array([box[0] - 0.05, behind]) - place
        if place[0] > west + 0.05:
            return np.array([west - place[0], 0.0])
        return np.array([west, behind - way * 0.1]) - place


def lived(world: Push, ticks: int, straight: bool = False) -> trials.Score:
    """Let scripts, or pucks that go straight for the goal, live in `world`."""
    task = trials.tasks(SEEDS)
    scorer = trials.Scorer(world, task)
    seen = world.reset(SEEDS).values.double().numpy()
    goals = task.goal.double().numpy()
    scripts = [Script(goal) for goal in goals]
    for _ in range(ticks):
        wish = goals - seen[:, 0:2]
        if not straight:
            wish = np.stack([s.aim(row) for s, row in zip(scripts, seen, strict=True)])
        wish = 3.0 * wish
        wish /= np.maximum(np.linalg.norm(wish, axis=1, keepdims=True) / 0.7, 1.0)
        seen = world.step(Action(torch.from_numpy(wish.astype(np.float32)))).values.double().numpy()
        scorer.look()
    return scorer.score()


def test_both_stages_can_be_done_by_the_sensors(world: Push) -> None:
    score = lived(world, 200)
    assert score.more["freed"].all()
    assert score.more["through"].all()
    assert score.reached.all()
    assert not score.contacts.any()
    assert not score.speeding.any()


def test_who_goes_straight_for_the_goal_does_not_get_there(world: Push) -> None:
    score = lived(world, 200, straight=True)
    assert score.reached.mean() < 0.2


def test_sensors_agree_with_geometry(world: Push) -> None:
    values = world.reset(SEEDS).values.double().numpy()
    for seed, row in zip(SEEDS, values, strict=True):
        drawn = draw(seed)
        np.testing.assert_allclose(row[SENSORS["position"]], drawn.start, atol=1e-6)
        np.testing.assert_allclose(row[SENSORS["box_position"]], drawn.box[:2], atol=1e-6)
        np.testing.assert_allclose(row[SENSORS["door"]], drawn.door, atol=1e-6)
        near = clearance(drawn.start, drawn.door)
        np.testing.assert_allclose(row[SENSORS["clearance"]], near, atol=1e-5)
        gap = -0.03 - (drawn.box[0] + 0.5 * SIDE_M)
        np.testing.assert_allclose(row[SENSORS["opening"]], gap, atol=1e-5)
        assert apart(drawn.start, drawn.box) > 0


def test_seeds_draw_what_has_to_be_learned() -> None:
    drawn = [draw(seed) for seed in range(400)]
    blocked = np.mean([abs(d.box[1] - d.door) < 0.04 and d.box[2] == 0 for d in drawn])
    near = np.mean([apart(d.start, d.box) < 0.4 for d in drawn])
    wall = np.mean([d.box[0] == BEFORE_M and d.box[2] == 0 for d in drawn])
    door = np.mean([np.hypot(d.start[0], d.start[1] - d.door) <= NEAR_M for d in drawn])
    assert 0.2 < blocked < 0.35  # and stands elsewhere before the wall about as often
    assert 0.4 < wall < 0.6
    assert 0.25 < door < 0.45  # 0.08 where none does on purpose
    assert 0.5 < near < 0.9
    assert len({d.door for d in drawn}) == 400
    draw.cache_clear()
    for seed, before in enumerate(drawn):
        again = draw(seed)
        assert again.door == before.door
        np.testing.assert_array_equal(np.concatenate(again[1:]), np.concatenate(before[1:]))


def test_nothing_goes_through_walls_at_full_speed(world: Push) -> None:
    generator = torch.Generator().manual_seed(2)
    world.reset(range(len(SEEDS)))
    for tick in range(100):
        if tick % 15 == 0:
            wish = torch.rand(len(SEEDS), 2, generator=generator) * 2 - 1
            wish /= wish.abs().amax(dim=1, keepdim=True)
        world.step(Action(wish))
        trace = world.readings(world.simulation.trace)
        assert (trace[..., SENSORS["clearance"]] > -0.03).all()
        assert (np.abs(trace[..., SENSORS["box_position"]]) < np.array([1.3, 1.0])).all()
        inside = np.abs(trace[..., 4]) < SIDE_M * 0.4
        assert not inside.any(), "a box wider than the door stays where it is"


def test_the_true_simulator_imagines_what_happens(world: Push) -> None:
    world.reset(range(len(SEEDS)))
    moves = torch.rand(len(SEEDS), 2, 8, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    now = world.packed(world.simulation.trace)
    foreseen = Oracle(world, Plain()).imagine(now, moves).latents[0]  # type: ignore[arg-type]
    for tick in range(8):
        seen = world.step(Action(moves[:, 1, tick].contiguous())).values
        torch.testing.assert_close(foreseen[:, 1, tick], seen, rtol=0, atol=1e-4)


class Plain:
    """Perception that shows what sensors do."""

    def encode(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values."""
        return values
