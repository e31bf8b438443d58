"""The learner of encoder and ensemble: what it descends, its slow target, resumed bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from agent.config import schema
from agent.config.build import Blueprint, blueprint
from agent.core.errors import InputError
from agent.train.course import Course
from agent.train.dataset import Dataset
from agent.train.progress import Ledger, silent
from agent.train.stages import explore, learn_world
from modules.world_model.learn import Learner, schedule
from modules.world_model.objectives.vicreg import covariance, variance
from tests.shelf import Power, shelf


def learner(plans: Blueprint, steps: int = 12, uses: str = "", **more: Any) -> Learner:
    """Return a small learner, on objectives of these names (else the default ones)."""
    if uses:
        train = {"learner": {"objectives": [{"use": use} for use in uses.split()]}}
        plans = blueprint(plans.config.model_copy(update={"train": train}))
    mind = plans.assemble()
    objectives = [c.build(mind.site) for c in plans.objectives]
    config = Learner.Config(steps=steps, batch=8, **more)
    return Learner(config, mind.perception, mind.world_model, objectives, 3)


@pytest.fixture(scope="module")
def dataset(plans: Blueprint) -> Dataset:
    course: Course = schema.validate(Course, plans.config.train, "train")
    world = plans.world(32)
    try:
        return explore(course.explore, world, 0, silent())
    finally:
        world.close()


EVERY = "prediction vicreg barlow_twins sigreg info_nce inverse straightening none"


@pytest.mark.parametrize(
    ("fail_at", "more"),
    [(1, {}), (5, {}), (11, {}), (5, {"uses": EVERY, "target": "ema", "decay": 0.9})],
)
def test_an_interrupted_learner_ends_bit_equal(
    plans: Blueprint, dataset: Dataset, fail_at: int, more: dict[str, Any]
) -> None:
    whole = learner(plans, **more)
    learn_world(whole, dataset, 6, silent())
    ledger, kept = shelf(fail_at)
    with pytest.raises(Power):
        learn_world(learner(plans, **more), dataset, 6, ledger)
    assert kept["world_model"][1]["done"] == fail_at
    again = learner(plans, **more)
    with torch.no_grad():
        for value in again.parameters():
            value.add_(1.0)
    learn_world(again, dataset, 6, Ledger(lambda *_: None, lambda *_: None, kept.get))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_the_learner_lowers_its_criteria(plans: Blueprint, dataset: Dataset) -> None:
    pupil = learner(plans, steps=60)
    pupil.perception.fit_normaliser(dataset.values)
    known, _ = dataset.split()
    figures = [pupil.step(i, known) for i in range(60)]
    first = sum(f["inverse"] + f["prediction"] for f in figures[:5])
    last = sum(f["inverse"] + f["prediction"] for f in figures[-5:])
    assert last < 0.8 * first


def test_a_minibatch_is_a_function_of_seed_and_step(plans: Blueprint, dataset: Dataset) -> None:
    one, other = learner(plans), learner(plans)
    assert one.step(4, dataset) == other.step(4, dataset)
    assert learner(plans).step(5, dataset) != learner(plans).step(4, dataset)


def test_the_default_recipe_is_the_sum_written_out(plans: Blueprint, dataset: Dataset) -> None:
    """Prediction + VICReg + 2 inverse dynamics, every step's error taken on the way: bit-equal."""
    one, other = fitted(plans, dataset), fitted(plans, dataset)
    model, (head,) = other.model, other.objectives
    for index in range(3):
        one.step(index, dataset)
        generator = torch.Generator().manual_seed(other.seed * 1_000_003 + index)
        values, commands = dataset.windows(model.members * 8, 6, generator)
        latents = other.perception.encode(values)
        own = latents.reshape(model.members, 8, 7, -1)
        moves = commands.reshape(model.members, 8, 6, -1)
        states, prediction = own[:, :, 0], torch.zeros(())
        for h in range(6):
            states = model.step(states, moves[:, :, h])
            prediction = prediction + F.mse_loss(states, own[:, :, h + 1])
        start = latents[:, 0]
        kept_apart = variance(start, 1.0) + 0.2 * covariance(start)
        pairs = torch.cat((latents[:, :-1], latents[:, 1:]), dim=-1)
        inverse = F.mse_loss(head.head(pairs), (commands - model.centre) / model.extent)
        for group in other.optimiser.param_groups:
            group["lr"] = 2e-3 * schedule(index, 12)
        other.optimiser.zero_grad(set_to_none=True)
        (prediction / 6 + kept_apart + 2.0 * inverse).backward()
        torch.nn.utils.clip_grad_norm_(other.parameters(), 1.0)
        other.optimiser.step()
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def fitted(plans: Blueprint, dataset: Dataset, **more: Any) -> Learner:
    pupil = learner(plans, **more)
    pupil.perception.fit_normaliser(dataset.values)
    return pupil


