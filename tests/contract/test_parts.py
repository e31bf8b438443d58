"""What terms, guardrails, readouts and critics promise, and the faculties of the six modules."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from agent.config.resolve import resolve
from agent.core.errors import InputError
from agent.core.messages import Directive, Rollout
from agent.core.risk import Risk
from agent.core.settings import Settings
from modules.world_model.views import Views
from tests.contract.stand import (
    built,
    cases,
    directive,
    grown,
    leaves,
    mind,
    rollout,
    rows,
    slopes,
    stir,
)

E, B, K, H = 3, 2, 4, 5
PARTS = pytest.mark.parametrize(
    ("slot", "name"),
    cases("term", "guardrail", "readouts", "critic", "perception", "world_model", "objective"),
)

COMPARING = {("term", "uncertainty"), ("term", "curiosity"), ("guardrail", "known")}
"""Parts that look at how members differ, and so need all of them."""


def doubled(part: Any) -> Any:
    return copy.deepcopy(part).double() if isinstance(part, nn.Module) else part


def question(slot: str, name: str) -> tuple[Any, dict[str, Tensor]]:
    """Return the part's faculty as a function of named float64 inputs, and such inputs."""
    made = mind(slot, name)
    part = doubled(built(slot, name))
    if slot == "term":
        seen, ask = rollout(made, E, B, K, H), directive(made, B, H)
        return (lambda x: part.energy(grown(seen, x), ask)), leaves(seen)
    if slot == "guardrail":
        seen = rollout(made, E, B, K, H)
        return (lambda x: part.value(grown(seen, x))), leaves(seen)
    generator = torch.Generator().manual_seed(2)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    latents = {"latents": draw(B, K, made.site.latent)}
    if slot == "readouts":
        return (lambda x: torch.cat(list(part.read(x["latents"]).values()), dim=-1)), latents
    if slot == "critic":
        return (lambda x: part.anticipate(x["latents"])), latents
    if slot == "objective":
        n, size = 3 * B * K, made.site.latent
        windows = {
            "latents": draw(n, H + 1, size),
            "targets": draw(n, H + 1, size),
            "predicted": draw(n, H, size),
            "commands": draw(n, H, made.site.actuators.size),
            "below": draw(n, H + 1, made.site.latent),
        }
        return (lambda x: part(Views(**x, seed=3))[0]), windows
    if slot == "perception":
        return (lambda x: part.encode(x["values"])), {"values": draw(B, K, made.site.sensors.size)}
    inputs = {
        "state": draw(B, made.site.latent),
        "actions": draw(B, K, H, made.site.actuators.size),
    }
    return (lambda x: part.imagine(x["state"], x["actions"]).latents), inputs


@PARTS
def test_it_has_settings_and_says_what_it_is(slot: str, name: str) -> None:
    kind = resolve(slot, name)
    assert issubclass(kind.Config, Settings)
    assert kind.__doc__


@PARTS
def test_it_is_a_function_that_leaves_its_input_alone(slot: str, name: str) -> None:
    function, inputs = question(slot, name)
    before = {n: v.clone() for n, v in inputs.items()}
    one, other = function(inputs), function(inputs)
    assert torch.equal(one, other)
    assert bool(torch.isfinite(one).all())
    assert one.dtype == torch.float64
    assert all(torch.equal(inputs[n], v) for n, v in before.items())
    again, _ = question(slot, name)
    assert torch.equal(again(inputs), one)


@PARTS
def test_gradients_match_finite_differences(slot: str, name: str) -> None:
    function, inputs = question(slot, name)
    mix = torch.randn(function(inputs).shape, generator=torch.Generator().manual_seed(1)).double()

    def scalar(x: dict[str, Tensor]) -> Tensor:
        answer: Tensor = (function(x) * mix).sum()
        return answer

    found = list(slopes(scalar, inputs))
    if (slot, name) == ("objective", "none"):
        assert not found
        return
    assert any(analytic != 0.0 for _, analytic, _ in found), "it depends on nothing it is given"
    for which, analytic, numeric in found:
        assert analytic == pytest.approx(numeric, rel=1e-4, abs=1e-5), which


@PARTS
def test_its_weights_can_be_kept_and_put_back(slot: str, name: str) -> None:
    part = built(slot, name)
    if not isinstance(part, nn.Module):
        assert not [v for v in vars(part).values() if isinstance(v, nn.Parameter | nn.Module)]
        return
    kept = copy.deepcopy(part.state_dict())
    stir(part, torch.Generator().manual_seed(5))
    assert any(not torch.equal(v, kept[k]) for k, v in part.state_dict().items())
    part.load_state_dict(kept)
    assert all(torch.equal(v, kept[k]) for k, v in part.state_dict().items())


