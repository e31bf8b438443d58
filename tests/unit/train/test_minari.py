"""Minari datasets: what they hold comes over column by column, and what does not fit is told."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import minari
import numpy as np
import pytest
import torch
from minari.data_collector import EpisodeBuffer

from agent.cli.main import main
from agent.core.errors import InputError
from agent.train.given import given
from agent.train.minari import imported
from worlds.reach.world import Reach

NAME = "housecat/arm-v0"
WHERE = {
    "joint_angle": "arm.state[0:2]",
    "joint_speed": "arm.state[2:4]",
    "fingertip": "tip",
    "proximity": "arm.near",
    "impact": "arm.near[0:1]",
}


@pytest.fixture
def write(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that writes a local dataset of episodes as long as stated."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(folder / "minari"))

    def box(size: int) -> gym.spaces.Box:
        return gym.spaces.Box(-np.inf, np.inf, (size,), np.float64)

    def wrote(lengths: list[int], break_at: tuple[int, int] | None = None) -> list[Any]:
        generator = np.random.default_rng(0)
        episodes = []
        for index, length in enumerate(lengths):
            state, tip = (
                generator.normal(size=(length + 1, 4)),
                generator.normal(size=(length + 1, 2)),
            )
            near = generator.normal(size=(length + 1, 1))
            if break_at is not None and break_at[0] == index:
                near[break_at[1]] = np.nan
            ends = np.arange(length) == length - 1
            episodes.append(
                EpisodeBuffer(
                    observations={"arm": {"state": state, "near": near}, "tip": tip},
                    actions=generator.uniform(-1, 1, size=(length, 2)),
                    rewards=np.zeros(length).tolist(),
                    terminations=np.zeros(length, dtype=bool).tolist(),
                    truncations=ends.tolist(),
                )
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks for authors, environments and scores
            minari.create_dataset_from_buffers(
                NAME,
                episodes,
                action_space=box(2),
                observation_space=gym.spaces.Dict(
                    {"arm": gym.spaces.Dict({"state": box(4), "near": box(1)}), "tip": box(2)}
                ),
                algorithm_name="none",
                author="nobody",
                author_email="nobody@example.org",
                code_permalink="none",
            )
        return episodes

    return wrote


def test_columns_come_over_and_episodes_are_cut(write: Any) -> None:
    episodes = write([13] * 6)
    dataset, left = imported(NAME, Reach, WHERE, 20.0, 6)
    assert (len(dataset), dataset.ticks, left) == (12, 6, 6)
    first = episodes[0].observations
    truth = np.concatenate(
        [first["arm"]["state"], first["tip"], first["arm"]["near"], first["arm"]["near"]], axis=1
    )
    assert np.allclose(dataset.values[0], truth[:7], atol=1e-6)
    assert np.allclose(dataset.values[1], truth[6:13], atol=1e-6)
    assert np.allclose(dataset.commands[1], episodes[0].actions[6:12], atol=1e-6)


def refused(
    what: str, where: dict[str, str] = WHERE, rate: float | None = 20.0, ticks: int = 6
) -> None:
    with pytest.raises(InputError, match=what) as caught:
        imported(NAME, Reach, where, rate, ticks)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"dataset minari:{NAME}: ")


def test_what_does_not_fit_is_told(write: Any) -> None:
    write([13] * 6)
    refused("expected 20 ticks a second, came 50; resample", rate=50.0)
    refused("expected 20 ticks a second, came no rate", rate=None)
    refused("the world has no 'finger'; did you mean 'fingertip'", {**WHERE, "finger": "tip"})
    refused(
        "episode 0: 'impact' is not mapped; say where it is in the observations, such as impact=",
        {k: v for k, v in WHERE.items() if k != "impact"},
    )
    refused("the observations have no 'leg'; they have", {**WHERE, "fingertip": "leg"})
    refused("expected an array in the observations, came dict", {**WHERE, "fingertip": "arm"})
    refused("expected 2 columns, came 1", {**WHERE, "fingertip": "tip[0:1]"})
    refused("expected KEY, ", {**WHERE, "fingertip": "tip[0]"})
    refused("expected an episode of 14 or more ticks", ticks=14)


def test_what_is_not_finite_is_told_by_sensor_and_tick(write: Any) -> None:
    write([13] * 6, break_at=(2, 9))
    refused(r"episode 5, tick 3: expected a finite sensor 'proximity', came nan")


def test_too_few_and_none(write: Any) -> None:
    refused("expected a local dataset, came .* get it with `minari download")
    write([13] * 2)
    refused("expected 10 or more episodes")


def test_missing_actions_are_told(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    episodes = write([13] * 6)
    episodes = [replace(e, actions=e.actions[:0]) for e in episodes]
    loaded = type("Loaded", (), {"iterate_episodes": lambda self: iter(episodes)})
    monkeypatch.setattr(minari, "load_dataset", lambda name: loaded())
    refused("expected an action between any two of its 14 observations, came 0 actions; record")


def test_the_command_writes_what_train_reads(write: Any, folder: Path, monkeypatch: Any) -> None:
    write([26] * 12)
    config = Path(__file__).parents[3] / "configs" / "reach.yaml"
    target = folder / "arm.safetensors"
    words = ["import", f"minari:{NAME}", str(config), *(f"{k}={v}" for k, v in WHERE.items())]
    words += ["train.explore.ticks=26", "rate_hz=20", "--out", str(target)]
    assert main(words) == 0
    assert given(target, Reach, 24).transitions == 12 * 26
    assert main([*words, "train.explore.ticks=27"]) == 2
    assert main(["import", "minari:", str(config)]) == 2


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "minari", None)
    with pytest.raises(InputError, match="expected the package 'minari', found none; pip install"):
        imported(NAME, Reach, WHERE, 20.0, 6)


def test_a_dataset_is_float32(write: Any) -> None:
    write([13] * 10)
    dataset, _ = imported(NAME, Reach, WHERE, 20.0, 13)
    assert dataset.values.dtype is torch.float32
