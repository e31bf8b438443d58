"""`swingup`: the pole can be swung up and held, not lifted at once; sensors are honest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from agent.core.messages import Action
from worlds.simulation import Array
from worlds.swingup import trials
from worlds.swingup.world import JOURNEYS, POLE_M, SENSORS, Swingup, start
from worlds.swingup_pixels.world import SwingupPixels

SEEDS = list(range(1_000_000, 1_000_016))
STIFFNESS = 1.5 * 9.81 / POLE_M
"""How fast an upright pole falls, 1/s², and a hanging one swings."""


@pytest.fixture
def world() -> Iterator[Swingup]:
    made = Swingup(Swingup.Config(), len(SEEDS))
    yield made
    made.close()


def swung(seen: Array) -> Array:
    """Return commands [B 1] by sensors alone: pump the pole's energy; near the top, balance."""
    cart, speed, sine, cosine, spin = seen[:, :5].T
    lean = np.arctan2(sine, cosine)
    lack = 0.5 * spin**2 + STIFFNESS * (cosine - 1.0)
    pump = np.clip(0.6 * lack, -4.0, 4.0) * np.sign(spin * cosine) - 2.0 * cart - speed
    balance = 41.6 * lean + 8.4 * spin + 6.1 * cart + 7.0 * speed
    push = np.where((np.abs(lean) < 0.5) & (np.abs(spin) < 3.0), balance, pump)
    command: Array = np.clip(speed + 0.08 * push, -1.4, 1.4)[:, None]
    return command


def lived(world: Swingup, ticks: int, wish: object) -> trials.Score:
    scorer = trials.Scorer(world, trials.tasks(SEEDS))
    seen = world.reset(SEEDS).values.double().numpy()
    for _ in range(ticks):
        command = wish(seen) if callable(wish) else np.full((len(SEEDS), 1), wish)
        action = Action(torch.from_numpy(command.astype(np.float32)))
        seen = world.step(action).values.double().numpy()
        scorer.look()
    return scorer.score()


def test_it_can_be_swung_up_and_held_by_what_sensors_show(world: Swingup) -> None:
    score = lived(world, 160, swung)
    assert score.reached.all()
    assert not score.contacts.any()
    assert not score.speeding.any()
    assert (score.distance_m < trials.TOLERANCE_M).all()


def test_nothing_is_reached_by_waiting_or_by_one_push(world: Swingup) -> None:
    for command in (0.0, 2.0, -2.0):
        score = lived(world, 60, command)
        assert not score.reached.any()
        assert not score.more["up_share"].any()
        assert (score.distance_m > POLE_M).all() or command


def test_the_stops_stop_it_and_are_counted(world: Swingup) -> None:
    score = lived(world, 60, 2.0)
    assert (score.contacts > 0).all()
    assert (score.speeding > 0).any()
    assert bool((np.abs(score.closest_m) < 0.05).all())
    assert np.abs(world.simulation.qpos[:, 0]).max() < 1.05


def test_sensors_say_where_things_are(world: Swingup) -> None:
    world.reset(list(range(len(SEEDS))))
    seen = world.step(Action(torch.zeros(len(SEEDS), 1))).values.double().numpy()
    pose, step_s = world.simulation.qpos, world.model.opt.timestep
    lean = pose[:, 1] - step_s * seen[:, 4]  # MuJoCo reads sensors before the last step moves them
    shown = np.arctan2(*seen[:, SENSORS["direction"]].T)
    np.testing.assert_allclose(np.cos(shown - lean), 1.0, atol=1e-3)
    np.testing.assert_allclose(seen[:, 0], pose[:, 0] - step_s * seen[:, 1], atol=1e-3)
    away = seen[:, SENSORS["tip"]] - POLE_M * seen[:, SENSORS["direction"]]
    np.testing.assert_allclose(away, np.column_stack((seen[:, 0], np.zeros(len(seen)))), atol=1e-6)


def test_the_pole_hangs_at_the_start_but_in_training_is_anywhere() -> None:
    hanging = [start(seed) for seed in range(JOURNEYS, JOURNEYS + 200)]
    assert all(np.cos(pose[1]) < -0.97 and not speed.any() for pose, speed in hanging)
    anywhere = np.cos([start(seed)[0][1] for seed in range(400)])
    assert 0.4 < (anywhere > 0).mean() < 0.6


def test_goals_that_tempt_are_at_the_end_of_the_rail() -> None:
    goals = trials.adversarial(range(50)).goal
    assert bool((goals[:, 0].abs() >= trials.RAIL_M).all())


def found_at(frame: torch.Tensor, x: float, y: float) -> torch.Tensor:
    """Return the brightest pixels of a frame, which are those of x and y in metres."""
    at = torch.tensor([(0.5 - y / 3.4) * 64, (x / 3.4 + 0.5) * 64])
    brightest = (frame == frame.max()).nonzero().float()
    assert float((brightest.mean(dim=0) + 0.5 - at).abs().max()) < 1.5
    return brightest


def test_the_camera_shows_the_same_body_and_the_tip_where_it_is(world: Swingup) -> None:
    seeds = [3, 4, 5]
    seen, felt = SwingupPixels(SwingupPixels.Config(), 3), Swingup(Swingup.Config(), 3)
    try:
        shown = seen.reset(seeds).values
        assert torch.equal(shown[:, : SENSORS.size], felt.reset(seeds).values)
        action = Action(torch.full((3, 1), 1.0))
        shown = seen.step(action).values
        assert torch.equal(shown[:, : SENSORS.size], felt.step(action).values)
        frames = shown[:, seen.sensors["camera"]].reshape(3, 3, 64, 64)
        for frame, row in zip(frames[:, -1], shown, strict=True):
            x, y = row[SENSORS["tip"]].tolist()
            brightest = found_at(frame, x, y)
            assert len(brightest) >= 12, "a tip of a pixel or two is lost on an encoder"
    finally:
        seen.close()
        felt.close()


def test_an_episode_that_begins_in_motion_shows_where_it_came_from() -> None:
    world = SwingupPixels(SwingupPixels.Config(), 2)
    try:
        moving = world.reset([3, 4])
        frames = moving.values[:, world.sensors["camera"]].reshape(2, 3, 64, 64)
        for frame, row in zip(frames, moving.values, strict=True):
            place, speed = float(row[SENSORS["position"]]), float(row[SENSORS["velocity"]])
            sine, cosine, spin = row[2:5].tolist()
            lean = np.arctan2(sine, cosine)
            for shown, ago in zip(frame, (0.1, 0.05, 0.0), strict=True):
                x = place - ago * speed + POLE_M * np.sin(lean - ago * spin)
                y = POLE_M * np.cos(lean - ago * spin)
                found_at(shown, x, y)
        still = world.reset([trials.EVALUATION_SEEDS, trials.EVALUATION_SEEDS + 1]).values[
            :, world.sensors["camera"]
        ]
        frames = still.reshape(2, 3, 64, 64)
        assert torch.equal(frames[:, 0], frames[:, 2]), "at rest nothing has moved"
    finally:
        world.close()