@pytest.mark.parametrize(("slot", "name"), cases("term"))
def test_a_terms_energy_is_never_negative_and_one_per_step(slot: str, name: str) -> None:
    made, term = mind(slot, name), built(slot, name)
    assert term.kind in ("intrinsic", "task")
    assert isinstance(term.name, str)
    assert term.name
    assert term.weight >= 0
    for seed in range(5):
        wild = rollout(made, E, B, K, H, seed)
        wild = grown(wild, {n: 10.0**seed * v for n, v in leaves(wild).items()})
        energy = doubled(term).energy(wild, directive(made, B, H))
        assert energy.shape in ((E, B, K, H), (1, B, K, H))
        assert bool((energy >= 0).all())


@pytest.mark.parametrize(("slot", "name"), cases("term", "guardrail"))
def test_agents_candidates_and_members_are_judged_alone(slot: str, name: str) -> None:
    made, part = mind(slot, name), doubled(built(slot, name))
    seen, ask = rollout(made, E, B, K, H), directive(made, B, H)

    def judge(these: Rollout, ask: Directive) -> Tensor:
        if slot == "guardrail":
            value: Tensor = part.value(these)
            return value
        energy: Tensor = part.energy(these, ask)
        return energy

    whole = judge(seen, ask)
    alone = judge(rows(seen, slice(1, 2)), ask.rows(slice(1, 2)))
    torch.testing.assert_close(alone, whole[:, 1:])
    who = slice(None) if (slot, name) in COMPARING else slice(1, 2)
    one = dataclasses.replace(
        seen,
        actions=seen.actions[:, 2:3],
        latents=seen.latents[who, :, 2:3],
        quantities={n: q[who, :, 2:3] for n, q in seen.quantities.items()},
    )
    member = whole[who] if len(whole) == E else whole
    torch.testing.assert_close(judge(one, ask), member[:, :, 2:3])


@pytest.mark.parametrize(("slot", "name"), sorted(COMPARING))
def test_what_compares_members_refuses_a_model_that_does_not_tell_them_apart(
    slot: str, name: str
) -> None:
    made, part = mind(slot, name), built(slot, name)
    seen, ask = rollout(made, E, B, K, H, networks=0), directive(made, B, H)
    with pytest.raises(InputError, match=r"expected futures of a whole number of networks"):
        part.value(seen) if slot == "guardrail" else part.energy(seen, ask)
    alone = rollout(made, 1, B, K, H, networks=1)
    least = part.value(alone) if slot == "guardrail" else part.energy(alone, ask)
    whole = rollout(made, E, B, K, H)
    most = part.value(whole) if slot == "guardrail" else part.energy(whole, ask)
    seeks = -1.0 if name == "curiosity" else 1.0
    assert bool((seeks * least < seeks * most[:1]).all()), "with one network none disagrees"


@pytest.mark.parametrize(("slot", "name"), cases("guardrail"))
def test_a_guardrail_has_one_value_per_step_and_both_signs(slot: str, name: str) -> None:
    made, rail = mind(slot, name), built(slot, name)
    assert isinstance(rail.name, str)
    assert rail.name
    signs = set()
    for size in (0.0, 1e-3, 1.0, 1e3):
        seen = rollout(made, E, B, K, H)
        seen = grown(seen, {n: size * v for n, v in leaves(seen).items()})
        value = rail.value(seen)
        assert value.shape == (E, B, K, H)
        signs |= set((value > 0).flatten().tolist())
    assert signs == {True, False}, "a guardrail that nothing or everything satisfies guards nothing"


@pytest.mark.parametrize(("slot", "name"), cases("readouts"))
def test_readouts_have_the_sensors_names_and_sizes(slot: str, name: str) -> None:
    made, part = mind(slot, name), built(slot, name)
    read = part.read(torch.zeros(2, 3, made.site.latent))
    assert set(read) == set(part.layout.names) == set(part.error())
    for channel in part.layout.channels:
        assert read[channel.name].shape == (2, 3, channel.size)
        assert made.site.sensors.channel(channel.name).unit == channel.unit
    assert all(error >= 0 for error in part.error().values())


@pytest.mark.parametrize(("slot", "name"), cases("objective"))
def test_an_objective_is_a_scalar_with_figures_that_reaches_the_encoder(
    slot: str, name: str
) -> None:
    part = built(slot, name)
    assert isinstance(part.predicts, bool)
    assert part.config.weight > 0
    _, inputs = question(slot, name)
    inputs = {n: v.float() for n, v in inputs.items()}
    codes = inputs["latents"].requires_grad_(True)
    ahead = 0.9 * codes[:, :-1] + 0.1 * inputs["predicted"]
    other = 0.9 * codes + 0.1 * codes.roll(1, dims=0)
    commands = inputs["commands"].requires_grad_(name == "macro")  # what a level learns to code
    penalty, figures = part(Views(codes, other, ahead, commands, 3, inputs["below"]))
    assert penalty.shape == ()
    assert penalty.dtype == torch.float32
    assert all(isinstance(v, float) and math.isfinite(v) for v in figures.values())
    if name == "none":
        assert not penalty.requires_grad
        return
    (slope,) = torch.autograd.grad(penalty, commands if name == "macro" else codes)
    assert bool(torch.isfinite(slope).all())
    assert bool((slope != 0).any())


