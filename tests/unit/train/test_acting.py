"""Learning while acting: rounds of acting on what was learned, kept, and resumed bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import yaml

from agent.config.build import Blueprint, blueprint
from agent.config.schema import AgentConfig, validate
from agent.core.errors import InputError
from agent.train.course import course_of
from agent.train.dataset import Dataset
from agent.train.progress import Figures, Ledger, State, silent
from agent.train.pupil import pupil
from agent.train.rounds import curve, starts
from agent.train.understanding import experience
from tests.environments import SLOPE
from tests.tiny import REACH

EXPLORE: dict[str, Any] = {
    "policy": "acting",
    "episodes": 30,
    "ticks": 20,
    "acting": {"rounds": 3, "steps": 150, "noise": 0.0},
}


def agent(**more: Any) -> Blueprint:
    whole = yaml.safe_load(REACH.read_text()) | {k: v for k, v in SLOPE.items() if k != "extends"}
    del whole["goal"]
    learner = {"learner": {"batch": 32}, "readouts": {"batch": 32, "horizon": 10}}
    whole["train"] = {"explore": EXPLORE, **learner}
    return blueprint(validate(AgentConfig, whole | more, "slope"))


def explored(found: Blueprint, ledger: Ledger) -> Dataset:
    return experience(found, found.assemble(), course_of(found), ledger)


class Stopped(Exception):
    """Training was interrupted."""


def test_it_goes_after_what_it_has_learned_to_want_and_resumes_bit_for_bit() -> None:
    torch.manual_seed(1)
    found, kept, told = agent(), dict[str, tuple[State, Figures]](), list[Figures]()

    def save(name: str, tensors: State, figures: Figures) -> None:
        kept[name] = {k: v.clone() for k, v in tensors.items()}, dict(figures)
        if figures.get("rounds") == 2.0:
            raise Stopped

    with pytest.raises(Stopped):
        explored(found, Ledger(lambda *_: None, save, kept.get))
    assert len(kept["explore_round"][0]["values"]) == 20
    log = Ledger(lambda *a: told.append(a[3]), lambda *_: None, kept.get)
    resumed = explored(found, log)
    assert len(told) == 1, "two rounds of three were kept"
    assert torch.equal(resumed.values, explored(found, silent()).values)
    world = found.singles["world"].kind
    figures = curve(course_of(found).explore, resumed, world)
    assert [figures[f"transitions.{r}"] for r in (1, 2, 3)] == [200.0, 400.0, 600.0]
    assert figures["task_energy.3"] < figures["task_energy.1"] - 0.1, "it pays to be high"
    assert told[0]["task_energy"] == pytest.approx(figures["task_energy.3"])


def test_terms_may_weigh_otherwise_while_it_explores() -> None:
    torch.manual_seed(1)
    blind = {**EXPLORE, "acting": {**EXPLORE["acting"], "weights": {"predicted": 0.0}}}
    train = {"explore": blind, "learner": {"batch": 32}, "readouts": {"horizon": 10}}
    dataset = explored(agent(train=train, guardrails=[]), silent())
    assert bool((dataset.commands[10:] == 0).all()), "who wants nothing rests"


@pytest.mark.parametrize("drive", [True, False])
def test_the_critic_of_who_acts_anticipates_drives_alone(drive: bool) -> None:
    torch.manual_seed(0)
    term = {"use": "predicted", "quantity": "task_energy", "best": -1.0, "drive": drive}
    found = agent(terms=[term], critic={"use": "td_lambda", "discount": 0.9, "steps": 300})
    dataset = explored(found, silent())
    mind = pupil(found, course_of(found), dataset, 1).mind
    said = mind.critic.anticipate(mind.perception.encode(dataset.values))
    place = dataset.values[..., mind.site.sensors["place"]].squeeze(-1)
    low, high = said[place < place.quantile(0.1)].mean(), said[place > place.quantile(0.9)].mean()
    assert bool(low > high + 0.1) == drive, "it pays to be high, and goes on to"


def test_who_acts_may_look_ahead_in_between() -> None:
    torch.manual_seed(0)
    term = {"use": "predicted", "quantity": "task_energy", "best": -1.0, "drive": True}
    parts = {"terms": [term], "critic": {"use": "td_lambda", "discount": 0.9, "steps": 300}}
    found = agent(**parts)
    dataset = explored(found, silent())
    acting = {**EXPLORE["acting"], "lookahead": {"rounds": 4, "states": 64, "steps": 100}}
    train = found.config.train | {"explore": {**EXPLORE, "acting": acting}}
    low = dataset.values[:, :1]
    plain, ahead = (
        pupil(a, course_of(a), dataset, 1).mind for a in (found, agent(**parts, train=train))
    )
    said = [m.critic.anticipate(m.perception.encode(low)).mean() for m in (plain, ahead)]
    assert float(said[1]) < 0.95 * float(said[0]), "plans climb faster than what was lived"


def test_rounds_are_of_whole_batches() -> None:
    found = course_of(agent()).explore
    assert starts(found, 10) == [0, 1, 2, 3]
    assert starts(found, 20) == [0, 1, 2], "fewer batches than rounds"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"terms": [], "configurator": {"use": "fixed", "mode": 1, "horizon": 10}}, "only watches"),
        ({"train": {"explore": {**EXPLORE, "episodes": 12}}}, "at least 10 for each of 3 rounds"),
        (
            {"train": {"explore": {**EXPLORE, "acting": {"weights": {"predict": 0.0}}}}},
            "acting.weights: unknown term 'predict'; did you mean",
        ),
        ({"terms": [{"use": "preference", "quantities": ["place"]}]}, "came preference"),
    ],
)
def test_who_cannot_act_is_refused(more: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        explored(agent(**more), silent())
