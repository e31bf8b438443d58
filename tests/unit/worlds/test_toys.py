"""The room of toys: what is hidden is not shown, and tricks change nothing before their tick."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from agent.core.messages import Action
from worlds.toys import clips
from worlds.toys.clips import CONTROL, KINDS, VIOLATIONS, Life, Stage, Trick
from worlds.toys.world import RATE_HZ, TOYS, Toys, clear, start

SEEDS = range(940_000, 940_060)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    made = Stage(Toys.Config(), len(SEEDS))
    yield made
    made.close()


@pytest.fixture(scope="module")
def possible(stage: Stage) -> list[Life]:
    return shown(stage, [None] * len(SEEDS))


def shown(stage: Stage, tricks: list[Trick | None]) -> list[Life]:
    stage.prepare(tricks)
    stage.reset(SEEDS)
    for _ in range(clips.TICKS):
        stage.step(Action(torch.zeros(len(SEEDS), 0)))
    return stage.lives()


def test_starts_are_in_sight_and_touch_nothing() -> None:
    for seed in range(200):
        place, speed = start(seed)
        assert np.isfinite(speed).all()
        assert clear(place) or place[1] in (0.06, 0.59)


def test_a_hidden_toy_reads_nothing_and_says_so(possible: list[Life]) -> None:
    world = Toys(Toys.Config(), len(SEEDS))
    try:
        seen = [world.reset(SEEDS)]
        seen += [world.step(Action(torch.zeros(len(SEEDS), 0))) for _ in range(clips.TICKS)]
    finally:
        world.close()
    hidden = graded = 0
    for tick, observation in enumerate(seen):
        for toy, name in enumerate(TOYS):
            behind = torch.tensor([not life.seen[tick, toy] for life in possible])
            hidden += int(behind.sum())
            for part in ("position", "velocity", "colour"):
                where = world.sensors[f"{name}_{part}"]
                column = world.sensors.names.index(f"{name}_{part}")
                assert torch.equal(observation.valid[:, column], ~behind)
                assert not observation.values[behind, where].any()
            unseen = observation.values[:, world.sensors[f"{name}_unseen"]][:, 0]
            assert torch.equal(unseen > 0, behind)
            sight = observation.values[:, world.sensors[f"{name}_seen"]][:, 0]
            assert torch.equal(sight > 0, ~behind)
            graded += int(((sight > 0) & (sight < 1)).sum())
    assert hidden > 100
    assert graded > 20, "toys go out of sight bit by bit"


def test_unseen_counts_seconds(possible: list[Life], stage: Stage) -> None:
    stage.prepare([None] * len(SEEDS))
    before = torch.zeros(len(SEEDS), len(TOYS))
    columns = [stage.sensors[f"{toy}_unseen"].start for toy in TOYS]
    stage.reset(SEEDS)
    for _ in range(30):
        now = stage.step(Action(torch.zeros(len(SEEDS), 0))).values[:, columns]
        torch.testing.assert_close(now, torch.where(now > 0, before + 1 / RATE_HZ, 0.0))
        before = now


def test_toys_fall_and_stay_in_the_room(possible: list[Life]) -> None:
    motion = np.stack([life.motion for life in possible])
    assert np.abs(motion[..., 0]).max() < 1.0
    assert motion[..., 1].min() > 0.03
    free = np.abs(np.stack([life.kicks() for life in possible])).max(axis=-1) < 0.01
    assert free.mean() > 0.2, "most of flying is free fall"


def test_lamps_change_colours_and_nothing_else() -> None:
    lives = []
    for lamp in (0.0, 1.0):
        world = Toys(Toys.Config(lamp=lamp), 4)
        first = world.reset(range(4)).values
        for _ in range(5):
            last = world.step(Action(torch.zeros(4, 0))).values
        lives.append((first, last))
        world.close()
    (one, quiet), (_, lit) = lives
    for channel, where in Toys.sensors.slices():
        if channel.name.endswith("_colour"):
            assert torch.equal(quiet[:, where], one[:, where])
            assert not torch.equal(lit[:, where], quiet[:, where])
        else:
            assert torch.equal(lit[:, where], quiet[:, where])


@pytest.mark.parametrize("kind", KINDS)
def test_clips_are_equal_until_the_trick(kind: str, stage: Stage, possible: list[Life]) -> None:
    pairs = list(zip(SEEDS, possible, strict=True))
    tricks = [clips.trick(kind, seed, life) for seed, life in pairs]
    assert tricks == [clips.trick(kind, seed, life) for seed, life in pairs]
    assert sum(t is not None for t in tricks) >= 15
    for trick, before, after in zip(tricks, possible, shown(stage, tricks), strict=True):
        if trick is None:
            assert np.array_equal(before.motion, after.motion)
            continue
        t, toy = trick.tick, trick.toy
        assert np.array_equal(before.motion[:t], after.motion[:t])
        assert np.array_equal(before.seen[:t], after.seen[:t])
        if kind == CONTROL:
            assert np.array_equal(before.motion, after.motion)
            assert np.array_equal(before.seen, after.seen)
        elif kind in ("vanish", "withhold"):
            late = int(kind == "vanish")
            assert before.seen[t, toy]
            assert not after.seen[t + late :, toy].any()
        elif kind == "float":
            assert np.ptp(after.motion[t : t + 3, toy, 1]) < 0.01
            assert np.ptp(before.motion[t : t + 3, toy, 1]) > 0.03
        elif kind == "teleport":
            jump = after.motion[t, toy, :2] - after.motion[t - 1, toy, :2]
            assert np.linalg.norm(jump) > 0.2
            assert after.seen[t, toy]
        else:
            kick = np.linalg.norm(after.kicks()[t - 1, toy])
            assert kick < 0.6 * np.linalg.norm(before.kicks()[t - 1, toy])
            assert np.abs(after.kicks()[t:, toy]).max() < 0.05


def test_a_trick_needs_its_moment(possible: list[Life]) -> None:
    life = possible[0]
    at_rest = np.zeros_like(life.motion)
    at_rest[..., :2] = [-0.5, 0.06]
    nobody = Life(at_rest, np.zeros_like(life.seen), life.hidden)
    for kind in ("vanish", "float", "withhold", "colour"):
        assert clips.trick(kind, 1, nobody) is None


def test_the_control_is_no_violation() -> None:
    assert CONTROL not in VIOLATIONS
    assert set(VIOLATIONS) | {CONTROL} == set(KINDS)
    assert {name for name, *_ in clips.scene()} >= {"floor", "shelf", "block", "screen"}