def test_a_slow_target_that_keeps_nothing_is_the_detached_one(
    plans: Blueprint, dataset: Dataset
) -> None:
    settings = ({"target": "detached"}, {"target": "ema", "decay": 0.0}, {"target": "shared"})
    pupils = [fitted(plans, dataset, **more) for more in settings]
    for i in range(4):
        detached, slow, shared = (pupil.step(i, dataset) for pupil in pupils)
        assert detached == slow
        assert (detached["loss"] == shared["loss"]) == (i == 0)


def test_a_slow_target_follows_and_is_not_trained(plans: Blueprint, dataset: Dataset) -> None:
    pupil = fitted(plans, dataset, target="ema", decay=0.75)
    assert pupil.slow is not None
    assert not any(v.requires_grad for v in pupil.slow.parameters())
    before = [v.clone() for v in pupil.slow.parameters()]
    pupil.step(0, dataset)
    pairs = zip(before, pupil.slow.parameters(), pupil.perception.parameters(), strict=True)
    for old, slow, fast in pairs:
        torch.testing.assert_close(slow, 0.75 * old + 0.25 * fast)
    for slow, own in zip(pupil.slow.buffers(), pupil.perception.buffers(), strict=True):
        assert torch.equal(slow, own)
    assert any(name.startswith("slow.") for name in pupil.state_dict())


def test_weights_of_an_objective_are_trained_along(plans: Blueprint, dataset: Dataset) -> None:
    pupil = learner(plans)
    before = {k: v.clone() for k, v in pupil.objectives.state_dict().items()}
    assert before
    pupil.step(0, dataset)
    assert all(not torch.equal(v, before[k]) for k, v in pupil.objectives.state_dict().items())


def test_collapse_is_said_in_one_line(plans: Blueprint, dataset: Dataset) -> None:
    said: list[str] = []
    ledger = Ledger(lambda *_: None, lambda *_: None, lambda _: None, say=said.append)
    assert learn_world(learner(plans, steps=300), dataset, 6, ledger)["collapsed"] == 0.0
    assert not said
    pupil = learner(plans, steps=1, uses="prediction none")
    with torch.no_grad():
        for value in pupil.perception.parameters():
            value.mul_(0.01)
    figures = learn_world(pupil, dataset, 6, ledger)
    assert figures["collapsed"] == 1.0
    assert figures["information_x"] < -4
    (line,) = said
    assert "warning: world_model: the latents collapsed (effective_rank" in line
    assert "train.learner.objectives" in line
    assert "\n" not in line


def test_a_learner_that_diverges_says_so(plans: Blueprint, dataset: Dataset) -> None:
    pupil = learner(plans)
    with torch.no_grad():
        next(pupil.model.parameters()).fill_(torch.nan)
    with pytest.raises(InputError, match=r"^world_model: expected a finite \w+ at step 0"):
        learn_world(pupil, dataset, 6, silent())


def test_the_rate_warms_up_and_falls() -> None:
    rates = [schedule(i, 1000) for i in range(1001)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == pytest.approx(1.0)
    assert rates[1000] == pytest.approx(0.01)
    assert all(b <= a for a, b in zip(rates[9:], rates[10:], strict=False))
