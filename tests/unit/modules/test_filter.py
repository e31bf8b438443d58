"""The filter perception: what it shares with `state`, what it fills in, and how sure it is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from agent.core.messages import Directive, Forecast, Observation, Percept
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from agent.train.dataset import Dataset
from agent.train.fitting import Completing, Fit, fit_completion
from agent.train.progress import Figures, Ledger, State, silent
from modules.perception.filter import FilterPerception
from modules.perception.state import StatePerception
from modules.world_model.jepa import JEPA

SENSORS = Layout((Channel("place", 2, "m"), Channel("gap", 1, "m"), Channel("hit", 1, "N")))
BODY = Layout((Channel("push", 2, "N", (-1.0, -1.0), (1.0, 1.0)),))
SITE = Site(SENSORS, BODY, 20.0, 4, Layout((Channel("place", 2, "m"),)))


class Inbox(dict[type, Any]):
    """This tick's messages, and the last tick's."""

    before: dict[type, Any]

    def last(self, kind: type) -> Any:
        return self.before.get(kind)


def plain(**settings: Any) -> FilterPerception:
    """Return a filter whose latent is what the sensors show, and whose decoder is exact."""
    made = FilterPerception(FilterPerception.Config(**settings), SITE)
    with torch.no_grad():
        for value in made.parameters():
            value.zero_()
        made.state.linear.weight.copy_(torch.eye(4))
        made.decoder.linear.weight.copy_(torch.eye(4))
    made.reset(1)
    return made


def random(**settings: Any) -> FilterPerception:
    torch.manual_seed(0)
    made = FilterPerception(FilterPerception.Config(**settings), SITE)
    made.fit_normaliser(torch.randn(50, 4) * 3 + 1)
    made.reset(1)
    return made


def look(
    eyes: Any,
    values: Any,
    valid: Any = None,
    attention: Any = None,
    forecast: Any = None,
    spread: Any = None,
) -> Percept:
    """Return the percept of values [B][4], with sensors valid [B][3] and attended to [B][3]."""
    seen = torch.as_tensor(values, dtype=torch.float32)
    rows = len(seen)
    one = torch.ones(rows)
    fine = torch.ones(rows, 3) if valid is None else torch.tensor(valid)
    care = torch.ones(rows, 3) if attention is None else torch.tensor(attention)
    mode = torch.ones(rows, dtype=torch.int64)
    inbox = Inbox(
        {
            Observation: Observation(seen, fine.bool(), one, one.bool()),
            Directive: Directive(torch.zeros(rows, 2), torch.ones(rows, 1), care, mode),
        }
    )
    inbox.before = {}
    if forecast is not None:
        told = torch.as_tensor(forecast, dtype=torch.float32)
        wide = one if spread is None else torch.as_tensor(spread, dtype=torch.float32)
        inbox.before = {Forecast: Forecast(told, wide, torch.zeros_like(wide))}
    percept: Percept = eyes.tick(inbox)
    return percept


NOW = [[1.0, 2.0, 3.0, 4.0]]
TOLD = [[10.0, 20.0, 30.0, 40.0]]
BLIND = [[0.0, 0.0, 0.0]]
GONE = [[1.0, 0.0, 1.0]]


@pytest.mark.parametrize("forecast", [None, TOLD])
@pytest.mark.parametrize("care", [1.0, 1.5])
def test_with_all_sensors_it_sees_what_state_sees(forecast: Any, care: float) -> None:
    eyes = random()
    other = StatePerception(StatePerception.Config(), SITE)
    other.load_state_dict(eyes.state.state_dict())
    attention = [[care] * 3]
    one = look(eyes, NOW, attention=attention, forecast=forecast, spread=[2.0])
    two = look(other, NOW, attention=attention, forecast=forecast, spread=[2.0])
    assert torch.equal(one.latent, two.latent)
    assert one.uncertainty.item() == 0.0
    torch.testing.assert_close(one.surprise, two.surprise)


@pytest.mark.parametrize("attention", [[[1.0, 0.0, 1.0]], [[0.3, 0.6, 1.0]]])
def test_before_there_is_a_forecast_it_sees_what_state_sees(attention: Any) -> None:
    eyes = random()
    one = look(eyes, NOW, valid=GONE, attention=attention)
    assert torch.equal(one.latent, look(eyes.state, NOW, valid=GONE, attention=attention).latent)
    assert one.uncertainty.item() > 0.0
    assert one.surprise.item() == 0.0


def test_a_missing_sensor_shows_what_was_forecast() -> None:
    percept = look(plain(), NOW, valid=GONE, forecast=TOLD)
    assert percept.latent.tolist() == [[1.0, 2.0, 30.0, 4.0]]
    assert look(plain(), NOW, valid=BLIND, forecast=TOLD).latent.tolist() == TOLD


def test_blind_it_keeps_to_the_forecast_whatever_the_decoder_says() -> None:
    percept = look(random(), NOW, valid=BLIND, forecast=TOLD)
    torch.testing.assert_close(percept.latent, torch.tensor(TOLD))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_value_that_is_not_finite_is_missing(bad: float) -> None:
    eyes = random()
    for forecast in (None, TOLD):
        eyes.reset(1)
        odd = look(eyes, [[1.0, 2.0, bad, 4.0]], forecast=forecast)
        eyes.reset(1)
        gone = look(eyes, NOW, valid=GONE, forecast=forecast)
        assert torch.equal(odd.latent, gone.latent)
        assert torch.equal(odd.uncertainty, gone.uncertainty)
        assert torch.equal(odd.surprise, gone.surprise)


def test_a_forecast_that_is_not_finite_is_none() -> None:
    eyes = random()
    first = look(eyes, NOW, valid=GONE)
    eyes.reset(1)
    bad = [[torch.nan, 0.0, 0.0, 0.0]]
    lost = look(eyes, NOW, valid=GONE, forecast=bad)
    for field in ("latent", "uncertainty", "surprise"):
        assert torch.equal(getattr(lost, field), getattr(first, field)), field


def test_what_is_not_attended_to_is_missing() -> None:
    eyes = plain()
    away = look(eyes, NOW, attention=GONE, forecast=TOLD)
    eyes.reset(1)
    gone = look(eyes, NOW, valid=GONE, forecast=TOLD)
    assert torch.equal(away.latent, gone.latent)
    assert torch.equal(away.uncertainty, gone.uncertainty)
    half = look(plain(), NOW, attention=[[1.0, 0.5, 1.0]], forecast=TOLD)
    assert half.latent.tolist() == [[1.0, 2.0, 16.5, 4.0]]


def test_uncertainty_grows_with_the_outage_and_falls_back() -> None:
    eyes = plain()
    look(eyes, NOW)
    found = [look(eyes, NOW, valid=GONE, forecast=TOLD).uncertainty.item() for _ in range(3)]
    assert found == pytest.approx([(n / 4) ** 0.5 for n in (1, 2, 3)])
    worse = look(eyes, NOW, valid=[[0.0, 0.0, 1.0]], forecast=TOLD).uncertainty.item()
    assert worse == pytest.approx(((4 + 1 + 1) / 4) ** 0.5)
    assert look(eyes, NOW, forecast=TOLD).uncertainty.item() == 0.0
    look(eyes, NOW, valid=BLIND, forecast=TOLD)
    eyes.reset(1)
    assert look(eyes, NOW, valid=GONE, forecast=TOLD).uncertainty.item() == pytest.approx(0.5)


def test_the_gain_weighs_spread_against_noise() -> None:
    eyes = plain(observation_noise=2.0)
    percept = look(eyes, NOW, forecast=TOLD, spread=[1.0])
    gain = 1.0 / (1.0 + 4.0)
    aim = torch.tensor(TOLD) + gain * (torch.tensor(NOW) - torch.tensor(TOLD))
    torch.testing.assert_close(percept.latent, aim)
    assert percept.uncertainty.item() == pytest.approx((1.0 - gain) ** 0.5)
    squared = (torch.tensor(NOW) - torch.tensor(TOLD)).square().sum().item()
    assert percept.surprise.item() == pytest.approx(squared / (1.0 + 4.0), rel=1e-5)
    steady = [look(eyes, NOW, forecast=TOLD, spread=[1.0]).uncertainty.item() for _ in range(60)]
    prior = steady[-1] ** 2 + 1.0
    assert steady[-1] ** 2 == pytest.approx(prior * 4.0 / (prior + 4.0), rel=1e-4)


def test_surprise_is_about_what_was_measured() -> None:
    eyes = plain()
    off = [[v + 3.0 for v in TOLD[0]]]
    whole = look(eyes, off, forecast=TOLD).surprise.item()
    eyes.reset(1)
    assert whole == pytest.approx(4 * 9.0)
    wild = [[off[0][0], off[0][1], 1e6, off[0][3]]]
    for values in (off, wild):
        eyes.reset(1)
        part = look(eyes, values, valid=GONE, forecast=TOLD).surprise.item()
        assert part == pytest.approx(whole)
    eyes.reset(1)
    assert look(eyes, wild, valid=BLIND, forecast=TOLD).surprise.item() == 0.0
    assert look(eyes, TOLD, valid=GONE, forecast=TOLD).surprise.item() == 0.0


def test_rows_are_independent() -> None:
    eyes, generator = random(observation_noise=0.3), torch.Generator().manual_seed(1)
    values, told = torch.randn(3, 5, 4, generator=generator), torch.randn(5, 4, generator=generator)
    valid = torch.rand(3, 5, 3, generator=generator) < 0.5

    def lived(rows: Any) -> list[Percept]:
        eyes.reset(len(told[rows]))
        return [
            look(eyes, v[rows], f[rows].tolist(), forecast=told[rows])
            for v, f in zip(values, valid, strict=True)
        ]

    for one, other in zip(lived([0, 1, 2, 3, 4]), lived([3, 1]), strict=True):
        for field in ("latent", "uncertainty", "surprise"):
            torch.testing.assert_close(getattr(one, field)[[3, 1]], getattr(other, field))


def experience() -> Dataset:
    """Return episodes of a point that is pushed, and of what it measures about itself."""
    generator = torch.Generator().manual_seed(0)
    commands = torch.rand(20, 30, 2, generator=generator) * 2 - 1
    place = torch.cat((torch.zeros(20, 1, 2), commands.cumsum(dim=1)), dim=1)
    more = torch.stack((place[..., 0] - place[..., 1], place.sum(dim=-1).abs()), dim=-1)
    return Dataset(torch.cat((place, more), dim=-1), commands)


def pupil() -> tuple[FilterPerception, JEPA]:
    eyes = random(width=16, decoder_width=16)
    eyes.fit_normaliser(experience().values)
    return eyes.requires_grad_(False), JEPA(JEPA.Config(members=2, width=8), SITE)


def test_completion_teaches_the_decoder_and_nothing_else() -> None:
    (eyes, model), data = pupil(), experience()
    before = {k: v.clone() for k, v in eyes.state_dict().items()}
    untaught = eyes.completion_loss(eyes.encode(data.values), data.values).item()
    figures = fit_completion(eyes, model, data, Fit(steps=200, horizon=4), silent())
    assert figures["error_0"] < 0.5 * untaught
    assert figures["error_4"] > 0.0
    for name, value in eyes.state_dict().items():
        assert torch.equal(value, before[name]) != name.startswith("decoder"), name
    assert not any(p.requires_grad for p in eyes.parameters())


def test_an_interrupted_completion_ends_bit_equal() -> None:
    kept: dict[str, tuple[State, Figures]] = {}

    def save(name: str, tensors: State, figures: Figures) -> None:
        kept[name] = (tensors, figures)
        if figures["done"] == 7:
            raise KeyboardInterrupt

    def taught(ledger: Ledger) -> dict[str, Tensor]:
        eyes, model = pupil()
        fit_completion(eyes, model, experience(), Fit(steps=15, horizon=4), ledger)
        return eyes.state_dict()

    whole = taught(silent())
    with pytest.raises(KeyboardInterrupt):
        taught(Ledger(lambda *_: None, save, kept.get, 0.0))
    again = taught(Ledger(lambda *_: None, lambda *_: None, kept.get))
    assert all(torch.equal(value, again[name]) for name, value in whole.items())


def test_state_has_nothing_to_complete() -> None:
    assert isinstance(random(), Completing)
    assert not isinstance(random().state, Completing)
