"""Latent variables at their limits, the energy over them, and a coin that no state shows."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.perception.state import StatePerception
from modules.world_model.energy import energies
from modules.world_model.jepa import JEPA
from modules.world_model.latents.discrete import Discrete
from modules.world_model.latents.noised import Noised
from modules.world_model.learn import Learner
from modules.world_model.objectives.prediction import Prediction
from modules.world_model.objectives.vicreg import VICReg

SENSORS = Layout((Channel("place", 2, "m"),))
SITE = Site(
    SENSORS, Layout((Channel("push", 1, "N", (-1.0,), (1.0,)),)), 10.0, 4,
    Layout((SENSORS.channel("place"),)),
)  # fmt: skip


def model(variable: Any = None) -> JEPA:
    """Return a small seeded model."""
    torch.manual_seed(0)
    return JEPA(JEPA.Config(members=2, width=32), SITE, variable)


def discrete(**settings: Any) -> Discrete:
    torch.manual_seed(1)
    return Discrete(Discrete.Config(**settings), SITE)


def windows(rows: int = 6, ticks: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    latents = torch.randn(rows, ticks + 1, 4, generator=generator)
    return latents, torch.rand(rows, ticks, 1, generator=generator) * 2 - 1


def test_without_one_nothing_is_added() -> None:
    names = {
        f"{layer}.{kind}" for layer in ("first", "second", "third") for kind in ("weight", "bias")
    }
    assert set(model().state_dict()) == names | {"spread_scale"}
    latents, actions = windows()
    assert model().explain(latents, actions) is None
    with pytest.raises(AssertionError, match="no latent variable"):
        model().imagine(latents[:, 0], actions[:, None], torch.zeros(1, 6, 1, 3, 1))


def test_a_single_code_says_nothing() -> None:
    one = discrete(codes=1)
    latents, actions = windows()
    z, nats = one.infer(latents[:, 0], actions[:, 0], latents[:, 1], lambda z: z[:, 0])
    assert torch.equal(z, torch.ones(6, 1))
    assert torch.equal(nats, torch.zeros(6))
    futures = model(one).imagine(latents[:, 0], actions[:, None]).latents
    futures = futures.unflatten(0, (2, one.draws))
    assert torch.equal(futures, futures[:, :1].expand_as(futures))


def test_the_code_of_least_energy_and_price_is_taken() -> None:
    part = discrete(codes=3, price=0.5)
    latents, actions = windows(50, 1)
    states, after = latents[:, 0], latents[:, 1]
    ways = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))

    def energy(z: Tensor) -> Tensor:
        return (states + z @ ways - after).square().mean(dim=-1)

    z, nats = part.infer(states, actions[:, 0], after, energy)
    logs, nats = part._logs(states, actions[:, 0]).detach(), nats.detach()
    for row in range(50):
        price = [
            float((states[row] + ways[k] - after[row]).square().mean() - 0.5 * logs[row, k])
            for k in range(3)
        ]
        assert int(z[row].argmax()) == price.index(min(price))
        assert float(nats[row]) == pytest.approx(-float(logs[row, z[row].argmax()]))
    dear = discrete(codes=3, price=1e6)
    likely = dear.infer(states, actions[:, 0], after, energy)[0]
    assert torch.equal(likely.argmax(-1), logs.argmax(-1))


def test_codes_are_drawn_as_often_as_the_prior_says() -> None:
    part = discrete(codes=4)
    with torch.no_grad():
        part.prior[-1].bias.copy_(torch.tensor([0.0, 1.0, -1.0, 0.5]))
    state, action = torch.zeros(1000, 4), torch.zeros(1000, 1)
    share = (torch.arange(1000) + 0.5) / 1000
    often = part.sample(state, action, share).mean(dim=0)
    torch.testing.assert_close(often, part._logs(state, action).exp()[0], atol=2e-3, rtol=0)


def test_the_nats_of_a_noised_one_are_its_divergence_from_the_prior() -> None:
    torch.manual_seed(1)
    part = Noised(Noised.Config(), SITE)
    latents, actions = windows()
    asked = (latents[:, 0], actions[:, 0], latents[:, 1], lambda z: z[:, 0])
    mean, nats = part.infer(*asked)
    blurred = torch.stack([part.infer(*asked, seed)[0] for seed in range(4000)])
    normal = Normal(blurred.mean(dim=0), blurred.std(dim=0))
    torch.testing.assert_close(blurred.mean(dim=0), mean, atol=0.1, rtol=0)
    torch.testing.assert_close(
        kl_divergence(normal, Normal(0.0, 1.0))[:, 0], nats, atol=0.05, rtol=0.05
    )
    assert float(part.penalty(torch.full((3,), part.config.capacity)).detach()) == 0.0


def test_energy_is_the_least_over_z_and_soft_ones_tend_to_it() -> None:
    part = discrete(codes=3)
    world = model(part)
    latents, actions = windows(20, 1)
    hard = energies(world, latents, actions)[:, 0]
    each = []
    for k in range(3):
        z = torch.eye(3)[k].expand(1, 20, 1, 1, 3)
        ahead = world.imagine(latents[:, 0], actions[:, None], z).latents[:, :, 0, 0]
        each.append((ahead - latents[:, 1]).square().mean(dim=(0, 2)))
    torch.testing.assert_close(hard, torch.stack(each).amin(dim=0))
    nearly = energies(world, latents, actions, 1e-4)[:, 0]
    torch.testing.assert_close(nearly, hard, atol=1e-3, rtol=0)
    weights = part._logs(latents[:, 0], world.scaled(actions[:, 0])).exp().T
    average = (weights * torch.stack(each)).sum(dim=0)
    torch.testing.assert_close(
        energies(world, latents, actions, 1e4)[:, 0], average, atol=2e-3, rtol=1e-3
    )
    assert bool((energies(world, latents, actions, 0.1)[:, 0] >= hard - 1e-6).all())


def test_energy_without_z_is_the_prediction_error() -> None:
    latents, actions = windows()
    ahead = model().imagine(latents[:, 0], actions[:, None]).latents[:, :, 0]
    wanted = (ahead - latents[:, 1:]).square().mean(dim=(0, 3))
    torch.testing.assert_close(energies(model(), latents, actions), wanted)
    assert torch.equal(
        energies(model(), latents, actions, 0.3), energies(model(), latents, actions)
    )


def test_what_was_imagined_with_a_code_is_explained_by_it() -> None:
    part = discrete(codes=3, price=0.0)
    world = model(part)
    with torch.no_grad():
        world.third.weight.mul_(20.0)
        for layer in (world.first, world.second, world.third):
            layer.weight[1] = layer.weight[0]
    latents, actions = windows(20, 4)
    codes = torch.randint(3, (20, 4), generator=torch.Generator().manual_seed(3))
    z = torch.nn.functional.one_hot(codes, 3).float()[None, :, None]
    told = world.imagine(latents[:, 0], actions[:, None], z).latents[0, :, 0]
    assert torch.equal(world.explain(torch.cat((latents[:, :1], told), dim=1), actions), z)


class Coin:
    """Episodes of a place that moves forward by 0.5 and, by a coin's toss, 1 left or 1 right."""

    def windows(self, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        first = torch.randn(count, 1, 2, generator=generator) * 3
        toss = torch.randint(2, (count, length), generator=generator) * 2.0 - 1.0
        moves = torch.stack((torch.full_like(toss, 0.5), toss), dim=-1)
        commands = torch.rand(count, length, 1, generator=generator) * 2 - 1
        return torch.cat((first, first + moves.cumsum(dim=1)), dim=1), commands


def tossed(variable: Any) -> tuple[Tensor, dict[str, float]]:
    """Return where a model trained on `Coin` imagines to be next, sideways [F], from 0."""
    torch.manual_seed(0)
    eyes, world = StatePerception(StatePerception.Config(width=32), SITE), model(variable)
    config = Learner.Config(steps=600, batch=64, horizon=2, rate=5e-3)
    learner = Learner(config, eyes, world, [Prediction(Prediction.Config(), SITE),
                                            VICReg(VICReg.Config(), SITE)])  # fmt: skip
    coin = Coin()
    values, _ = coin.windows(512, 2, torch.Generator().manual_seed(9))
    eyes.fit_normaliser(values)
    figures = {}
    for index in range(config.steps):
        figures = learner.step(index, coin)
    with torch.no_grad():
        flat = eyes.encode(values).reshape(-1, 4)
        rows = torch.cat((flat, torch.ones(len(flat), 1)), dim=1)
        read = torch.linalg.lstsq(rows, values.reshape(-1, 2)).solution
        ahead = world.imagine(eyes.encode(torch.zeros(1, 2)), torch.zeros(1, 1, 1, 1)).latents
        ahead = ahead[:, 0, 0, 0]
        where: Tensor = (torch.cat((ahead, torch.ones(len(ahead), 1)), dim=1) @ read)[:, 1]
    return where, figures


def test_a_discrete_one_imagines_both_futures_and_none_between() -> None:
    where, figures = tossed(discrete(codes=3, draws=8))
    assert int((where > 0.5).sum()) >= 4
    assert int((where < -0.5).sum()) >= 4
    assert bool((where.abs() > 0.5).all())
    assert figures["information_z"] == pytest.approx(math.log(2), abs=0.1)


@pytest.mark.parametrize("price", [0.01, 0.03])
def test_a_price_that_warms_up_kills_no_code(price: float) -> None:
    where, figures = tossed(discrete(codes=3, draws=8, price=price))
    assert min(int((where > 0.5).sum()), int((where < -0.5).sum())) >= 4
    assert figures["information_z"] == pytest.approx(math.log(2), abs=0.1)


def test_without_one_the_futures_are_averaged() -> None:
    where, figures = tossed(None)
    assert bool((where.abs() < 0.3).all())
    assert "information_z" not in figures or figures["information_z"] == 0.0


def test_a_noised_one_imagines_both_futures_at_the_capacity_it_was_given() -> None:
    torch.manual_seed(1)
    where, figures = tossed(Noised(Noised.Config(capacity=1.0, draws=8), SITE))
    assert int((where > 0.5).sum()) >= 3
    assert int((where < -0.5).sum()) >= 3
    assert figures["information_z"] == pytest.approx(1.0, abs=0.2)


def test_a_noised_one_of_no_capacity_averages() -> None:
    torch.manual_seed(1)
    where, figures = tossed(Noised(Noised.Config(capacity=0.0, draws=8, weight=10.0), SITE))
    assert bool((where.abs() < 0.5).all())
    assert figures["information_z"] < 0.05
