"""Datasets and exploration: who is held out, what a window is, and that seeds decide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.config import schema
from agent.config.build import Blueprint, blueprint
from agent.core.errors import InputError
from agent.core.messages import Rollout
from agent.core.noise import coloured
from agent.core.spec import Channel, Layout
from agent.train.course import Course
from agent.train.curiosity import Curious
from agent.train.dataset import Dataset
from agent.train.exploration import coverage
from agent.train.explore import TRAINING_SEEDS, Curiosity, Explorer, explorer_batch
from agent.train.progress import silent
from agent.train.rounds import Rounds
from agent.train.understanding import experience
from tests.tiny import REACH, TINY
from worlds.reach.trials import EVALUATION_SEEDS


def counted(episodes: int = 20, ticks: int = 8) -> Dataset:
    """Return episodes whose sensors say which episode and tick they are."""
    who = torch.arange(episodes)[:, None, None].expand(-1, ticks + 1, 1)
    when = torch.arange(ticks + 1)[None, :, None].expand(episodes, -1, 1)
    values = torch.cat((who, when), dim=-1).float()
    return Dataset(values, values[:, :-1].clone())


def test_every_tenth_episode_is_held_out() -> None:
    known, held = counted().split()
    assert held.values[:, 0, 0].tolist() == [9.0, 19.0]
    assert len(known) == 18
    assert not set(known.values[:, 0, 0].tolist()) & {9.0, 19.0}
    assert known.transitions == 18 * 8


def test_windows_are_runs_of_one_episode() -> None:
    values, commands = counted().windows(200, 5, torch.Generator().manual_seed(0))
    assert values.shape == (200, 6, 2)
    assert commands.shape == (200, 5, 2)
    assert bool((values[..., 0] == values[:, :1, 0]).all())
    assert bool((values[:, 1:, 1] - values[:, :-1, 1] == 1).all())
    assert torch.equal(commands, values[:, :-1])
    assert set(values[:, 0, 1].tolist()) == {0.0, 1.0, 2.0, 3.0}
    again, _ = counted().windows(200, 5, torch.Generator().manual_seed(0))
    assert torch.equal(values, again)


def test_datasets_add_up_if_their_episodes_are_as_long() -> None:
    assert (counted(3) + counted(4)).transitions == 7 * 8
    with pytest.raises(ValueError, match="expected episodes of 8 ticks, came 5"):
        counted() + counted(3, 5)


def test_a_dataset_is_kept_whole(folder: Path) -> None:
    counted().save(folder / "data.safetensors")
    assert [p.name for p in folder.iterdir()] == ["data.safetensors"]
    assert torch.equal(Dataset.load(folder / "data.safetensors").values, counted().values)
    with pytest.raises(InputError, match="found none; collect it first"):
        Dataset.load(folder / "none.safetensors")


def explored(plans: Blueprint, episodes: int, seed: int = 0, **more: Any) -> Dataset:
    config = Explorer.Config(episodes=episodes, ticks=12, **more)
    world = plans.world(explorer_batch(config))
    try:
        return Explorer(config, world, seed).collect(lambda *_: None)
    finally:
        world.close()


def test_exploration_is_a_function_of_its_seed(plans: Blueprint) -> None:
    one, again, other = explored(plans, 5), explored(plans, 5), explored(plans, 5, seed=5)
    assert torch.equal(one.values, again.values)
    assert torch.equal(one.commands, again.commands)
    assert not torch.equal(one.values, other.values)
    assert len(one) == 5


def test_commands_are_within_limits_and_go_together_in_time(plans: Blueprint) -> None:
    world = plans.world(64)
    moves = Explorer(Explorer.Config(episodes=64, ticks=400, deviation=0.3), world).commands(0)
    low, high = world.actuators.bounds()
    world.close()
    assert bool(((moves >= low) & (moves <= high)).all())
    centred = moves - moves.mean(dim=1, keepdim=True)
    beside = (centred[:, 1:] * centred[:, :-1]).mean() / centred.square().mean()
    assert float(beside) == pytest.approx(2.718281828 ** (-1 / (0.5 * 20)), abs=0.03)
    apart = (centred[:, 100:] * centred[:, :-100]).mean() / centred.square().mean()
    assert abs(float(apart)) < 0.1


def test_training_never_sees_evaluation_seeds(plans: Blueprint) -> None:
    assert TRAINING_SEEDS == EVALUATION_SEEDS
    with pytest.raises(AssertionError, match="must not use evaluation seeds"):
        explored(plans, 5, seed=TRAINING_SEEDS - 2)


@pytest.mark.parametrize("policy", ["ou", "coloured", "random"])
def test_every_policy_keeps_to_limits_and_to_its_seed(plans: Blueprint, policy: str) -> None:
    one, again = explored(plans, 5, policy=policy), explored(plans, 5, policy=policy)
    assert torch.equal(one.values, again.values)
    assert torch.equal(one.commands, again.commands)
    assert float(one.commands.abs().max()) <= 3.0
    assert float(one.commands.std()) > 0.1


@pytest.mark.parametrize("ticks", [1, 96, 97])
@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_coloured_noise_has_unit_variance_and_its_power_falls_as_stated(
    ticks: int, exponent: float
) -> None:
    noise = coloured((ticks, 4000, 2), exponent, torch.Generator().manual_seed(0))
    assert noise.shape == (ticks, 4000, 2)
    assert float(noise.var()) == pytest.approx(1.0, abs=0.03)
    if ticks > 1:
        power = torch.fft.rfft(noise, dim=0).abs().square().mean(dim=(1, 2))
        assert float(power[2] / power[32]) == pytest.approx(16.0**exponent, rel=0.1)


class Sure:
    """A model whose members disagree about the first command alone, the more the larger it is."""

    def encode(self, values: Tensor) -> Tensor:
        return values

    def imagine(self, state: Tensor, actions: Tensor) -> Rollout:
        sides = torch.tensor([-1.0, 1.0])[:, None, None, None, None]
        return Rollout(state, actions, sides * actions[..., :1].clamp(min=0.0), {})


def test_curiosity_goes_where_the_model_of_the_rounds_before_is_unsure(plans: Blueprint) -> None:
    config = Explorer.Config(
        episodes=128, ticks=12, policy="curiosity", curiosity=Curiosity(rounds=2)
    )
    world, seen = plans.world(64), []

    def learn(dataset: Dataset, index: int) -> Sure:
        seen.append((len(dataset), index))
        return Sure()

    try:
        found = Rounds(config, world, learn, Curious(config, world)).collect(silent())
        plain = Explorer(config.model_copy(update={"episodes": 64, "policy": "ou"}), world).collect(
            lambda *_: None
        )
    finally:
        world.close()
    assert seen == [(64, 1)]
    assert torch.equal(found.values[:64], plain.values)
    drawn, chosen = found.commands[:64].mean(dim=(0, 1)), found.commands[64:].mean(dim=(0, 1))
    assert float(chosen[0]) > 1.0
    assert float(drawn[0].abs()) < 0.3
    assert float(chosen[1].abs()) < 0.3


def test_curiosity_learns_a_model_in_rounds_and_repeats_itself(plans: Blueprint) -> None:
    more = ["train.explore={episodes: 128, ticks: 24, policy: curiosity,"
            " curiosity: {rounds: 2, steps: 5}}"]  # fmt: skip
    found = blueprint(schema.load(REACH, [*TINY, *more]))
    course: Course = schema.validate(Course, found.config.train, "train")
    one, again = (experience(found, found.assemble(), course, silent()) for _ in range(2))
    assert torch.equal(one.values, again.values)
    assert one.values.shape == (128, 25, 8)


def test_coverage_counts_the_cells_that_anyone_visited() -> None:
    sensors = Layout((Channel("place", 2, "m"),))
    corner = Dataset(torch.zeros(1, 4, 2), torch.zeros(1, 3, 1))
    both = Dataset(
        torch.tensor([[[0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [0.0, 1.0]]]), torch.zeros(1, 3, 1)
    )
    assert coverage({"a": corner, "b": both}, sensors, ["place"]) == {"a": 1 / 3, "b": 1.0}
