"""Adapting: surprised by another body it corrects commands, and forgets neither body."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.config import schema
from agent.config.build import blueprint
from agent.core.protocols import Site
from modules.world_model.adapting import Adapting
from modules.world_model.jepa import JEPA
from tests.tiny import REACH, TINY
from worlds.reach.world import ACTUATORS, SENSORS

SITE = Site(SENSORS, ACTUATORS, 20.0, 6, SENSORS)


def pair(**settings: Any) -> tuple[Adapting, JEPA]:
    """Return an adapting model and a `jepa` of the same weights, whose members nearly agree."""
    torch.manual_seed(0)
    truth = JEPA(JEPA.Config(width=16), SITE)
    with torch.no_grad():
        for weight in truth.parameters():
            weight.copy_(weight[:1] + 0.02 * weight)
        truth.third.weight.mul_(10.0)
    truth.requires_grad_(False)
    model = Adapting(Adapting.Config(width=16, prior=1e-3, caution=1.0, **settings), SITE)
    model.load_state_dict(truth.state_dict())
    return model.requires_grad_(False), truth


def live(model: Adapting, truth: JEPA, gain: float, ticks: int, seed: int = 0) -> list[float]:
    """Let `ticks` pass in a body that does `gain` times what it is told; return the errors."""
    draw, errors = torch.Generator().manual_seed(seed), []
    state = torch.randn(1, 6, generator=draw)
    for _ in range(ticks):
        told = 3.0 * (2 * torch.rand(1, 2, generator=draw) - 1)
        after = truth.forecast(state, gain * told).latent
        errors.append(float((model.forecast(state, told).latent - after).square().sum()))
        model.notice(state, told, after)
        state = torch.randn(1, 6, generator=draw)
    return errors


def some() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(3, 6, generator=draw), 6 * torch.rand(3, 5, 4, 2, generator=draw) - 3


def test_unsurprised_it_is_the_jepa_bit_for_bit() -> None:
    model, truth = pair()
    live(model, truth, 1.0, 40)
    state, actions = some()
    assert model.active == 0
    assert len(model.contexts) == 1
    with torch.no_grad():
        assert torch.equal(
            model.imagine(state, actions).latents, truth.imagine(state, actions).latents
        )
    assert model.state_dict().keys() == truth.state_dict().keys()


def test_another_gain_is_learned_and_the_weights_stay() -> None:
    model, truth = pair()
    errors = live(model, truth, 0.5, 150)
    assert model.active == 1
    assert sum(errors[-30:]) < 0.1 * sum(errors[:10]) * 3
    for name, value in model.state_dict().items():
        assert torch.equal(value, truth.state_dict()[name])


def test_the_old_world_is_not_forgotten_and_the_new_one_is_remembered() -> None:
    model, truth = pair()
    live(model, truth, 0.5, 150)
    back = live(model, truth, 1.0, 30, seed=1)
    assert model.active == 0
    assert back[-1] < 1e-9
    again = live(model, truth, 0.5, 30, seed=2)
    assert model.active == 1
    assert len(model.contexts) == 2
    assert sum(again[-10:]) < 0.1 * sum(again[:5]) * 2


def test_contexts_survive_an_episode_and_end_with_a_life() -> None:
    model, truth = pair()
    live(model, truth, 0.5, 60)
    weight = model.contexts[1].weight
    model.reset(1)
    assert model.active == 1
    assert model.surprise() == 0.0
    assert torch.equal(model.contexts[1].weight, weight)
    model.forget()
    assert (model.active, len(model.contexts)) == (0, 1)


def test_no_more_contexts_than_stated_and_never_without_the_first() -> None:
    model, truth = pair(contexts=2, lessons=10)
    for index, gain in enumerate((0.5, -0.5, 0.2, -1.0)):
        live(model, truth, gain, 60, seed=index)
    assert len(model.contexts) == 3
    assert not model.contexts[0].weight.any()
    live(model, truth, 1.0, 40, seed=9)
    assert model.active == 0


def test_imagination_is_the_same_with_gradients_and_without() -> None:
    model, truth = pair(chunk=4)
    live(model, truth, 0.5, 60)
    state, actions = some()
    with torch.no_grad():
        fast = model.imagine(state, actions).latents
        plain = truth.imagine(state, actions).latents
    slow = model.imagine(state, actions.requires_grad_(True)).latents
    assert torch.allclose(fast, slow, atol=1e-5)
    assert not torch.allclose(fast, plain, atol=1e-2)


def test_a_correction_never_leaves_the_trained_range() -> None:
    model, truth = pair()
    live(model, truth, 0.5, 60)
    model.contexts[1].weight.fill_(1e3)
    states = torch.rand(3, 1, 6)
    assert torch.equal(
        model.step(states, torch.ones(3, 1, 2)), truth.step(states, torch.full((3, 1, 2), 3.0))
    )


def test_what_is_not_finite_teaches_nothing() -> None:
    model, truth = pair()
    live(model, truth, 0.5, 60)
    weight = model.contexts[1].weight.clone()
    for _ in range(30):
        model.notice(torch.zeros(1, 6), torch.zeros(1, 2), torch.full((1, 6), torch.nan))
    assert (model.active, len(model.contexts)) == (1, 2)
    assert torch.equal(model.contexts[1].weight, weight)


def test_an_adaptation_that_fails_is_dropped_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model, truth = pair()
    live(model, truth, 0.5, 60)
    kept = model.contexts[1]

    def broken(matrix: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full_like(right, torch.nan), torch.zeros((), dtype=torch.int32)

    monkeypatch.setattr(torch.linalg, "solve_ex", broken)
    with caplog.at_level(logging.WARNING):
        live(model, truth, -1.0, 30, seed=5)
    assert model.contexts[1] is kept
    assert "the last good one stays" in caplog.text


def test_guardrails_follow_the_adapted_model_and_stay_sealed(tensors: dict[str, Tensor]) -> None:
    mind = blueprint(schema.load(REACH, [*TINY, "world_model.use=adapting"])).assemble(tensors)
    seal, draw = mind.guardrails.seal, torch.Generator().manual_seed(0)
    state = torch.randn(2, 24, generator=draw)
    actions = 4 * torch.rand(2, 3, 8, 2, generator=draw) - 2
    with torch.no_grad():
        before = mind.objective.guard(state, actions)
        for _ in range(20):
            mind.world_model.notice(state, actions[:, 0, 0], state + 3.0)
        assert mind.world_model.active
        assert not torch.equal(before, mind.objective.guard(state, actions))
    assert mind.guardrails.verify()
    assert mind.guardrails.seal == seal
