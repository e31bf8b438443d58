"""Training stages: resumable bit for bit, calibrated as promised, and the whole course deterministic."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from agent.cli.train import STAGES, stage_hashes
from agent.config import schema
from agent.config.build import MARGINS, Blueprint, blueprint
from agent.train.calibrate import conformal
from agent.train.course import Course, Trained, train
from agent.train.dataset import Dataset
from agent.train.progress import Figures, Ledger, State, descend, silent
from agent.train.stages import explore, learn_world
from modules.world_model.learn import Learner, schedule
from tests.tiny import REACH, TINY


class Power(Exception):
    """The power goes out."""


def shelf(fail_at: int | None = None, every_s: float = 0.0) -> tuple[Ledger, dict[str, Any]]:
    """Return a ledger that keeps states in memory, and fails at the n-th save."""
    kept: dict[str, tuple[State, Figures]] = {}
    saves = 0

    def save(name: str, tensors: State, figures: Figures) -> None:
        nonlocal saves
        saves += 1
        kept[name] = ({k: v.clone() for k, v in tensors.items()}, dict(figures))
        if saves == fail_at:
            raise Power

    return Ledger(lambda *_: None, save, kept.get, every_s), kept


def learner(plans: Blueprint, steps: int = 12) -> Learner:
    mind = plans.assemble()
    return Learner(Learner.Config(steps=steps, batch=8), mind.perception, mind.world_model, 3)


@pytest.fixture(scope="module")
def dataset(plans: Blueprint) -> Dataset:
    course: Course = schema.validate(Course, plans.config.train, "train")
    world = plans.world(32)
    try:
        return explore(course.explore, world, 0, silent())
    finally:
        world.close()


@pytest.mark.parametrize("fail_at", [1, 5, 11])
def test_an_interrupted_learner_ends_bit_equal(
    plans: Blueprint, dataset: Dataset, fail_at: int
) -> None:
    whole = learner(plans)
    learn_world(whole, dataset, 6, silent())
    ledger, kept = shelf(fail_at)
    with pytest.raises(Power):
        learn_world(learner(plans), dataset, 6, ledger)
    assert kept["world_model"][1]["done"] == fail_at
    again = learner(plans)
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


def test_the_rate_warms_up_and_falls() -> None:
    rates = [schedule(i, 1000) for i in range(1001)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == pytest.approx(1.0)
    assert rates[1000] == pytest.approx(0.01)
    assert all(b <= a for a, b in zip(rates[9:], rates[10:], strict=False))


def test_descend_resumes_where_it_stopped() -> None:
    part = torch.nn.Linear(1, 1)
    seen: list[int] = []

    def step(index: int) -> Figures:
        seen.append(index)
        return {}

    ledger, kept = shelf()
    optimiser = torch.optim.Adam(part.parameters())
    descend("s", 5, step, part, optimiser, ledger)
    descend("s", 8, step, part, optimiser, ledger)
    assert seen == list(range(8))
    assert kept["s"][1]["done"] == 8


@pytest.mark.parametrize(("n", "rate"), [(200, 0.1), (50, 0.05), (19, 0.2)])
def test_conformal_margins_cover_as_promised(n: int, rate: float) -> None:
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(4000, n + 1, generator=generator) ** 3
    margins = conformal(draws[:, :n].T.reshape(n, 4000, 1), rate)[:, 0]
    covered = (draws[:, n] <= margins).float().mean()
    promised = 1 - rate
    assert float(covered) >= promised - 0.015
    assert float(covered) <= promised + 1 / (n + 1) + 0.015


def test_the_conformal_quantile_is_the_counted_one() -> None:
    values = torch.arange(1.0, 100.0)[
        torch.randperm(99, generator=torch.Generator().manual_seed(1))
    ]
    assert conformal(values[:, None, None], 0.1).item() == 90.0
    assert conformal(values[:, None, None], 0.5).item() == 50.0
    assert conformal(values[:5, None, None], 0.1).item() == values[:5].max().item()


def test_margins_are_each_guardrails_and_steps_own() -> None:
    excess = torch.stack([torch.arange(99.0) + o for o in (0.0, 10.0, 20.0, 30.0)], dim=1)
    margins = conformal(excess.reshape(99, 2, 2), 0.1)
    assert margins.tolist() == [[89.0, 99.0], [109.0, 119.0]]


def test_the_course_makes_everything_a_checkpoint_needs(trained: Trained, plans: Blueprint) -> None:
    assert set(trained.tensors) == set(plans.assemble().tensors())
    assert all(bool(torch.isfinite(v).all()) for v in trained.tensors.values())
    margins = trained.tensors[MARGINS]
    assert margins.shape == (3, 12)
    assert bool((margins >= 0).all())
    figures = trained.figures
    assert figures["transitions"] == 32 * 96 + 2 * 8 * 6 * 12
    for name in ("train_s", "effective_rank", "calibrate.coverage", "calibrate.promised_coverage"):
        assert name in figures
    assert {f"probe_r2.{n}" for n in ("joint_angle", "fingertip", "proximity")} <= set(figures)


def test_every_part_has_learned_something(trained: Trained, plans: Blueprint) -> None:
    before = plans.assemble().tensors()
    for prefix in ("perception", "world_model", "readouts", "critic", "terms.to_go", "actor"):
        changed = [
            k
            for k in before
            if k.startswith(prefix) and not torch.equal(before[k], trained.tensors[k])
        ]
        assert changed, prefix


def test_the_same_seed_trains_the_same_agent_also_after_interruptions(
    trained: Trained, plans: Blueprint
) -> None:
    kept: dict[str, Any] = {}
    saves = 0

    def save(name: str, tensors: dict[str, Tensor], figures: Figures) -> None:
        nonlocal saves
        kept[name] = ({k: v.clone() for k, v in tensors.items()}, dict(figures))
        saves += 1
        if saves in (1, 3, 5, 7):
            raise Power

    course = Ledger(lambda *_: None, save, kept.get)
    done: Trained | None = None
    attempts = 0
    while done is None:
        attempts += 1
        try:
            done = train(plans, course)
        except Power:
            continue
    assert attempts == 5
    for name, value in trained.tensors.items():
        assert torch.equal(value, done.tensors[name]), name


def test_a_filter_learns_to_complete_and_state_has_no_such_stage(trained: Trained) -> None:
    assert not [name for name in trained.figures if name.startswith("completion")]
    course = [*TINY, "perception={use: filter, compressed: [impact]}", "train.completion.steps=50"]
    filtering = blueprint(schema.load(REACH, course))
    ledger, kept = shelf(every_s=60.0)
    found = train(filtering, ledger)
    assert {"completion.error_0", "completion.error_16"} <= set(found.figures)
    assert kept.keys() == STAGES.keys()
    assert set(found.tensors) == set(filtering.assemble().tensors())
    taught = kept["completion"][0]
    for name, value in found.tensors.items():
        if name.startswith("perception.decoder."):
            assert torch.equal(value, taught["part." + name.removeprefix("perception.decoder.")])


def hashes(*changes: str) -> dict[str, str]:
    return stage_hashes(blueprint(schema.load(REACH, [*TINY, *changes])).resolved())


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ("seed=1", "explore"),
        ("train.learner.rate=0.001", "world_model"),
        ("train.readouts.steps=51", "readouts"),
        ("train.distil.steps=21", "lessons"),
        ("train.calibrate.episodes=9", "calibrate"),
        ("train.completion.steps=51", "completion"),
        ("run.ticks=3", None),
    ],
)
def test_a_change_spoils_the_stages_from_where_it_matters(change: str, first: str | None) -> None:
    before, after = hashes(), hashes(change)
    changed = [stage for stage in STAGES if before[stage] != after[stage]]
    order = list(STAGES)
    assert changed == (order[order.index(first) :] if first else [])
