"""The world `screens`: what hides, for how long, and when a thing counts as found again."""

from __future__ import annotations

import numpy as np
import torch

from agent.core.messages import Action
from worlds.screens.trials import AWAY_M, HIDDEN_TICKS, Scorer, tasks
from worlds.screens.world import LIMIT_M_S, RATE_HZ, Screens

SEEDS = list(range(900_000, 900_012))


def steer(world: Screens, to: np.ndarray) -> Action:
    gap = to - world.simulation.qpos[:, :2]
    return Action(torch.tensor((gap * 4).clip(-LIMIT_M_S, LIMIT_M_S), dtype=torch.float32))


def test_a_thing_is_seen_where_no_screen_lies_between() -> None:
    world = Screens(Screens.Config(), 1)
    here, there = (
        np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]),
        np.array([[0.6, -0.6], [0.7, 0.0], [1.8, 0.7]]),
    )
    assert world.in_sight(here, there).tolist() == [True, False, True]
    low, high = world.booth(np.array([0.1, -1.0]))
    assert (low.tolist(), high.tolist()) == ([-0.67, -1.9], [0.67, -0.67])
    clear = Screens(Screens.Config(opaque=False), 3)
    assert clear.reset([1, 2, 3]).valid.all()
    assert clear.in_sight(here, there).all()


def test_the_thing_is_shown_in_sight_only_and_stays_where_it_is() -> None:
    world = Screens(Screens.Config(), len(SEEDS))
    first = world.reset(SEEDS)
    assert first.valid.all(), "every episode starts in sight of the thing"
    hidden = 0
    for _ in range(60):
        seen = world.step(steer(world, -first.values[:, 4:].numpy()))
        thing = world.simulation.qpos[:, 2:]
        np.testing.assert_allclose(thing, first.values[:, 4:], atol=1e-6)
        for row, valid in enumerate(seen.valid[:, 2].tolist()):
            shown = seen.values[row, 4:]
            assert torch.equal(shown, first.values[row, 4:] if valid else torch.zeros(2))
            hidden += not valid
    assert hidden > 100


def test_found_again_means_after_the_errand_and_fifty_ticks_out_of_sight() -> None:
    world = Screens(Screens.Config(), len(SEEDS))
    task = tasks(SEEDS)
    world.reset(SEEDS)
    thing, scorer = world.simulation.qpos[:, 2:].copy(), Scorer(world, task)
    boxes = [world.booth(place) for place in thing]
    for goal, (low, high) in zip(task.goal.double().numpy(), boxes, strict=True):
        assert np.linalg.norm(goal - goal.clip(low, high)) >= AWAY_M - 1e-6
    assert AWAY_M / (LIMIT_M_S * 2**0.5) * 2 * RATE_HZ > HIDDEN_TICKS

    def go(to: np.ndarray, ticks: int) -> None:
        for _ in range(ticks):
            world.step(steer(world, to))
            scorer.look()

    go(thing, 40)
    assert not scorer.done.any(), "it was never out of sight"
    go(task.goal.double().numpy(), 120)
    assert not scorer.done.any()
    go(thing, 120)
    score = scorer.score()
    assert score.reached.all()
    assert score.more["errand"].all()
    assert bool((score.more["hidden_ticks"] >= HIDDEN_TICKS).all())
    assert bool((score.reach_tick > 160).all())


def test_who_skips_the_errand_finds_nothing() -> None:
    world = Screens(Screens.Config(), 1)
    world.reset(SEEDS[:1])
    thing, scorer = world.simulation.qpos[:, 2:].copy(), Scorer(world, tasks(SEEDS[:1]))
    for to in (-np.sign(thing) * 1.7, thing):
        for _ in range(130):
            world.step(steer(world, to))
            scorer.look()
    score = scorer.score()
    assert score.more["hidden_ticks"][0] >= HIDDEN_TICKS
    assert score.distance_m[0] < 0.05
    assert bool(score.more["errand"][0]) == bool(score.reached[0])
