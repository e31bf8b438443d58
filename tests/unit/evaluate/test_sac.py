"""Soft actor-critic as a baseline: what it sees, what it is paid, and for how long it learns."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from agent.config import schema
from agent.config.build import Blueprint, blueprint
from agent.core.errors import InputError, MissingExtra
from agent.evaluate.baselines import commanded
from agent.evaluate.sac import Sac, library_of, paying
from tests.tiny import ROOT
from worlds.reach import trials


def config(name: str) -> Blueprint:
    return blueprint(schema.load(ROOT / "configs" / f"{name}.yaml"))


def test_it_is_shown_the_goal_and_then_the_sensors(plans: Blueprint) -> None:
    env, world = paying(plans), plans.world(1)
    shown, _ = env.reset(seed=17)
    values = world.reset([17]).values
    goal = trials.tasks([17]).goal
    np.testing.assert_array_equal(shown, torch.cat((goal, values), dim=1)[0].numpy())
    shown, paid, *_ = env.step(np.zeros(2, np.float32))
    away = shown[:2] - shown[2 + 4 : 2 + 6]
    assert paid == pytest.approx(-float(np.linalg.norm(away)), abs=1e-6)
    world.close()
    env.close()


def test_episodes_are_as_long_as_those_of_evaluation() -> None:
    found = config("stand")
    env = paying(found)
    env.reset(seed=3)
    ends = [env.step(np.zeros(2, np.float32))[3] for _ in range(found.config.eval.ticks)]
    assert ends.index(True) == found.config.eval.ticks - 1
    env.close()


def test_it_learns_for_as_long_as_it_is_given(
    plans: Blueprint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library_of()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("SB3_LOGDIR", raising=False)
    learner = Sac(plans, 0)
    learner.learn(0.5)
    spent, steps = learner.spent_s, learner.steps
    assert spent >= 0.5
    assert steps > 0
    learner.learn(0.5)
    assert (learner.spent_s, learner.steps) == (spent, steps)
    world = plans.world(2)
    low, high = world.actuators.bounds()
    seen, task = world.reset([900_000, 900_001]), trials.tasks([900_000, 900_001])
    chosen = learner(0, seen, task)
    assert torch.equal(chosen, learner(0, seen, task))
    assert not torch.equal(chosen[0], chosen[1])
    assert bool(((chosen >= low) & (chosen <= high)).all())
    lived = commanded(world, [900_000, 900_001], 5, learner)
    assert lived.ticks == 10
    assert not list(tmp_path.glob("SB3*"))  # the library left no folder of its logs
    world.close()
    learner.close()


def test_a_camera_is_refused() -> None:
    with pytest.raises(InputError, match="reach_pixels, which is seen by a camera"):
        paying(config("reach-pixels"))


def test_without_the_library_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    with pytest.raises(MissingExtra, match=r"pip install -e '\.\[bench\]'"):
        library_of()
