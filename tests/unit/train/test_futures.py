"""Whether futures are counted as they are, and pairs made as they say."""

from __future__ import annotations

import pytest
import torch

from agent.config import schema
from agent.config.build import Mind
from agent.core.errors import InputError
from agent.train.compatible import KINDS, SEED, energy, explored, horizons, pairs, surfaces
from agent.train.course import course_of
from agent.train.dataset import Dataset
from agent.train.explore import Explorer
from agent.train.futures import Fans, approach, coverage, fan, variant
from agent.train.progress import silent
from agent.train.understanding import understand
from tests.tiny import ROOT

LEAD = ROOT / "configs" / "lead.yaml"
TINY = [
    "train={explore: {episodes: 32, ticks: 40}, learner: {steps: 20, batch: 8},"
    " readouts: {steps: 20, batch: 8, horizon: 20}}",
]


def test_futures_are_counted_by_the_branch_they_are_nearest_to() -> None:
    true = torch.tensor([[[1.0, 0.5], [2.0, 1.0]], [[1.0, -0.5], [2.0, -1.0]]])
    sideways = torch.tensor([[0.9, 0.9], [0.8, 0.2], [-0.9, 0.1], [0.1, -0.2]])
    imagined = true.expand(4, -1, -1, -1).clone()
    imagined[:, :, -1, 1] = sideways
    found = coverage(Fans(imagined, true), 0.15)
    assert found["left"].tolist() == [0.5, 0.25]
    assert found["right"].tolist() == [0.25, 0.0]
    torch.testing.assert_close(found["average"], torch.tensor([0.25, 0.75]))
    torch.testing.assert_close(found["error_m"], torch.tensor([0.1, 0.8]))
    assert found["covered"].tolist() == [1.0, 0.0]
    assert found["both"].tolist() == [1.0, 0.0]
    assert found["separation_m"].tolist() == [2.0, 2.0]


def test_a_bench_trains_with_and_without_z_and_looks_from_before_the_fork() -> None:
    config = schema.load(LEAD, TINY)
    with_z, without = variant(config), variant(config, use=None)
    assert with_z.latent_variable is not None
    assert without.latent_variable is None
    world = with_z.world(4)
    try:
        forks = approach(world, range(1_000_000, 1_000_004), 12)
    finally:
        world.close()
    assert forks.before.shape == (4, 9)
    assert bool(((forks.before[:, 0] + forks.before[:, 4]) <= -0.3).all())
    for found, futures in ((variant(config, draws=6), 12), (without, 2)):
        trained = variant(config) if futures == 12 else without
        understood = understand(trained, course_of(trained), silent())
        tensors, figures = understood.mind.tensors(), understood.figures
        fans = fan(found, tensors, forks)
        assert fans.imagined.shape == (futures, 4, 12, 2)
        assert fans.true.shape == (4, 12, 2)
        assert (figures["information_z"] > 0) == (futures == 12)


def numbered(episodes: int, ticks: int) -> Dataset:
    """Return episodes whose sensors say which episode and tick they are from."""
    every = torch.stack(
        torch.meshgrid(torch.arange(episodes), torch.arange(ticks + 1), indexing="ij"), dim=-1
    ).float()
    return Dataset(every, every[:, :-1, 1:].clone())


def test_pairs_are_incompatible_in_the_way_they_say() -> None:
    ticks = 5
    made = pairs(numbered(40, 24), ticks)
    own = made.values[:, :, 0]
    assert torch.equal(own, torch.arange(40.0)[:, None].expand(-1, ticks + 1))
    values, commands = made.incompatible("shuffled")
    assert bool((values[:, 1:, 0] != own[:, 1:]).all())
    assert torch.equal(commands, made.commands)
    values, commands = made.incompatible("wrong_time")
    assert torch.equal(values[:, :, 0], own)
    assert bool(((values[:, 1:, 1] - made.values[:, 1:, 1]) >= ticks).all())
    assert bool((values[..., 1] <= 24).all())
    values, commands = made.incompatible("other_commands")
    assert torch.equal(values, made.values)
    assert torch.equal(commands, made.commands.roll(1, 0))
    with pytest.raises(InputError, match=r"more than 24 ticks, came 24; raise"):
        pairs(numbered(4, 24), 12)


def test_true_futures_have_less_energy_and_a_surface_a_well(mind: Mind) -> None:
    world = mind.blueprint.world(16)
    try:
        data = explored(Explorer.Config(ticks=32), world, 16)
        assert torch.equal(data.values[0, 0], world.reset(range(SEED, SEED + 16)).values[0])
    finally:
        world.close()
    made = pairs(data, 3)
    low = energy(mind, made.values, made.commands, 0.0)
    assert low.shape == (16,)
    for kind in KINDS[:2]:
        high = energy(mind, *made.incompatible(kind), 0.0)
        assert float((high > low).float().mean()) > 0.5
    drawn = surfaces(mind, data, 0.0, grid=9)
    assert [s.name for s in drawn] == ["joint_angle", "joint_speed", "fingertip"]
    for surface in drawn:
        assert surface.energy.shape == (9, 9)
        at = divmod(int(surface.energy.argmin()), 9)
        assert all(1 <= i <= 7 for i in at), "what came is in the middle, and fits"


def test_horizons_go_from_one_tick_to_the_plans() -> None:
    assert horizons(12) == [1, 3, 12]
    assert horizons(1) == [1]
