"""What an agent does not attend to does not get into its state, whatever the perception."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from agent.core.messages import Directive, Forecast, Observation, Percept
from tests.contract.stand import built, directive, mind

UNSEEN = 3
"""The sensor `proximity`, one number."""


class Inbox:
    """An observation, a directive, and what was forecast."""

    def __init__(self, observation: Observation, asked: Directive, forecast: Forecast | None):
        self._now = {Observation: observation, Directive: asked}
        self._last = forecast

    def __getitem__(self, kind: type) -> Any:
        return self._now[kind]

    def last(self, _: type) -> Any:
        return self._last


def perceive(name: str, *looks: tuple[float, float], valid: bool = True) -> Percept:
    """Return the last percept of ticks in which the sensor showed and was attended to so much."""
    made, part = mind("perception", name), built("perception", name)
    part.reset(2)
    size = made.site.sensors.size
    values = torch.randn(2, size, generator=torch.Generator().manual_seed(1))
    where = made.site.sensors["proximity"]
    z = torch.randn(2, made.site.latent, generator=torch.Generator().manual_seed(2))
    forecast = Forecast(z, torch.full((2,), 0.3), torch.zeros(2))
    percept = None
    for index, (value, attention) in enumerate(looks):
        shown, mask = values.clone(), torch.ones(2, 5, dtype=torch.bool)
        shown[:, where], mask[:, UNSEEN] = value, valid or index == 0
        looked = torch.ones(2, 5)
        looked[:, UNSEEN] = attention
        asked = directive(made, 2, 3, attention=looked)
        seen = Observation(shown, mask, torch.zeros(2), torch.full((2,), index == 0))
        percept = part.tick(Inbox(seen, asked, forecast))
    assert percept is not None
    return percept


def same(one: Percept, other: Percept) -> bool:
    pairs = [(one.latent, other.latent), (one.uncertainty, other.uncertainty)]
    return all(torch.equal(a, b) for a, b in pairs)


KINDS = pytest.mark.parametrize("name", ["state", "hold", "filter"])


@KINDS
@pytest.mark.parametrize("value", [5.0, 1e6, float("nan"), float("inf")])
def test_what_is_not_attended_to_has_no_influence(name: str, value: float) -> None:
    plain = perceive(name, (0.2, 1.0), (0.3, 0.0))
    assert same(perceive(name, (0.2, 1.0), (value, 0.0)), plain)
    assert bool(plain.latent.isfinite().all())
    assert not same(perceive(name, (0.2, 1.0), (0.3, 1.0)), plain), "attended, it counts"


@KINDS
def test_not_attending_is_as_uncertain_as_not_seeing(name: str) -> None:
    away = perceive(name, (0.2, 1.0), (0.3, 0.0))
    assert same(away, perceive(name, (0.2, 1.0), (0.3, 1.0), valid=False))
    seen = perceive(name, (0.2, 1.0), (0.3, 1.0))
    assert bool((away.uncertainty > seen.uncertainty).all())


def test_a_filter_fills_in_what_is_not_attended_to() -> None:
    made, part = mind("perception", "filter"), built("perception", "filter")
    z = torch.randn(2, made.site.latent, generator=torch.Generator().manual_seed(2))
    expected: Tensor = part.decoder(z)[:, made.site.sensors["proximity"]]
    mean, scale = part.state.mean, part.state.scale
    where = made.site.sensors["proximity"]
    shown = perceive("filter", (0.2, 1.0), (float("nan"), 0.0))
    values = torch.randn(2, made.site.sensors.size, generator=torch.Generator().manual_seed(1))
    values[:, where] = expected * scale[where] + mean[where]
    prior = part.state.embed(part.decoder(z))
    lost = (z - prior) / made.site.sensors.size
    torch.testing.assert_close(shown.latent, part.encode(values) + lost, atol=1e-5, rtol=1e-5)
