"""Perception of state: angles are seen as directions, everything else as before."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from agent.core.messages import Directive, Observation
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.cost.readouts.probe import ProbeReadouts
from modules.perception.state import StatePerception

SITE = Site(
    Layout(
        (
            Channel("speed", 1, "m/s"),
            Channel("joint", 2, "rad"),
            Channel("pay", 1, "1", taught=True),
        )
    ),
    Layout((Channel("push", 1, "1", (-1.0,), (1.0,)),)),
    10.0,
    4,
    Layout(()),
)


@pytest.fixture
def eyes() -> StatePerception:
    torch.manual_seed(0)
    made = StatePerception(StatePerception.Config(width=16, angles=("joint",)), SITE)
    made.fit_normaliser(torch.randn(64, 4) * torch.tensor([1.0, 9.0, 2.0, 1.0]))
    return made


def test_a_whole_turn_changes_nothing(eyes: StatePerception) -> None:
    values = torch.randn(8, 4)
    turned = values.clone()
    turned[:, 1:3] += 2 * math.pi * torch.tensor([3.0, -1.0])
    assert not torch.allclose(eyes.encode(values), eyes.encode(values.roll(1, dims=0)))
    torch.testing.assert_close(eyes.encode(turned), eyes.encode(values), rtol=1e-4, atol=1e-5)
    turned[:, 1] += 1.0
    assert (eyes.encode(turned) - eyes.encode(values)).abs().amin(dim=1).max() > 1e-4


def test_sine_and_cosine_are_normalised_each(eyes: StatePerception) -> None:
    values = torch.randn(4096, 4) * torch.tensor([1.0, 9.0, 2.0, 1.0])
    eyes.fit_normaliser(values)
    seen = eyes.normalise(values)
    assert seen.shape == (4096, 6)
    torch.testing.assert_close(seen.std(dim=0), torch.ones(6), rtol=1e-3, atol=1e-3)
    raw = seen[:, 1:3] * eyes.scale[1:3] + eyes.mean[1:3]
    torch.testing.assert_close(raw, values[:, 1:3].sin(), rtol=1e-4, atol=1e-5)
    raw = seen[:, 4:] * eyes.scale[4:] + eyes.mean[4:]
    torch.testing.assert_close(raw, values[:, 1:3].cos(), rtol=1e-4, atol=1e-5)


def test_an_angle_that_is_lost_hides_sine_and_cosine(eyes: StatePerception) -> None:
    values = torch.randn(2, 4)

    class Inbox(dict[type, Any]):
        def last(self, kind: type) -> None:
            return None

    def percept(values: torch.Tensor) -> torch.Tensor:
        one = torch.ones(2, 3)
        valid = torch.tensor([[True, False, False]]).expand(2, 3)
        seen = Observation(values, valid, one[:, 0], one[:, 0] > 0)
        asked = Directive(one[:, :0], one, one, torch.ones(2, dtype=torch.int64))
        return eyes.tick(Inbox({Observation: seen, Directive: asked})).latent

    other = values.clone()
    other[:, 1:3] += 1.0
    torch.testing.assert_close(percept(values), percept(other))


@pytest.mark.parametrize("option", ["angles", "compressed"])
def test_a_sensor_that_does_not_exist_is_refused(option: str) -> None:
    says = f"{option}: expected sensors of this body, came 'joints'; did you mean 'joint'"
    with pytest.raises(ValueError, match=says):
        StatePerception(StatePerception.Config(**{option: ("joints",)}), SITE)


def test_a_quantity_that_no_sensor_shows_is_not_read_out() -> None:
    config = ProbeReadouts.Config(compressed=("joints",))
    with pytest.raises(ValueError, match=r"compressed: .*came 'joints'; did you mean 'joint'"):
        ProbeReadouts(config, SITE)