@pytest.mark.parametrize(("slot", "name"), cases("objective"))
def test_an_objective_that_predicts_reaches_the_predictor(slot: str, name: str) -> None:
    function, inputs = question(slot, name)
    ahead = inputs["predicted"].requires_grad_(True)
    penalty = function(inputs)
    slope = None
    if penalty.requires_grad:
        (slope,) = torch.autograd.grad(penalty, ahead, allow_unused=True)
    assert built(slot, name).predicts == (slope is not None and bool((slope != 0).any()))


@pytest.mark.parametrize(("slot", "name"), cases("critic"))
def test_a_critic_anticipates_energy_and_learns_the_same_twice(slot: str, name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = built(slot, name), built(slot, name)
    size = mind(slot, name).site.latent
    latents = torch.randn(6, 21, size, generator=generator)
    energy = torch.rand(6, 20, generator=generator)
    ended = torch.rand(6, 20, generator=generator) < 0.05
    figures = []
    for critic in (one, other):
        assert bool((critic.anticipate(100 * latents) >= 0).all())
        critic.requires_grad_(True)
        object.__setattr__(critic, "config", critic.config.model_copy(update={"steps": 12}))
        figures.append(critic.fit(latents, energy, ended, 3))
    assert figures[0] == figures[1]
    assert torch.equal(one.anticipate(latents), other.anticipate(latents))


@pytest.mark.parametrize(("slot", "name"), cases("world_model"))
def test_a_world_model_imagines_forward_and_row_by_row(slot: str, name: str) -> None:
    made = mind(slot, name)
    model = made.world_model
    generator = torch.Generator().manual_seed(4)
    state = torch.randn(B, made.site.latent, generator=generator)
    actions = torch.randn(B, K, H, made.site.actuators.size, generator=generator)
    seen = model.imagine(state, actions)
    assert seen.latents.shape == (model.members, B, K, H, made.site.latent)
    assert seen.latents.dtype == torch.float32
    assert seen.quantities == {}
    close = {"atol": 1e-5, "rtol": 1e-5}
    later = actions.clone()
    later[..., 3:, :] += 1.0
    changed = model.imagine(state, later).latents
    torch.testing.assert_close(changed[..., :3, :], seen.latents[..., :3, :], **close)
    assert not torch.allclose(changed[..., 3:, :], seen.latents[..., 3:, :])
    others = actions.clone()
    others[0] += 1.0
    others[1, 1:] += 1.0
    alone = model.imagine(torch.cat((state[:1] + 1, state[1:])), others).latents
    assert torch.equal(alone[:, 1, 0], seen.latents[:, 1, 0])
    with torch.no_grad():
        torch.testing.assert_close(model.imagine(state, actions).latents, seen.latents, **close)
    moved = model.imagine(state, actions.transpose(1, 2).transpose(1, 2)).latents
    torch.testing.assert_close(moved, seen.latents, **close)


@pytest.mark.parametrize(("slot", "name"), cases("perception"))
def test_perception_encodes_each_row_alone(slot: str, name: str) -> None:
    made = mind(slot, name)
    values = torch.randn(3, 4, made.site.sensors.size, generator=torch.Generator().manual_seed(0))
    latents = made.perception.encode(values)
    assert latents.shape == (3, 4, made.site.latent)
    torch.testing.assert_close(
        made.perception.encode(values[1, 2]), latents[1, 2], atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize(("slot", "name"), cases("cost"))
def test_a_cost_adds_up_its_terms(slot: str, name: str) -> None:
    made = mind(slot, name)
    cost = made.cost
    seen = rollout(made, E, B, K, H)
    seen = grown(seen, {n: v.float() for n, v in leaves(seen).items()})
    ask = directive(made, B, H)
    bill = cost.energy(seen, ask)
    assert len(cost.terms) == len(set(cost.terms)) == bill.terms.shape[2]
    assert bill.energy.shape == (B, K)
    assert bill.terms.shape == (B, K, len(cost.terms), H)
    assert bool((bill.terms >= 0).all())
    torch.testing.assert_close(bill.terms.sum(dim=(2, 3)), bill.energy)
    free = cost.energy(seen, directive(made, B, H, weights=torch.zeros(B, len(cost.terms))))
    assert bool((free.energy == 0).all())
    for index in range(len(cost.terms)):
        weights = torch.zeros(B, len(cost.terms))
        weights[:, index] = 2.0
        only = cost.energy(seen, directive(made, B, H, weights=weights))
        torch.testing.assert_close(only.energy, 2 * bill.terms[:, :, index].sum(dim=-1))
    for risk in (Risk("worst"), Risk("cvar", 0.5)):
        wary = cost.energy(seen, directive(made, B, H, risk=risk))
        assert bool((wary.energy >= bill.energy - 1e-6).all())
        torch.testing.assert_close(wary.terms.sum(dim=(2, 3)), wary.energy)
