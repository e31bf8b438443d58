"""The seal: whatever could change a guardrail's answer changes it, or breaks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from agent.config.build import Mind
from agent.core.guardrails import Guardrails, violation
from agent.core.messages import Rollout
from tests.toys import Adding, Below, Place


def rails(
    limit: float = 1.0, margins: Any = None, readouts: Any = None, count: int = 1
) -> Guardrails:
    terms = [Below(limit, f"below{i}" if i else "below") for i in range(count)]
    return Guardrails(terms, readouts or Place(), margins)


def rollout(*places: float) -> Rollout:
    actions = torch.zeros(1, 1, len(places), 2)
    latents = torch.zeros(1, 1, 1, len(places), 2)
    latents[..., 0] = torch.tensor(places)
    made = Rollout(torch.zeros(1, 2), actions, latents, {})
    return Rollout(made.start, actions, latents, {"place": latents})


def test_the_seal_is_a_function_of_what_is_sealed() -> None:
    one = rails(margins=torch.tensor([[0.1, 0.2]]))
    same = rails(margins=torch.tensor([[0.1, 0.2]]))
    assert one.seal == same.seal
    assert len(one.seal) == 64
    other_weights = Place()
    with torch.no_grad():
        other_weights.weight[0, 0] = torch.nextafter(torch.tensor(1.0), torch.tensor(2.0))
    hidden = Place()
    hidden.hidden[0] = 1e-6
    others = [
        rails(limit=1.0000001),
        rails(margins=torch.tensor([[0.1, 0.2000001]])),
        rails(readouts=other_weights, margins=torch.tensor([[0.1, 0.2]])),
        rails(readouts=hidden, margins=torch.tensor([[0.1, 0.2]])),
        rails(count=2),
    ]
    assert len({one.seal, *(o.seal for o in others)}) == 6


class Other(Place):
    """The same weights read by other code."""

    def scaled(self, latents: torch.Tensor) -> torch.Tensor:
        """Return twice the place."""
        return 2 * latents @ self.weight


def test_other_code_is_another_seal() -> None:
    assert rails(readouts=Other()).seal != rails().seal


def set_weight(g: Guardrails) -> None:
    with torch.no_grad():
        g._readouts.weight[0, 0] += 1e-7 * 2


def load_weights(g: Guardrails) -> None:
    g._readouts.load_state_dict({"weight": 2 * torch.eye(2)})


def move_data(g: Guardrails) -> None:
    g._readouts.weight.data = 2 * torch.eye(2)


TAMPERINGS: dict[str, Callable[[Any], Any]] = {
    "limit": lambda g: setattr(g._terms[0], "limit", 9.0),
    "new attribute": lambda g: setattr(g._terms[0], "lenient", True),
    "tensor of a term in place": lambda g: g._terms[0].scale.mul_(0.5),
    "tensor of a term exchanged": lambda g: setattr(g._terms[0], "scale", torch.zeros(1)),
    "function on the instance": lambda g: setattr(g._terms[0], "value", lambda r: None),
    "term exchanged": lambda g: setattr(g, "_terms", (Below(9.0),)),
    "terms gone": lambda g: setattr(g, "_terms", ()),
    "weights in place": set_weight,
    "weights loaded": load_weights,
    "weights' storage": move_data,
    "weights exchanged": lambda g: setattr(g._readouts, "weight", nn.Parameter(torch.zeros(2, 2))),
    "hidden buffer": lambda g: g._readouts.hidden.add_(1.0),
    "list in place": lambda g: g._readouts.shift.__setitem__(0, -5.0),
    "list exchanged": lambda g: setattr(g._readouts, "shift", [-5.0]),
    "layer exchanged": lambda g: g._readouts.after.__setitem__(0, nn.ReLU()),
    "layers exchanged": lambda g: setattr(g._readouts, "after", nn.Tanh()),
    "hook": lambda g: g._readouts.after.register_forward_hook(lambda m, i, o: o * 0),
    "inner hook": lambda g: g._readouts.after[0].register_forward_hook(lambda m, i, o: o * 0),
    "read on the instance": lambda g: setattr(g._readouts, "read", lambda x: {"place": x * 0}),
    "class of the instance": lambda g: setattr(g._readouts, "__class__", Other),
    "readouts exchanged": lambda g: setattr(g, "_readouts", Place()),
    "margins in place": lambda g: g._margins.sub_(1.0),
    "margins exchanged": lambda g: setattr(g, "_margins", g._margins - 1.0),
}


@pytest.mark.parametrize("tampering", TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_tampering_breaks_the_seal(tampering: Callable[[Any], Any]) -> None:
    sealed = rails(margins=torch.zeros(1, 3))
    assert sealed.verify()
    assert sealed.verify()
    tampering(sealed)
    assert not sealed.verify()


@pytest.mark.parametrize("name", ["read", "scaled"])
def test_new_code_on_the_class_breaks_the_seal(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    sealed = rails()
    monkeypatch.setattr(Place, name, lambda self, latents: {"place": latents * 0})
    assert not sealed.verify()
    monkeypatch.undo()
    assert sealed.verify()


def test_code_taken_from_the_class_breaks_the_seal(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = rails()
    monkeypatch.delattr(Place, "scaled")
    assert not sealed.verify()


def test_new_bytes_in_a_function_break_the_seal() -> None:
    sealed, before = rails(), Below.value.__code__
    try:
        Below.value.__code__ = (
            lambda self, rollout: rollout.quantities["place"][..., 0] - 9
        ).__code__
        assert not sealed.verify()
    finally:
        Below.value.__code__ = before
    assert sealed.verify()


def test_new_code_of_torchs_layers_breaks_the_seal(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = rails()
    monkeypatch.setattr(nn.Identity, "forward", lambda self, x: x * 0)
    assert not sealed.verify()


def test_the_real_guardrails_verify_and_break(mind: Mind) -> None:
    assert mind.guardrails.verify()
    with torch.no_grad():
        mind.guardrails._readouts.probe[0].bias[3] += 1e-5
    assert not mind.guardrails.verify()


def test_looking_does_not_touch(mind: Mind) -> None:
    before = mind.guardrails.seal
    mind.guardrails.margins(24).add_(5.0)
    mind.objective.guard(torch.zeros(2, mind.site.latent), torch.zeros(2, 3, 5, 2))
    assert mind.guardrails.verify()
    assert mind.guardrails.seal == before


def test_no_guardrails_forbid_nothing() -> None:
    sealed = Guardrails((), Place())
    values = sealed.evaluate(rollout(5.0, 5.0))
    assert values.shape == (1, 1, 0, 2)
    assert violation(values).tolist() == [[0.0]]
    assert sealed.verify()


def test_the_toy_model_adds() -> None:
    ahead = Adding().imagine(torch.ones(1, 2), torch.ones(1, 1, 3, 2)).latents
    assert ahead[0, 0, 0, :, 0].tolist() == [2.0, 3.0, 4.0]


def test_the_seal_covers_every_attribute_of_every_guardrail() -> None:
    def seal(*terms: Below) -> str:
        return Guardrails(terms, Place()).seal

    one = seal(Below(1.0, "a"), Below(2.0, "b"))
    assert one == seal(Below(1.0, "a"), Below(2.0, "b"))
    others = {
        seal(Below(1.5, "a"), Below(2.0, "b")),
        seal(Below(1.0, "c"), Below(2.0, "b")),
        seal(Below(1.0, "a"), Below(2.5, "b")),
        seal(Below(1.0, "a"), Below(2.0, "c")),
        seal(Below(1.0, "a")),
        seal(Below(2.0, "b"), Below(1.0, "a")),
    }
    assert len(others) == 6
    assert one not in others


def test_what_was_broken_when_an_episode_began_stays_broken() -> None:
    rails = Guardrails((Below(),), Place(), torch.tensor([[0.2]]))
    rails._margins.fill_(0.0)
    rails.begin()
    rails._margins.fill_(0.2)
    assert not rails.verify()
