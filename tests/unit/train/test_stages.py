"""The whole course: complete, deterministic, resumable, and repeated from where settings changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.cli.main import main
from agent.cli.train import STAGES, Bar, on_disk, stage_hashes
from agent.config import schema
from agent.config.build import MARGINS, Blueprint, blueprint
from agent.core.errors import InputError
from agent.train.course import Trained, course_of, train
from agent.train.given import given
from agent.train.progress import Figures, Ledger, silent
from agent.train.understanding import experience
from tests.shelf import Power, shelf
from tests.tiny import CHEAP, REACH, TINY
from worlds.cliff.world import Cliff
from worlds.reach.world import Reach


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
    plans = blueprint(schema.load(REACH, [*TINY, *CHEAP, *parts]))
    made = train(plans, silent())
    assert made.tensors[MARGINS].shape == (1, 12)
    assert "calibrate.coverage.fast" in made.figures
    assert "calibrate.coverage.known" not in made.figures
    again = plans.assemble(made.tensors)
    assert torch.equal(again.guardrails.margins(12)[1:], made.tensors[MARGINS])
    assert not again.guardrails.margins(12)[0].any()


def test_a_search_may_be_cheaper_while_it_learns() -> None:
    """What is learned is what that search teaches; margins are of plans as they are made later."""
    cheap = train(blueprint(schema.load(REACH, [*TINY, *CHEAP])), silent()).tensors
    search = "train.actor={samples: 8, iterations: 1, elites: 2}"
    dear = train(blueprint(schema.load(REACH, [*TINY, search])), silent()).tensors
    assert cheap.keys() == dear.keys()
    assert [k for k, v in cheap.items() if not torch.equal(v, dear[k])] == [MARGINS]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("{use: mppi}", r"^train\.actor: .*came another actor, 'mppi'; leave out 'use'"),
        ("{policy: {width: 8}}", r"^train\.actor: .*leave out 'policy'"),
        ("{iteration: 1}", r"^train\.actor: unknown key 'iteration'; did you mean 'iterations'"),
    ],
)
def test_who_learns_is_who_acts(setting: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        course_of(blueprint(schema.load(REACH, [*TINY, f"train.actor={setting}"])))


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
    course = [*TINY, *CHEAP, "perception={use: filter, compressed: [impact]}"]
    course += ["train.completion.steps=50", "train.lookahead={rounds: 1, states: 8, steps: 5}"]
    filtering = blueprint(schema.load(REACH, course))
    ledger, kept = shelf(every_s=60.0)
    found = train(filtering, ledger)
    assert {"completion.error_0", "completion.error_16", "lookahead.planned"} <= set(found.figures)
    above = {"level", "joint", "level_readouts", "calibrate_levels", "explore_round"}
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
        ("train.levels.learner.rate=0.001", "level"),
        ("train.levels.joint={steps: 9}", "joint"),
        ("train.readouts.steps=51", "readouts"),
        ("train.actor={iterations: 2}", "lookahead"),
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


@pytest.mark.parametrize(
    ("policy", "change", "spoilt"),
    [
        ("ou", "train.learner.rate=0.001", False),
        ("curiosity", "train.learner.rate=0.001", True),
        ("curiosity", "train.actor={iterations: 2}", False),
        ("acting", "train.learner.rate=0.001", True),
        ("acting", "train.actor={iterations: 2}", True),
        ("acting", "actor.samples=17", True),
        ("acting", "critic.discount=0.5", True),
        ("acting", "train.distil.steps=21", False),
        ("acting", "run.ticks=3", False),
    ],
)
def test_what_decided_where_to_explore_spoils_what_was_explored(
    policy: str, change: str, spoilt: bool
) -> None:
    before, after = (hashes(f"train.explore.policy={policy}", *more) for more in ([], [change]))
    assert (before["explore"] != after["explore"]) is spoilt
    assert (before["explore_round"] != after["explore_round"]) is spoilt


def test_what_was_given_hangs_on_no_agent() -> None:
    given = "train={dataset: runs/some.safetensors, explore: {policy: acting}}"
    assert hashes(given)["explore"] == hashes(given, "critic.discount=0.5")["explore"]


def test_what_was_explored_may_be_given_to_another_training(folder: Path) -> None:
    """The states of a training say whose sensors they are of; of another body, they are refused."""
    small = blueprint(schema.load(REACH, [*TINY, *CHEAP]))
    with Bar(folder / "metrics.jsonl") as bar:
        ledger = on_disk(folder, small, bar, [])
        seen = experience(small, small.assemble(), course_of(small), ledger)
    path = folder / "explore.safetensors"
    assert torch.equal(given(path, Reach).values, seen.values)
    with pytest.raises(InputError, match="the world has"):
        given(path, Cliff)


def test_a_fresh_training_does_not_delete_what_it_is_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    kept = folder / "runs" / "train-reach-seed0" / "explore.safetensors"
    kept.parent.mkdir(parents=True)
    kept.touch()
    given = f"train.dataset={kept.relative_to(folder)}"
    assert main(["train", str(REACH.resolve()), "--fresh", given]) == 2
    assert kept.exists()
