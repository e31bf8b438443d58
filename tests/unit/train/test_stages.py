"""Training stages: resumable bit for bit, calibrated as promised, and the whole course deterministic."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from agent.cli.train import STAGES, stage_hashes
from agent.config import schema
from agent.config.build import MARGINS, Blueprint, blueprint
from agent.core.errors import InputError
from agent.train.calibrate import conformal
from agent.train.course import Course, Trained, train
from agent.train.dataset import Dataset
from agent.train.progress import Figures, Ledger, State, descend, silent
from agent.train.stages import explore, learn_world
from modules.world_model.learn import Learner, schedule
from modules.world_model.objectives.vicreg import covariance, variance
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


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_training_that_diverges_stops_and_the_last_good_state_stays(value: float) -> None:
    part = torch.nn.Linear(1, 1)
    ledger, kept = shelf()

    def step(index: int) -> Figures:
        return {"fine": 1.0, "loss": value if index == 3 else 0.5}

    complaint = rf"^s: expected a finite loss at step 3, came {value}: .* lower its rate"
    with pytest.raises(InputError, match=complaint) as caught:
        descend("s", 9, step, part, torch.optim.Adam(part.parameters()), ledger)
    assert "\n" not in str(caught.value)
    assert kept["s"][1]["done"] == 3


def test_weights_that_are_not_finite_are_never_kept() -> None:
    part = torch.nn.Linear(1, 1)
    ledger, kept = shelf()

    def step(index: int) -> Figures:
        if index == 2:
            part.weight.data.fill_(torch.nan)
        return {"loss": 0.5}

    with pytest.raises(InputError, match=r"^s: expected a finite weight at step 2, came nan"):
        descend("s", 9, step, part, torch.optim.Adam(part.parameters()), ledger)
    assert kept["s"][1]["done"] == 2
    assert bool(kept["s"][0]["part.weight"].isfinite().all())


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
    for name in (
        "train_s",
        "train_cpu_s",
        "effective_rank",
        "collapsed",
        "predictability",
        "information_y",
        "calibrate.coverage",
        "calibrate.promised_coverage",
    ):
        assert name in figures
    assert {f"probe_r2.{n}" for n in ("joint_angle", "fingertip", "proximity")} <= set(figures)


def test_a_course_calibrates_what_is_realised_and_passes_the_unknown_by() -> None:
    parts = [
        "guardrails=[{use: known, limit: 50.0},"
        " {use: at_most, name: fast, quantity: joint_speed, limit: 1.7}]",
        "terms=[{use: distance, quantity: fingertip}, {use: uncertainty}]",
    ]
    plans = blueprint(schema.load(REACH, [*TINY, *parts]))
    made = train(plans, silent())
    assert made.tensors[MARGINS].shape == (1, 12)
    assert "calibrate.coverage.fast" in made.figures
    assert "calibrate.coverage.known" not in made.figures
    again = plans.assemble(made.tensors)
    assert torch.equal(again.guardrails.margins(12)[1:], made.tensors[MARGINS])
    assert not again.guardrails.margins(12)[0].any()


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
    above = {"level", "level_readouts", "calibrate_levels"}
    assert kept.keys() == STAGES.keys() - {"surprise", "watch", "rehearse"} - above
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
        ("train.learner.objectives=[{use: prediction}, {use: sigreg}]", "world_model"),
        ("train.rehearse={steps: 9}", "rehearse"),
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
