"""Small modules, one by one: what each says of itself, checked by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agent.config.build import Mind
from agent.core.errors import InputError
from agent.core.messages import Action, Directive, Forecast, Observation, Percept, Rollout
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.cost.guardrails.at_least import AtLeast
from modules.cost.guardrails.at_most import AtMost
from modules.cost.terms.distance import Distance
from modules.cost.terms.effort import Effort
from modules.cost.terms.pain import Pain
from modules.memory.episodic import EpisodicMemory

SENSORS = Layout((Channel("speed", 2, "rad/s"), Channel("gap", 1, "m"), Channel("hit", 2, "N")))
BODY = Layout((Channel("push", 2, "N", (-4.0, -1.0), (2.0, 1.0)),))
SITE = Site(SENSORS, BODY, 20.0, 3, Layout((Channel("speed", 2, "rad/s"),)))


def seen(**quantities: list[list[float]]) -> Rollout:
    """Return a rollout of one member, agent and candidate, from lists [H][n]."""
    found = {n: torch.tensor(v)[None, None, None] for n, v in quantities.items()}
    steps = len(next(iter(quantities.values())))
    actions = found.pop("actions", torch.zeros(1, 1, 1, steps, 2))[0]
    return Rollout(torch.zeros(1, 3), actions, torch.zeros(1, 1, 1, steps, 3), found)


def ask(*goal: float) -> Directive:
    one = torch.ones(1, 1)
    return Directive(torch.tensor([goal]), one, one, torch.ones(1, dtype=torch.int64))


def test_at_least_is_positive_below_its_limit() -> None:
    rail = AtLeast(AtLeast.Config(name="gap", quantity="gap", limit=0.1), SITE)
    values = rail.value(seen(gap=[[0.3], [0.1], [-0.2]]))
    torch.testing.assert_close(values[0, 0, 0], torch.tensor([-0.2, 0.0, 0.3]))
    assert rail.text == "gap >= 0.1 m"


def test_at_least_judges_the_lowest_component() -> None:
    rail = AtLeast(AtLeast.Config(name="s", quantity="speed", limit=1.0), SITE)
    assert rail.value(seen(speed=[[5.0, 0.5]])).item() == 0.5


@pytest.mark.parametrize(
    ("limit", "expected"), [(2.0, [1.0, -1.0, 3.0]), ([2.0, 4.0], [-1.0, -2.0, 3.0])]
)
def test_at_most_is_positive_beyond_its_limit(limit: Any, expected: list[float]) -> None:
    rail = AtMost(AtMost.Config(name="s", quantity="speed", limit=limit), SITE)
    values = rail.value(seen(speed=[[1.0, -3.0], [0.0, 1.0], [-5.0, 0.0]]))
    torch.testing.assert_close(values[0, 0, 0], torch.tensor(expected))


def test_at_most_wants_a_limit_for_each_component() -> None:
    with pytest.raises(InputError, match="expected one limit or 2"):
        AtMost(AtMost.Config(name="s", quantity="speed", limit=[1.0, 2.0, 3.0]), SITE)


def test_distance_is_euclidean() -> None:
    term = Distance(Distance.Config(quantity="speed"), SITE)
    energy = term.energy(seen(speed=[[3.0, 4.0], [1.0, 1.0]]), ask(0.0, 0.0))
    assert energy.flatten().tolist() == pytest.approx([5.0, 2**0.5])


def test_effort_is_a_share_of_the_limits() -> None:
    term = Effort(Effort.Config(), SITE)
    energy = term.energy(seen(actions=[[4.0, 1.0], [0.0, 0.0], [2.0, 0.0]]), ask(0.0, 0.0))
    assert energy.flatten().tolist() == pytest.approx([1.0, 0.0, 0.125])


def test_pain_saturates_and_does_not_feel_a_pull() -> None:
    term = Pain(Pain.Config(quantity="hit", threshold_N=5.0), SITE)
    energy = term.energy(seen(hit=[[0.0, 0.0], [2.0, 3.0], [-9.0, 0.0], [1e9, 0.0]]), ask(0.0, 0.0))
    assert energy.flatten().tolist() == pytest.approx([0.0, 0.5, 0.0, 1.0])


def memory(capacity: int = 8, neighbours: int = 3, refractory: int = 2) -> EpisodicMemory:
    config = EpisodicMemory.Config(capacity=capacity, neighbours=neighbours, refractory=refractory)
    made = EpisodicMemory(config, SITE)
    made.reset(1)
    return made


def at(x: float) -> torch.Tensor:
    return torch.tensor([[x, 0.0, 0.0]])


def test_memory_recollects_the_nearest_first_but_not_the_latest() -> None:
    kept = memory()
    for x in range(6):
        kept.store(at(float(x)), torch.tensor([10.0 * x]), torch.zeros(1, 2))
    found = kept.recollect(at(2.9))
    assert found.latents[0, :, 0].tolist() == [3.0, 2.0, 1.0]
    assert found.energies[0].tolist() == [30.0, 20.0, 10.0]
    assert found.distances[0].tolist() == pytest.approx([0.1, 0.9, 1.9])
    assert found.known.all()
    assert kept.recollect(at(5.0)).latents[0, 0, 0] == 3.0


def test_memory_forgets_the_oldest() -> None:
    kept = memory(capacity=4, refractory=0)
    for x in range(7):
        kept.store(at(float(x)), torch.zeros(1), torch.full((1, 2), float(x)))
    latents, _, commands = kept.sequences()
    assert latents[0, :, 0].tolist() == [3.0, 4.0, 5.0, 6.0]
    assert commands[0, :, 1].tolist() == [3.0, 4.0, 5.0, 6.0]
    assert kept.recollect(at(0.0)).latents[0, 0, 0] == 3.0


def test_memory_says_what_it_does_not_know() -> None:
    kept = memory()
    assert not kept.recollect(at(0.0)).known.any()
    for x in range(4):
        kept.store(at(float(x)), torch.zeros(1), torch.zeros(1, 2))
    assert kept.recollect(at(0.0)).known[0].tolist() == [True, True, False]
    kept.reset(2)
    assert kept.recollect(torch.zeros(2, 3)).known.shape == (2, 3)
    assert not kept.recollect(torch.zeros(2, 3)).known.any()


class Inbox(dict[type, Any]):
    """This tick's messages, and the last tick's."""

    def __init__(self, now: dict[type, Any], before: dict[type, Any]) -> None:
        super().__init__(now)
        self._before = before

    def last(self, kind: type) -> Any:
        return self._before.get(kind)


def test_perception_does_not_look_at_what_is_not_valid(mind: Mind) -> None:
    eyes, site = mind.perception, mind.site
    attention = torch.ones(1, 5)
    directive = Directive(torch.zeros(1, 2), attention, attention, torch.ones(1, dtype=torch.int64))
    values = torch.rand(1, site.sensors.size, generator=torch.Generator().manual_seed(0))
    valid = torch.tensor([[True, False, True, True, True]])

    def see(values: torch.Tensor, valid: torch.Tensor, **before: Any) -> Percept:
        observation = Observation(values, valid, torch.zeros(1), torch.ones(1, dtype=torch.bool))
        last = {Forecast: before["forecast"]} if before else {}
        found: Percept = eyes.tick(Inbox({Observation: observation, Directive: directive}, last))
        return found

    whole = see(values, torch.ones_like(valid))
    torch.testing.assert_close(whole.latent, eyes.encode(values))
    assert whole.uncertainty.item() == 0.0
    odd = values.clone()
    odd[:, site.sensors["joint_speed"]] = torch.nan
    blind, other = see(values, valid), see(odd, valid)
    assert torch.equal(blind.latent, other.latent)
    assert not torch.equal(blind.latent, whole.latent)
    assert blind.uncertainty.item() == pytest.approx(2**0.5)
    told = Forecast(whole.latent + 1.0, torch.tensor([2.0]), torch.zeros(1))
    after = see(values, torch.ones_like(valid), forecast=told)
    assert after.surprise.item() == pytest.approx(site.latent / 4.0, rel=1e-4)
    assert after.uncertainty.item() == pytest.approx(2.0)


def test_the_forecast_is_the_first_imagined_step(mind: Mind) -> None:
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(2, mind.site.latent, generator=generator)
    command = torch.randn(2, 2, generator=generator)
    one = torch.zeros(2)
    said: dict[type, Any] = {Percept: Percept(latent, one, one), Action: Action(command)}
    forecast = mind.world_model.tick(Inbox(said, {}))
    ahead = mind.world_model.imagine(latent, command[:, None, None]).latents[:, :, 0, 0]
    torch.testing.assert_close(forecast.latent, ahead.mean(dim=0), atol=1e-5, rtol=1e-5)
    assert bool((forecast.spread > 0).all())
