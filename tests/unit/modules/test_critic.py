"""The critic: an ensemble with mean and spread, trained from memory, whose slopes reach actions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.core.errors import InputError
from agent.core.guardrails import Guardrails
from agent.core.messages import Directive
from agent.core.objective import GuardedObjective
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from agent.train.dataset import Dataset
from agent.train.progress import silent
from agent.train.stages import fit_critic
from modules.actor.gradient import Gradient
from modules.cost.composite import CompositeCost
from modules.cost.critics.td_lambda import TDLambdaCritic
from modules.memory.episodic import EpisodicMemory
from tests.toys import ACTUATORS, Adding, Below, Place

PLACE = Layout((Channel("place", 2, "m"),))
SITE = Site(PLACE, ACTUATORS, 20.0, 2, PLACE)


class Seeing:
    """A perception that is none: the latent is what sensors show."""

    def encode(self, values: Tensor) -> Tensor:
        return values


def walks(episodes: int = 48, ticks: int = 40) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    steps = torch.randn(episodes, ticks + 1, 2, generator=generator) * 0.2
    return Dataset(steps.cumsum(dim=1).clamp(-1, 1), torch.zeros(episodes, ticks, 2))


def trained(**settings: Any) -> TDLambdaCritic:
    """Return a critic of walks on which it hurts to be at the right."""
    torch.manual_seed(0)
    critic = TDLambdaCritic(TDLambdaCritic.Config(steps=300, **settings), SITE)
    memory = EpisodicMemory(EpisodicMemory.Config(capacity=64), SITE)

    def hurts(values: Tensor, commands: Tensor) -> Tensor:
        return (values[..., 0] > 0.3).float()

    fit_critic(critic, memory, Seeing(), walks(), hurts, silent())
    return critic.requires_grad_(False)


def test_it_learns_from_short_term_memory_and_from_no_more_than_it_holds() -> None:
    torch.manual_seed(0)
    critic = TDLambdaCritic(TDLambdaCritic.Config(steps=3), SITE)
    memory = EpisodicMemory(EpisodicMemory.Config(capacity=16), SITE)
    told: list[Tensor] = []
    real = critic.fit
    critic.fit = lambda latents, *rest, **more: told.append(latents) or real(latents, *rest)  # type: ignore
    data = walks()
    fit_critic(critic, memory, Seeing(), data, lambda v, c: v[..., 0].abs(), silent())
    assert torch.equal(told[0], data.values[:, -16:]), "the last ticks, as memory kept them"


def test_its_mean_and_spread_are_those_of_its_members() -> None:
    critic = trained(members=4)
    places = torch.tensor([[0.9, 0.0], [-0.9, 0.0], [30.0, -30.0]])
    each = critic.views(places)
    assert each.shape == (4, 3)
    torch.testing.assert_close(critic.anticipate(places), each.mean(dim=0))
    torch.testing.assert_close(critic.spread(places), each.std(dim=0, correction=0))
    ahead, doubt = critic.anticipate(places), critic.spread(places)
    assert float(ahead[0]) > 2 * float(ahead[1]), "it hurts at the right"
    assert float(doubt[2]) > 3 * float(doubt[:2].max()), "where nobody was they disagree"


def test_caution_expects_the_worse_and_none_changes_nothing() -> None:
    plain, wary = trained(), trained(caution=2.0)
    places = torch.linspace(-1, 1, 7)[:, None].expand(-1, 2)
    torch.testing.assert_close(
        wary.anticipate(places), plain.anticipate(places) + 2 * plain.spread(places)
    )
    assert torch.equal(plain.anticipate(places), plain.views(places).mean(dim=0))
    assert set(plain.state_dict()) == set(wary.state_dict())


def judged(critic: Any) -> GuardedObjective:
    rails = Guardrails((Below(9.0),), Place().requires_grad_(False))
    cost = CompositeCost(CompositeCost.Config(anticipation=1.0), SITE, [], Place(), critic)
    return GuardedObjective(Adding(), cost, rails)  # type: ignore[arg-type]


def test_gradients_flow_through_it_to_the_actions() -> None:
    objective, rows = judged(trained()), torch.ones(1, 1)
    asked = Directive(torch.zeros(1, 2), rows, rows, torch.full((1,), 2), 4)
    actions = torch.full((1, 1, 4, 2), 0.1, requires_grad=True)
    _, bill = objective(torch.zeros(1, 2), actions, asked)
    (slopes,) = torch.autograd.grad(bill.energy.sum(), actions)
    assert bool((slopes[..., 0] > 0).all()), "more to the right costs more, from the first action"
    site = Site(PLACE, ACTUATORS, 20.0, 2, PLACE, ("anticipation",), ("below",), objective)
    plan = Gradient(Gradient.Config(restarts=1, deviation=0.05), site).plan(
        torch.tensor([[0.4, 0.0]]), asked
    )
    assert float(plan.latents[0, -1, 0]) < 0.1, "the actor follows them away from what will hurt"


def test_what_is_learned_in_addition_keeps_the_size_of_energies() -> None:
    critic = trained(members=1).requires_grad_(True)
    size = critic.scale.clone()
    latents = torch.rand(32, 9, 2)
    paid, ended = torch.full((32, 8), 1e-3), torch.zeros(32, 8, dtype=torch.bool)
    before = critic.missed(latents, paid, ended)
    critic.fit(latents, paid, ended, anew=False)
    assert torch.equal(critic.scale, size)
    assert critic.missed(latents, paid, ended) < before
    critic.fit(latents, paid, ended)
    assert float(critic.scale) < float(size)


def test_of_ticks_after_an_end_no_more_are_learned_of_than_were_lived() -> None:
    """Half of the walks end soon, at a place that costs; elsewhere nothing costs anything."""
    plain = walks()
    plain.values[::2] = torch.tensor([0.9, 0.9])
    dead = torch.where(torch.arange(48) % 2 == 0, 8, 40)
    told: list[Tensor] = []

    def hurts(values: Tensor, commands: Tensor) -> Tensor:
        return (values == 0.9).all(dim=-1).float()

    for lived in (None, dead):
        torch.manual_seed(0)
        critic = TDLambdaCritic(TDLambdaCritic.Config(steps=300, discount=0.9), SITE)
        memory = EpisodicMemory(EpisodicMemory.Config(capacity=64), SITE)
        real = critic._descend
        critic._descend = lambda flat, *rest, real=real: told.append(flat) or real(flat, *rest)  # type: ignore
        fit_critic(critic, memory, Seeing(), replace(plain, lived=lived), hurts, silent())
        assert float(critic.anticipate(torch.tensor([0.9, 0.9])).detach()) > 3.0, (
            "it costs as long as ever"
        )
    first, last = told[0], told[-1]
    assert len(first) == 48 * 39
    assert len(last) == 24 * 39 + 24 * 16


def test_a_memory_that_forgets_lives_before_their_ends_is_refused() -> None:
    critic = TDLambdaCritic(TDLambdaCritic.Config(steps=3), SITE)
    memory = EpisodicMemory(EpisodicMemory.Config(capacity=16), SITE)
    ended = replace(walks(), lived=torch.full((48,), 5))
    with pytest.raises(
        InputError, match=r"memory.capacity: expected 40 or more, .* came 16; raise"
    ):
        fit_critic(critic, memory, Seeing(), ended, lambda v, c: v[..., 0], silent())
