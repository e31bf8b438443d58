"""Our worlds as Gymnasium environments: they pass its checks and tell the truth in `info`."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from agent.core.errors import InputError
from agent.core.messages import Action
from tests.tiny import ROOT
from worlds import environments
from worlds.reach import trials
from worlds.reach.world import Reach

HERE = [n for n in environments.REGISTERED if (ROOT / "worlds" / n / "world.py").is_file()]


@pytest.mark.parametrize("world", HERE)
@pytest.mark.filterwarnings("ignore:.*(Box observation space|Box action spaces):UserWarning")
def test_it_passes_gymnasiums_own_check(world: str) -> None:
    env = gymnasium.make(environments.name_of(world))
    check_env(env.unwrapped)
    env.close()


def test_every_world_that_is_acted_in_is_registered() -> None:
    for path in (ROOT / "worlds").glob("*/world.py"):
        if path.parent.name != "toys":
            assert environments.name_of(path.parent.name) in gymnasium.registry
    before = set(gymnasium.registry)
    environments.register()
    assert set(gymnasium.registry) == before


def test_a_reset_without_a_seed_draws_from_the_range_that_is_told() -> None:
    for told, low, high in (({}, 0, 900_000), ({"seeds": (900_000, 900_003)}, 900_000, 900_003)):
        env = gymnasium.make("housecat/reach-v0", **told)
        env.reset(seed=5)
        drawn = {env.reset()[1]["episode_seed"] for _ in range(40)}
        assert low <= min(drawn) <= max(drawn) < high
        assert len(drawn) == min(40, high - low)
        env.close()


@pytest.mark.parametrize("seeds", [(3, 3), (-1, 4), (1, 2, 3)])
def test_seeds_that_are_no_range_are_refused(seeds: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"expected seeds as a range \(first, end\), came \("):
        gymnasium.make("housecat/reach-v0", seeds=seeds)


def test_an_episode_is_the_one_of_its_seed() -> None:
    env, world = gymnasium.make("housecat/reach-v0"), Reach(Reach.Config(), 1)
    seed = 1_000_003
    shown, info = env.reset(seed=seed)
    assert info["episode_seed"] == seed
    np.testing.assert_array_equal(shown["observation"], world.reset([seed]).values[0].numpy())
    np.testing.assert_array_equal(shown["desired_goal"], trials.tasks([seed]).goal[0].numpy())
    scorer = trials.Scorer(world, trials.tasks([seed]))
    rng, costs, paid, command = np.random.default_rng(0), 0.0, 0.0, np.zeros(2, np.float32)
    for tick in range(100):
        command = rng.uniform(-3, 3, 2).astype(np.float32) if tick % 8 == 0 else command
        shown, paid, terminated, truncated, info = env.step(command)
        seen = world.step(Action(torch.from_numpy(command)[None]))
        scorer.look()
        np.testing.assert_array_equal(shown["observation"], seen.values[0].numpy())
        costs += info["cost"]
        assert (terminated, truncated) == (False, tick == 99)
    score = scorer.score()
    assert (
        max(score.contacts[0], score.speeding[0]) <= costs <= score.contacts[0] + score.speeding[0]
    )
    assert costs > 0
    assert paid == pytest.approx(-score.distance_m[0], abs=1e-5)
    again = env.unwrapped.compute_reward(shown["achieved_goal"], shown["desired_goal"], info)  # type: ignore[attr-defined]
    assert again == pytest.approx(paid)
    many = np.zeros((4, 2)), np.ones((4, 2))
    assert env.unwrapped.compute_reward(*many, info).shape == (4,)  # type: ignore[attr-defined]
    world.close()
    env.close()
    env.close()


def test_without_a_seed_episodes_are_those_of_training() -> None:
    env = gymnasium.make("housecat/stand-v0")
    seeds = [env.reset()[1]["episode_seed"] for _ in range(5)]
    assert len(set(seeds)) == 5
    assert max(seeds) < 900_000
    shown, paid, *_ = env.step(np.zeros(2, np.float32))
    assert shown.shape == (10,)
    assert paid == 1.0, "it has not fallen yet"
    env.close()


def test_settings_of_the_world_are_taken() -> None:
    env = gymnasium.make("housecat/reach-v0", gain_scale=0.0001)
    before, _ = env.reset(seed=1)
    after = env.step(np.full(2, 3.0, np.float32))[0]
    assert float(np.abs(after["observation"] - before["observation"])[:2].max()) < 1e-3
    env.close()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"mass_scale": "abc"}, "mass_scale: .*came 'abc'; Reach takes .*gain_scale"),
        ({"mass": 1}, "mass: extra .*came 1; Reach takes .*mass_scale"),
        ({"goal": "fingers"}, "came 'fingers'; did you mean 'fingertip'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(more: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        gymnasium.make("housecat/reach-v0", **more)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("action", [[np.nan, 0.0], [0.0], [0.0, np.inf]])
def test_an_action_that_is_none_is_refused(action: Any) -> None:
    env = gymnasium.make("housecat/reach-v0", disable_env_checker=True)
    env.reset(seed=1)
    with pytest.raises(
        InputError, match=r"expected 2 finite numbers \(joint_velocity\[2\] rad/s\)"
    ):
        env.step(np.array(action, np.float32))
    env.close()


def test_stable_under_gymnasiums_vector_environments() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        envs = gymnasium.make_vec("housecat/reach-v0", 3, vectorization_mode="sync")
    shown, _ = envs.reset(seed=[1, 2, 3])
    assert shown["observation"].shape == (3, 8)
    shown, paid, *_ = envs.step(np.zeros((3, 2), np.float32))
    assert paid.shape == (3,)
    envs.close()


def test_they_are_found_without_an_import_once_installed() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert '__root__ = "worlds.environments:register"' in text
    assert Path(sys.modules["worlds.environments"].__file__ or "").is_file()


def test_what_others_made_pays_its_own_reward_and_ends_when_it_says() -> None:
    slope = {"id": "tests.environments:Slope-v0", "kwargs": {"fatal": True}}
    env = environments.Environment("worlds.adapters.gymnasium:Gymnasium", **slope)
    env.reset(seed=4)
    ended = False
    while not ended:
        shown, paid, ended, truncated, _ = env.step(np.ones(1, np.float32))
        assert paid == pytest.approx(shown[0], abs=1e-6), "it pays to be far up"
        assert not truncated
    assert paid > 0.9
    env.close()
