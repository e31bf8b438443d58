"""A cost from demonstrations: margins are kept, what was done is cheap, and a checkpoint keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.cli.bench_preference import Sparing, _with, demonstrate, hidden, learner
from agent.config import schema
from agent.config.build import Blueprint, blueprint
from agent.record import checkpoint
from agent.train.preference import Choices, Preferring, _hinge, fit_preference
from agent.train.progress import silent
from modules.cost.terms.preference import Preference
from tests.contract import stand
from tests.tiny import REACH


@pytest.fixture(scope="module")
def found() -> Blueprint:
    quick = ["eval.ticks=20", "actor.samples=16", "actor.iterations=1", "actor.elites=4",
             "guardrails=[]"]  # fmt: skip
    return blueprint(schema.load(REACH, quick))


def untrained() -> Preference:
    made: Preference = stand.mind("term", "preference").blueprint.assemble().terms[0]
    return made


def test_an_untrained_one_prefers_nothing() -> None:
    made = stand.mind("term", "preference").blueprint.assemble()
    seen = stand.rollout(made, 3, 2, 4, 5)
    seen = stand.grown(seen, {n: v.float() for n, v in stand.leaves(seen).items()})
    energy = made.terms[0].energy(seen, stand.directive(made, 2, 5))
    torch.testing.assert_close(energy, torch.full_like(energy, 2.0).log())


def test_the_margin_grows_with_how_unlike_the_alternative_is() -> None:
    term, config = untrained(), Preferring(margin=0.5)
    done = torch.zeros(3, 5, 4)
    instead = torch.stack((done[0], done[0] + 1.0, done[0] + 2.0))
    short = _hinge(term, Choices(done, instead, torch.zeros(3)), config)
    torch.testing.assert_close(short, torch.tensor([0.0, 0.5, 1.0]))
    known = torch.tensor([0.0, -9.0, 3.0])
    short = _hinge(term, Choices(done, instead, known), config)
    torch.testing.assert_close(short, torch.tensor([0.0, 0.0, 4.0]))


def test_what_was_done_becomes_cheaper_than_what_would_have_been(
    found: Blueprint, tensors: dict[str, Tensor], folder: Path
) -> None:
    expert = _with(found, {"use": "agent.cli.bench_preference:Sparing"}).assemble(tensors)
    mind = learner(found, tensors)
    shown, outcome, goals = demonstrate(expert, range(700_000, 700_008))
    assert shown.ticks == 19
    assert outcome.ticks == 8 * 20
    term = next(t for t in mind.terms if t.name == "preference")
    kept = {k: v.clone() for k, v in mind.tensors().items()}
    told = fit_preference(
        mind, term, shown, goals, Preferring(rounds=2, windows=32, steps=100), silent()
    )
    assert told["gap"] > 0.01
    assert told["content"] > 0.5
    assert told["short"] < told["first.short"]
    own = {k for k in kept if k.startswith("terms.preference.")}
    assert own
    now = mind.tensors()
    assert all(torch.equal(now[k], kept[k]) for k in kept.keys() - own), "only it has learned"
    assert any(not torch.equal(now[k], kept[k]) for k in own)
    path = folder / "with.safetensors"
    about = {"config": {}, "config_hash": "", "seed": 0, "command": "pytest", "figures": {}}
    checkpoint.save(path, now, about)
    again = mind.blueprint.assemble(checkpoint.load(path)[0])
    assert all(torch.equal(v, now[k]) for k, v in again.tensors().items())


def test_tensors_of_agents_without_it_are_as_they_were(
    found: Blueprint, tensors: dict[str, Tensor]
) -> None:
    plain = found.assemble({k: v for k, v in tensors.items() if k != "margins"})
    assert not [k for k in plain.tensors() if "preference" in k]


def test_the_hidden_cost_is_the_first_joints_squared_speed(found: Blueprint) -> None:
    mind = stand.mind("term", "effort")
    seen: Any = stand.rollout(mind, 1, 1, 1, 3)
    term = Sparing(Sparing.Config(), mind.site)
    speed = seen.quantities["joint_speed"][..., 0]
    assert torch.equal(term.energy(seen, stand.directive(mind, 1, 3)), speed.square())
    from agent.train.dataset import Dataset

    values = torch.zeros(2, 4, mind.site.sensors.size)
    values[1, :, mind.site.sensors["joint_speed"]] = torch.tensor([3.0, 7.0])
    assert hidden(Dataset(values, values[:, 1:, :2]), found).tolist() == [0.0, 9.0]


def test_a_quantity_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"there is no readout 'joint_sped'; .*joint_speed"):
        Preference(Preference.Config(quantities=["joint_sped"]), stand.mind("term", "effort").site)
