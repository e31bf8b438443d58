"""The composition root: names, quantities and weights that do not fit are the user's to hear of."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from agent.config import schema
from agent.config.build import MARGINS, Blueprint, Mind, blueprint
from agent.core.errors import InputError, WiringError
from agent.core.messages import Rollout
from modules.world_model.jepa import JEPA
from tests.tiny import REACH, TINY


def assemble(*changes: str, tensors: dict[str, Tensor] | None = None) -> Mind:
    return blueprint(schema.load(REACH, [*TINY, *changes])).assemble(tensors)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            "goal=fingertop",
            r"^goal: the world has no sensor 'fingertop'; did you mean 'fingertip'\?",
        ),
        (
            "guardrails.0.quantity=proximty",
            r"guardrails\.keep_clear: there is no readout 'proximty'; did you mean 'proximity'\?",
        ),
        ("terms.2.quantity=impakt", r"terms\.pain: there is no readout 'impakt'; did you mean"),
        ("guardrails.1.name=keep_clear", r"guardrails: two are called 'keep_clear'"),
        ("terms.1.name=pain", r"terms: two are called 'pain'; give each its own `name`"),
        ("terms.1.weight=-0.5", r"(terms\.effort|terms\.1): .*(negative|greater than or equal)"),
        ("configurator.horizon=0", r"configurator\.horizon: "),
        ("configurator.weights={efort: 1.0}", r"unknown term 'efort'; did you mean 'effort'\?"),
        (
            "configurator.weights={effort: -1.0}",
            r"configurator\.weights\.effort: expected 0 or more",
        ),
        ("perception.compressed=[impct]", r"perception \(state\): .*impct"),
        ("readouts.compressed=[impct]", r"readouts \(probe\): .*impct"),
        ("guardrails.2.limit=[1.0]", r"joint_range: expected one limit or 2"),
        ("configurator={use: fixed, risk: cvar, risk_alpha: 1.5}", r"alpha in \(0, 1\].*came 1\.5"),
        (
            "configurator.risk_alpha=0.0",
            r"risk: expected an alpha above 0.*configurator\.risk_alpha",
        ),
        ("guardrails=[{use: known, limit: 0.0}]", r"guardrails\.0: 'limit': .*greater than 0"),
        (
            "terms=[{use: nearness, quantity: proximity, contact_m: 0.2}]",
            r"terms\.0 \(nearness\): expected comfort_m above contact_m, 0\.2, came 0\.1",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(change: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        assemble(change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("gate.fallback=[0.0]", r"gate\.fallback: expected 2 numbers .*, came 1"),
        (
            "gate.fallback=[0.0, 9.0]",
            r"gate\.fallback: expected commands within .*came \[0\.0, 9\.0\]",
        ),
    ],
)
def test_a_fallback_the_body_cannot_follow_is_refused(
    change: str, complaint: str, world: object
) -> None:
    with pytest.raises(InputError, match=complaint):
        assemble(change).agent(world)  # type: ignore[arg-type]


def test_a_checkpoint_of_other_sizes_names_the_first_that_differs(
    tensors: dict[str, Tensor],
) -> None:
    with pytest.raises(
        InputError, match=r"^checkpoint: perception\.\S+ is \(.*the config wants \("
    ) as caught:
        assemble("latent=23", tensors=tensors)
    assert "train again" in str(caught.value)


def test_a_checkpoint_that_lacks_a_tensor_is_refused(tensors: dict[str, Tensor]) -> None:
    less = {k: v for k, v in tensors.items() if k != "world_model.first.weight"}
    with pytest.raises(InputError, match=r"world_model\.first\.weight is missing"):
        assemble(tensors=less)


def test_a_checkpoint_with_a_tensor_too_many_is_refused(tensors: dict[str, Tensor]) -> None:
    more = {**tensors, "critic.nets.7.weight": torch.zeros(3)}
    with pytest.raises(
        InputError, match=r"critic\.nets\.7\.weight is \(3,\), the config wants none"
    ):
        assemble(tensors=more)


def test_margins_of_other_guardrails_are_refused(tensors: dict[str, Tensor]) -> None:
    fewer = {**tensors, MARGINS: tensors[MARGINS][:2]}
    with pytest.raises(InputError, match=r"margins"):
        assemble(tensors=fewer)


KNOWN = (
    "guardrails=[{use: at_least, name: keep_clear, quantity: proximity, limit: 0.03},"
    " {use: known, limit: 0.3},"
    " {use: at_most, name: speed_limit, quantity: joint_speed, limit: 1.7},"
    " {use: at_most, name: joint_range, quantity: joint_angle, limit: [1.88, 2.58]}]"
)


def test_known_has_no_margin_and_fits_a_checkpoint_without_it(tensors: dict[str, Tensor]) -> None:
    made = assemble(KNOWN, tensors=tensors)
    margins, horizon = tensors[MARGINS], tensors[MARGINS].shape[1]
    assert torch.equal(made.guardrails.margins(horizon)[[0, 2, 3]], margins)
    assert not made.guardrails.margins(horizon)[1].any()
    assert torch.equal(made.tensors()[MARGINS], margins)
    other = assemble(KNOWN.replace("0.3}", "0.4}"), tensors=tensors)
    assert made.guardrails.seal != other.guardrails.seal
    assert made.guardrails.verify()
    made.guardrails._terms[1].limit = 9.0  # type: ignore[attr-defined]
    assert not made.guardrails.verify()


def test_without_guardrails_margins_are_left_aside(tensors: dict[str, Tensor]) -> None:
    made = assemble("guardrails=[]", tensors=tensors)
    assert len(made.guardrails) == 0
    assert made.objective.guard(torch.zeros(1, 24), torch.zeros(1, 1, 5, 2)).shape == (1, 1, 0, 5)


def test_known_refuses_what_is_not_finite(tensors: dict[str, Tensor]) -> None:
    made = assemble(KNOWN, tensors=tensors)
    actions = torch.zeros(2, 1, 5, 2)
    state = torch.zeros(2, made.site.latent)
    state[1, 3] = torch.nan
    values = made.objective.guard(state, actions)[:, 0, 1]
    assert bool(values[0].isfinite().all())
    assert bool((values[1] == torch.inf).all())


class Reticent(JEPA):
    """A world model that does not say how many networks it has."""

    def imagine(self, state: Tensor, actions: Tensor, latent: Tensor | None = None) -> Rollout:
        """Return the futures alone."""
        return replace(super().imagine(state, actions, latent), networks=0)


@pytest.mark.parametrize("change", [KNOWN, "terms=[{use: uncertainty}, {use: effort}]"])
def test_a_world_model_that_does_not_say_what_it_knows_is_refused_when_wired(
    change: str, world: object
) -> None:
    use = f"world_model.use='{__name__}:Reticent'"
    with pytest.raises(WiringError, match=r"disagreement: expected futures .* networks"):
        assemble(change, use).agent(world)  # type: ignore[arg-type]


def test_margins_that_are_not_finite_are_refused(tensors: dict[str, Tensor]) -> None:
    broken = {**tensors, MARGINS: torch.full_like(tensors[MARGINS], torch.nan)}
    with pytest.raises(InputError, match=r"margins"):
        assemble(tensors=broken)


def test_a_module_in_the_wrong_slot_is_refused(world: object) -> None:
    with pytest.raises((InputError, WiringError), match="memory"):
        assemble("memory={use: 'modules.configurator.fixed:FixedConfigurator'}").agent(world)  # type: ignore[arg-type]


def test_tensors_round_trip(plans: Blueprint, tensors: dict[str, Tensor]) -> None:
    again = plans.assemble(tensors).tensors()
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[k], tensors[k]) for k in tensors)


def test_the_same_config_builds_the_same_mind() -> None:
    one, other = assemble().tensors(), assemble().tensors()
    assert all(torch.equal(one[k], other[k]) for k in one)
    changed = assemble("seed=1").tensors()
    assert not torch.equal(one["world_model.first.weight"], changed["world_model.first.weight"])


def test_the_sealed_readouts_are_nobody_elses(mind: Mind) -> None:
    before = mind.guardrails.seal
    with torch.no_grad():
        for value in mind.readouts.parameters():
            value.add_(1.0)
    assert mind.guardrails.verify()
    assert mind.guardrails.seal == before


def test_modules_hold_no_handle_on_the_sealed_guardrails(mind: Mind) -> None:
    sealed = {id(t) for t in mind.guardrails._terms}
    assert not sealed & {id(r) for r in mind.rails}


def test_a_world_models_latent_variable_is_a_part_too() -> None:
    part = "world_model.latent_variable={use: discrete, codes: 3}"
    found = blueprint(schema.load(REACH, [part]))
    named = found.resolved()["world_model"]["latent_variable"]
    assert named["use"] == "discrete"
    assert named["codes"] == 3
    assert named["draws"] == 4
    made = found.assemble()
    assert made.world_model.latent_variable.size == 3
    assert "world_model.latent_variable.prior.0.weight" in made.tensors()
    assert found.assemble(made.tensors()).world_model.members == 12
    for change, said in (
        ("{use: discreet}", r"unknown latent_variable 'discreet'; did you mean 'discrete'"),
        ("{use: noised, codes: 3}", r"world_model\.latent_variable: unknown key 'codes'"),
        ("{codes: 3}", r"world_model\.latent_variable: 'use' is missing"),
    ):
        with pytest.raises(InputError, match=said):
            blueprint(schema.load(REACH, [f"world_model.latent_variable={change}"]))
