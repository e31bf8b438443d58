"""`hold`: what goes out of sight is remembered as last seen, and surprise is per what is usual."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agent.core.messages import Directive, Forecast, Observation, Percept
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from agent.train.augment import Shuffled
from agent.train.dataset import Dataset
from agent.train.fitting import Fit, Holding, fit_surprise
from agent.train.progress import silent
from modules.perception.hold import HoldPerception
from modules.perception.state import StatePerception
from modules.world_model.jepa import JEPA

SENSORS = Layout((Channel("place", 2, "m"), Channel("colour", 1, "1"), Channel("unseen", 1, "s")))
SITE = Site(SENSORS, Layout(()), 25.0, 4, Layout(()))


class Inbox(dict[type, Any]):
    """This tick's messages, and the last tick's."""

    before: dict[type, Any]

    def last(self, kind: type) -> Any:
        return self.before.get(kind)


@pytest.fixture
def eyes() -> HoldPerception:
    torch.manual_seed(0)
    made = HoldPerception(HoldPerception.Config(width=16), SITE)
    made.fit_normaliser(torch.randn(50, 4) * 2 + 1)
    made.reset(2)
    return made


def observed(values: Any, valid: Any, first: bool = False) -> Observation:
    seen = torch.as_tensor(values, dtype=torch.float32)
    rows = len(seen)
    return Observation(seen, torch.as_tensor(valid), torch.zeros(rows), torch.full((rows,), first))


def look(eyes: HoldPerception, seen: Observation, forecast: Any = None) -> Percept:
    rows = len(seen.values)
    one = torch.ones(rows, 3)
    asked = Directive(one[:, :0], one, one, torch.ones(rows, dtype=torch.int64))
    inbox = Inbox({Observation: seen, Directive: asked})
    inbox.before = {} if forecast is None else {Forecast: forecast}
    return eyes.tick(inbox)


ALL = [[True] * 3] * 2
GONE = [[False, False, True], [True, True, True]]


def test_what_is_hidden_stays_as_it_was_last_seen(eyes: HoldPerception) -> None:
    eyes.hold(observed([[1.0, 2.0, 0.5, 0.0], [3.0, 4.0, 0.6, 0.0]], ALL, first=True))
    held = eyes.hold(observed([[0.0, 0.0, 0.0, 0.1], [3.5, 4.5, 0.6, 0.0]], GONE))
    torch.testing.assert_close(held, torch.tensor([[1.0, 2.0, 0.5, 0.1], [3.5, 4.5, 0.6, 0.0]]))
    back = eyes.hold(observed([[9.0, 8.0, 0.7, 0.0], [3.0, 4.0, 0.6, 0.0]], ALL))
    assert back[0].tolist() == pytest.approx([9.0, 8.0, 0.7, 0.0])


def test_a_new_episode_remembers_nothing_of_the_last(eyes: HoldPerception) -> None:
    eyes.hold(observed([[1.0, 2.0, 0.5, 0.0]] * 2, ALL, first=True))
    held = eyes.hold(observed([[0.0, 0.0, 0.0, 0.0]] * 2, GONE, first=True))
    torch.testing.assert_close(held[0, :3], eyes.state.mean[:3])


def test_what_is_no_number_is_held_too(eyes: HoldPerception) -> None:
    eyes.hold(observed([[1.0, 2.0, 0.5, 0.0]] * 2, ALL, first=True))
    held = eyes.hold(observed([[torch.nan, torch.inf, 0.1, 0.0]] * 2, ALL))
    assert held[0].tolist() == pytest.approx([1.0, 2.0, 0.1, 0.0])


def test_what_it_lends_out_is_its_own(eyes: HoldPerception) -> None:
    eyes.hold(observed([[1.0, 2.0, 0.5, 0.0]] * 2, ALL, first=True)).fill_(9.0)
    held = eyes.hold(observed([[0.0, 0.0, 0.0, 0.0]] * 2, GONE))
    assert held[0].tolist() == pytest.approx([1.0, 2.0, 0.5, 0.0])


def test_with_everything_seen_the_latent_is_that_of_state(eyes: HoldPerception) -> None:
    plain = StatePerception(StatePerception.Config(width=16), SITE)
    plain.load_state_dict(eyes.state.state_dict())
    seen = observed([[1.0, 2.0, 0.5, 0.0], [0.1, 0.2, 0.3, 0.4]], ALL, first=True)
    torch.testing.assert_close(look(eyes, seen).latent, plain.encode(seen.values))


def test_surprise_is_one_where_errors_are_the_usual(eyes: HoldPerception) -> None:
    seen = observed([[1.0, 2.0, 0.5, 0.0]] * 2, ALL, first=True)
    latent = look(eyes, seen).latent
    off = torch.stack((torch.ones(4), -3 * torch.ones(4)))
    percept = look(eyes, seen, Forecast(latent + off, torch.ones(2), torch.zeros(2)))
    torch.testing.assert_close(percept.surprise, torch.tensor([1.0, 3.0]))
    with torch.no_grad():
        eyes.usual.network[-1].bias.fill_(2.0).log_()
    percept = look(eyes, seen, Forecast(latent + off, torch.ones(2), torch.zeros(2)))
    torch.testing.assert_close(percept.surprise, torch.tensor([0.5, 1.5]))


def test_usual_errors_are_learned(eyes: HoldPerception) -> None:
    """Ticks whose colour is above 0 are followed by noise a hundred times louder."""
    torch.manual_seed(1)
    model = JEPA(JEPA.Config(members=2, width=8), SITE)
    with torch.no_grad():
        for value in model.third.parameters():
            value.zero_()
    assert isinstance(eyes, Holding)
    loud = torch.randn(400, 1, 1).sign().expand(-1, 3, 1)
    values = torch.cat((torch.randn(400, 3, 2) * (0.1 + loud.clamp(min=0)), loud, loud * 0), dim=2)
    data = Dataset(values, torch.zeros(400, 2, 0))
    known, held = data.split()
    before = {k: v.clone() for k, v in eyes.state.state_dict().items()}
    found = fit_surprise(eyes, model, known, held, Fit(steps=300, batch=64, rate=1e-2), silent())
    assert 0.5 < found["held_out"] < 2.0
    assert all(torch.equal(v, before[k]) for k, v in eyes.state.state_dict().items())
    with torch.no_grad():
        latents = eyes.encode(values[:, 0])
        expected = eyes.usual(latents, model.forecast(latents, torch.zeros(400, 0)).spread)
    calm = loud[:, 0, 0] < 0
    assert float(expected[~calm].mean()) > float(expected[calm].mean()) + 1.0


def test_shuffled_sensors_tell_nothing_and_others_are_left_alone() -> None:
    values = torch.arange(400.0).reshape(20, 5, 4)
    data = Dataset(values, torch.zeros(20, 4, 0))
    plain, _ = data.windows(64, 3, torch.Generator().manual_seed(5))
    mixed, commands = Shuffled(data, SENSORS, ["colour"]).windows(
        64, 3, torch.Generator().manual_seed(5)
    )
    again, _ = Shuffled(data, SENSORS, ["colour"]).windows(64, 3, torch.Generator().manual_seed(5))
    assert commands.shape == (64, 3, 0)
    assert torch.equal(mixed, again)
    assert torch.equal(mixed[..., [0, 1, 3]], plain[..., [0, 1, 3]])
    assert (mixed[..., 2] != plain[..., 2]).float().mean() > 0.9
    assert set(mixed[..., 2].unique().tolist()) <= set(plain[..., 2].unique().tolist())


def test_two_views_of_a_moment_make_codes_blind_to_what_differs() -> None:
    from modules.world_model.learn import Augmented, Learner
    from modules.world_model.objectives.invariance import Invariance
    from modules.world_model.objectives.prediction import Prediction
    from modules.world_model.objectives.vicreg import VICReg

    generator = torch.Generator().manual_seed(3)
    values = torch.randn(200, 9, 4, generator=generator)
    values[..., :2] = values[..., :2].cumsum(dim=1)
    data = Dataset(values, torch.zeros(200, 8, 0))
    found = {}
    for names in ([], ["colour"]):
        torch.manual_seed(4)
        made = HoldPerception(HoldPerception.Config(width=16), SITE)
        made.fit_normaliser(values)
        model = JEPA(JEPA.Config(members=2, width=8), SITE)
        parts = [
            Prediction(Prediction.Config(), SITE),
            VICReg(VICReg.Config(), SITE),
            Invariance(Invariance.Config(weight=4.0), SITE),
        ]
        config = Learner.Config(steps=150, batch=64, horizon=2, rate=1e-2, target="detached")
        learner = Learner(config, made, model, parts)
        seen = Shuffled(data, SENSORS, names)
        assert isinstance(seen, Augmented)
        assert not isinstance(data, Augmented)
        figures = [learner.step(i, seen) for i in range(150)]
        other = values.clone()
        other[..., 2] += 1.0
        with torch.no_grad():
            moved = (made.encode(other) - made.encode(values)).square().mean()
        found[tuple(names)] = float(moved), figures[0]["invariance"]
    assert found[()][1] == 0.0, "views that do not differ cost nothing"
    assert found["colour",][1] > 0.0
    assert found["colour",][0] < 0.2 * found[()][0]


@torch.no_grad()
def test_a_moment_unlike_any_seen_excuses_nothing(eyes: HoldPerception) -> None:
    for value in eyes.usual.network[-1].parameters():
        value.normal_(generator=torch.Generator().manual_seed(0))
    common, strange = torch.randn(500, 4), 50 * torch.randn(500, 4)
    one = torch.ones(500)
    eyes.limit_surprise(common, one)
    after, most = eyes.usual(strange, one), eyes.usual(common, one)
    assert bool((after <= most.amax(dim=0)).all())
    assert bool((after == most.amax(dim=0)).any())
    held = (most == eyes.usual.most).float().mean(dim=0)
    torch.testing.assert_close(held, torch.full((4,), 0.03), atol=0.005, rtol=0)
