"""What every latent variable promises: rows apart, information counted, futures that differ."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.config.resolve import resolve
from agent.core.settings import Settings
from modules.world_model.jepa import JEPA
from tests.contract.stand import built, cases, mind, stir

EVERY = pytest.mark.parametrize(("slot", "name"), cases("latent_variable"))
B, K, H = 3, 2, 5


def question(slot: str, name: str) -> tuple[Any, Tensor, Tensor, Tensor, Any]:
    """Return the part, states, actions, next states and an energy that depends on z."""
    made, part = mind(slot, name), built(slot, name)
    generator = torch.Generator().manual_seed(2)
    states, after = torch.randn(2, B, K, made.site.latent, generator=generator)
    actions = torch.randn(B, K, made.site.actuators.size, generator=generator)
    way = torch.randn(part.size, made.site.latent, generator=generator)
    return part, states, actions, after, lambda z: (states + z @ way - after).square().mean(dim=-1)


@EVERY
def test_it_says_what_it_is(slot: str, name: str) -> None:
    kind, part = resolve(slot, name), built(slot, name)
    assert issubclass(kind.Config, Settings)
    assert kind.__doc__
    assert part.size >= 1
    assert part.draws >= 1


@EVERY
def test_it_infers_one_z_and_its_nats_for_every_row(slot: str, name: str) -> None:
    part, states, actions, after, step = question(slot, name)
    z, nats = part.infer(states, actions, after, step)
    assert z.shape == (B, K, part.size)
    assert nats.shape == (B, K)
    assert bool((nats >= -1e-6).all())
    again = part.infer(states, actions, after, step)
    assert torch.equal(z, again[0])
    assert torch.equal(nats, again[1])
    one = part.infer(states, actions, after, step, 3)
    other = part.infer(states, actions, after, step, 3)
    assert torch.equal(one[0], other[0])
    penalty = part.penalty(nats)
    assert penalty.shape == ()
    assert float(penalty.detach()) >= 0


@EVERY
def test_its_information_trains_it_and_not_the_codes(slot: str, name: str) -> None:
    part, states, actions, after, step = question(slot, name)
    part.requires_grad_(True)
    states.requires_grad_(True)
    after.requires_grad_(True)
    part.penalty(part.infer(states, actions, after, step, 1)[1]).backward()
    assert states.grad is None
    assert after.grad is None
    assert any(bool((p.grad != 0).any()) for p in part.parameters())


@EVERY
def test_rows_are_drawn_and_inferred_alone(slot: str, name: str) -> None:
    part, states, actions, _, _ = question(slot, name)
    share = torch.rand(B, K, generator=torch.Generator().manual_seed(1))
    whole = part.sample(states, actions, share)
    assert whole.shape == (B, K, part.size)
    alone = part.sample(states[1:2], actions[1:2], share[1:2])
    torch.testing.assert_close(alone, whole[1:2])
    assert bool(torch.isfinite(whole).all())


@EVERY
def test_a_sweep_tries_values_that_share_the_prior(slot: str, name: str) -> None:
    part, states, actions, _, _ = question(slot, name)
    values, nats = part.sweep(states, actions)
    assert values.shape == (len(values), B, K, part.size)
    assert nats.shape == values.shape[:-1]
    torch.testing.assert_close((-nats).exp().sum(dim=0), torch.ones(B, K))


@EVERY
def test_its_weights_can_be_kept_and_put_back(slot: str, name: str) -> None:
    part = built(slot, name)
    kept = copy.deepcopy(part.state_dict())
    stir(part, torch.Generator().manual_seed(5))
    assert any(not torch.equal(v, kept[k]) for k, v in part.state_dict().items())
    part.load_state_dict(kept)
    assert all(torch.equal(v, kept[k]) for k, v in part.state_dict().items())


@EVERY
def test_a_model_with_it_imagines_draws_of_every_network_and_what_it_is_told(
    slot: str, name: str
) -> None:
    made = mind(slot, name)
    model, part = made.world_model, made.world_model.latent_variable
    assert isinstance(model, JEPA)
    assert model.members == model.ensemble * part.draws
    generator = torch.Generator().manual_seed(4)
    state = torch.randn(B, made.site.latent, generator=generator)
    actions = torch.randn(B, K, H, made.site.actuators.size, generator=generator)
    seen = model.imagine(state, actions).latents
    assert seen.shape == (model.members, B, K, H, made.site.latent)
    assert torch.equal(model.imagine(state, actions).latents, seen)
    shorter = model.imagine(state, actions[:, :, :2]).latents
    torch.testing.assert_close(shorter, seen[..., :2, :])
    others = actions.clone()
    others[1:] += 1.0
    alone = model.imagine(torch.cat((state[:1], state[1:] + 1)), others).latents
    torch.testing.assert_close(alone[:, 0], seen[:, 0])
    with torch.no_grad():
        torch.testing.assert_close(model.imagine(state, actions).latents, seen)
    z = part.sweep(state, actions[:, 0, 0])[0][:, :, None, None].expand(-1, -1, K, H, -1)
    told = model.imagine(state, actions, z).latents
    assert told.shape == (model.ensemble * len(z), B, K, H, made.site.latent)
    states = state.expand(model.ensemble, -1, -1)
    for h in range(H):
        move, value = actions[:, 0, h], z[-1, :, 0, h]
        expand = (model.ensemble, -1, -1)
        states = model.step(states, move.expand(expand), value.expand(expand))
        own = told.unflatten(0, (model.ensemble, len(z)))[:, -1, :, 0, h]
        torch.testing.assert_close(states, own, atol=1e-5, rtol=1e-5)


@EVERY
def test_a_forecast_keeps_the_two_kinds_of_not_knowing_apart(slot: str, name: str) -> None:
    made = mind(slot, name)
    model = made.world_model
    latent = torch.randn(B, made.site.latent, generator=torch.Generator().manual_seed(4))
    told = model.forecast(latent, torch.zeros(B, made.site.actuators.size))
    ahead = model.imagine(latent, torch.zeros(B, 1, 1, made.site.actuators.size)).latents
    apart = ahead[:, :, 0, 0].unflatten(0, (model.ensemble, -1))
    torch.testing.assert_close(told.latent, apart.mean(dim=(0, 1)))
    wide = apart.mean(dim=0).var(dim=0, correction=0).sum(dim=-1).sqrt()
    torch.testing.assert_close(told.z_spread, wide)
    assert bool((told.spread > 0).all())
