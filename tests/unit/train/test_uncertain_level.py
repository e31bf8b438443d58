"""A level above learns a world that flips a coin: with a latent variable it foresees both sides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from agent.train.coarse import Coarse, Viewpoint
from modules.world_model.abstraction import Level
from modules.world_model.latents.discrete import Discrete
from modules.world_model.latents.noised import Noised
from modules.world_model.learn import Learner
from modules.world_model.objectives.detail import Detail
from modules.world_model.objectives.prediction import Prediction
from modules.world_model.objectives.vicreg import VICReg

TICKS, STEPS = 2, 500
SEEN = Layout((Channel("x", 1, "m"),))
BODY = Layout((Channel("motor", 1, "", (-1.0,), (1.0,)),))
SITE = Site(SEEN, BODY, 10.0, 2, SEEN)
HIDDEN: dict[str, Any] = {
    "discrete": lambda site: Discrete(Discrete.Config(codes=16, draws=8), site),
    "noised": lambda site: Noised(Noised.Config(capacity=1.0, draws=8), site),
    "none": None,
}
"""Of few codes, all but one may be given up before the fork is seen: hence 16."""


def coins(episodes: int, seed: int) -> Coarse:
    """Return steps of a level from near 0 to one metre left or right, a coin says which, and back.

    Latents below are the place and how far the step is; what the motor does changes nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    start = 0.2 * torch.rand(episodes, 1, generator=generator) - 0.1
    side = 2.0 * torch.randint(2, (episodes, 1), generator=generator) - 1.0
    way = torch.tensor([0.0, 0.5, 1.0, 0.5, 0.0])
    x = start + side * way
    phase = torch.tensor([-1.0, 0.0, 1.0, 0.0, -1.0]).expand_as(x)
    motor = 2.0 * torch.rand(episodes, len(way) - 1, 1, generator=generator) - 1.0
    return Coarse(torch.stack((x, x, phase), dim=-1), motor, 1, TICKS)


def driven(episodes: int, seed: int) -> Coarse:
    """Return the same, but it is the motor that says how far each tick goes, and no coin."""
    generator = torch.Generator().manual_seed(seed)
    motor = 2.0 * torch.rand(episodes, 4, 1, generator=generator) - 1.0
    start = 0.2 * torch.rand(episodes, 1, 1, generator=generator) - 0.1
    x = torch.cat((start, start + 0.5 * motor.cumsum(dim=1)), dim=1)
    return Coarse(torch.cat((x, x, torch.zeros_like(x)), dim=-1), motor, 1, TICKS)


def trained(
    hidden: str, residual: bool = False, world: Callable[[int, int], Coarse] = coins
) -> tuple[Level, dict[str, float]]:
    """Return a level after some seconds of the training that every level gets, and its figures."""
    torch.manual_seed(1)
    config = Level.Config(ticks=TICKS, latent=3, macro=1, hidden=32, width=32, members=2, horizon=1)
    level = Level(config, SITE, 1, HIDDEN[hidden])
    parts = [
        Prediction(Prediction.Config(), level.site),
        VICReg(VICReg.Config(), level.site),
        Detail(Detail.Config(weight=10.0), level.site),
    ]
    settings = Learner.Config(steps=STEPS, batch=64, horizon=1, residual=residual)
    learner = Learner(settings, Viewpoint(level, 1), level, parts, 1)
    for index in range(STEPS):
        learner.step(index, world(256, index))
    return level.requires_grad_(False), learner.evaluate(world(512, STEPS), 1)


def probe(level: Level) -> Tensor:
    """Return the linear map [Z+1 1] from the level's latents to the place."""
    seen = coins(512, 77).values[:, ::TICKS].flatten(0, 1)
    latents = level.abstract(seen[:, 1:])
    return torch.linalg.lstsq(_affine(latents), seen[:, :1]).solution


def _affine(latents: Tensor) -> Tensor:
    return torch.cat((latents, torch.ones_like(latents[..., :1])), dim=-1)


def ends(level: Level) -> Tensor:
    """Return where futures end [F n] in which the motor rests, from n places near 0."""
    below = torch.stack((torch.linspace(-0.08, 0.08, 9), -torch.ones(9)), dim=-1)
    ahead = level.imagine(level.abstract(below), torch.zeros(9, 1, 1, 1)).latents
    return (_affine(ahead[:, :, 0, 0]) @ probe(level))[..., 0]


@pytest.mark.parametrize("hidden", ["discrete", "noised"])
def test_draws_cover_both_sides_of_a_coin(hidden: str) -> None:
    level, figures = trained(hidden)
    places = ends(level)
    assert places.shape == (2 * 8, 9)
    for side in (places > 0.5, places < -0.5):
        assert bool((side.float().mean(dim=0) >= 0.1).all())
    assert bool((places.amax(dim=0) > 0.75).all())
    assert bool((places.amin(dim=0) < -0.75).all())
    assert figures["information_z"] > 0.1


def test_a_level_without_one_foresees_a_place_in_between() -> None:
    level, figures = trained("none")
    places = ends(level)
    assert places.shape == (2, 9)
    assert float(places.abs().max()) < 0.25
    assert figures["information_z"] == 0.0


def untold(level: Level, world: Callable[[int, int], Coarse]) -> float:
    """Return how far one step with z = 0 misses, in shares of how far it goes."""
    seen, done = world(512, 99).windows(512, 1, torch.Generator().manual_seed(0))
    latents, moves = level.abstract(seen[..., 1:]), level.compress(done)
    nothing = torch.zeros(1, len(seen), 1, 1, level.latent_variable.size)
    ahead = level.imagine(latents[:, 0], moves[:, None], nothing).latents[:, :, 0, 0]
    missed = (ahead - latents[:, 1]).square().sum(dim=-1).mean()
    return float((missed / (latents[:, 1] - latents[:, 0]).square().sum(dim=-1).mean()).sqrt())


@pytest.mark.parametrize("hidden", ["discrete", "noised"])
def test_with_residual_z_takes_over_nothing_that_an_action_says(hidden: str) -> None:
    level, _ = trained(hidden, residual=True, world=driven)
    assert untold(level, driven) < 0.1


def test_without_it_z_does() -> None:
    level, _ = trained("noised", world=driven)
    assert untold(level, driven) > 0.1


def test_with_residual_draws_cover_both_sides_of_a_coin_and_none_is_the_middle() -> None:
    level, figures = trained("noised", residual=True)
    places = ends(level)
    assert bool((places.amax(dim=0) > 0.75).all())
    assert bool((places.amin(dim=0) < -0.75).all())
    assert figures["information_z"] > 0.1
    latents = level.abstract(torch.tensor([[0.0, -1.0]]))
    still = torch.zeros(1, 1, 1, 1)
    ahead = level.imagine(latents, still, torch.zeros(1, 1, 1, 1, 1)).latents[:, :, 0, 0]
    assert float((_affine(ahead) @ probe(level)).abs().max()) < 0.35
