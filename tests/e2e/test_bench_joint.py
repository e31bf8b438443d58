"""`bench joint` end to end, on three levels trained for moments."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli import bench_joint
from agent.cli.main import main
from agent.config import schema
from agent.config.build import blueprint
from agent.train.course import course_of
from tests.tiny import ROOT, figures

THREE = ROOT / "configs" / "lab" / "rooms-three.yaml"
TINY = [
    "train.explore.episodes=20",
    *(f"train.{part}.steps=3" for part in ("learner", "readouts", "levels.learner")),
    *(f"train.{part}.batch=4" for part in ("learner", "readouts", "levels.learner")),
    "train.levels.readouts.steps=3",
    "train.levels.joint.steps=2",
    "world_model.levels.0.width=16",
    "world_model.levels.1.width=16",
]


def test_both_ways_are_trained_and_compared_seed_by_seed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_joint, "SEEDS", (0, 1))
    assert main(["bench", "joint", str(THREE), *TINY, "--json", "j.json"]) == 0
    found = figures(folder / "j.json")
    for name in ("relative_error_12", "probe_r2.position", "level2.relative_error_1",
                 "level3.relative_error_3", "level3.rms.position"):  # fmt: skip
        apart, joint, gain = (found[f"{arm}.{name}"] for arm in ("apart", "joint", "joint-apart"))
        assert apart["n"] == joint["n"] == gain["n"] == 2
        assert apart["value"] != joint["value"]
        assert gain["value"] == pytest.approx(joint["value"] - apart["value"], abs=1e-6)
    assert not [name for name in found if "information" in name]


def test_each_level_takes_as_many_steps_either_way() -> None:
    found = blueprint(schema.load(THREE, TINY))
    joint = course_of(bench_joint.arranged(found, True, 4))
    apart = course_of(bench_joint.arranged(found, False, 4))
    assert bench_joint.arranged(found, False, 4).config.seed == 4
    assert joint.levels.joint is not None and apart.levels.joint is None
    more = joint.levels.joint.steps
    assert apart.learner == joint.learner.model_copy(update={"steps": joint.learner.steps + more})
    longer = joint.levels.learner.steps + more
    assert apart.levels.learner == joint.levels.learner.model_copy(update={"steps": longer})
    assert apart.explore == joint.explore
    assert apart.levels.readouts == joint.levels.readouts


def test_a_config_that_trains_no_levels_together_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain = THREE.with_name("rooms-hierarchical.yaml")
    assert main(["bench", "joint", str(plain)]) == 2
    assert "set train.levels.joint" in capsys.readouterr().err
