"""Every command copes with an agent that sees through a camera."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from agent.cli.main import main
from agent.config import schema
from agent.config.build import blueprint
from agent.core.messages import Observation
from agent.record import checkpoint
from agent.record.log import read
from tests.tiny import REACH

PIXELS = REACH.with_name("reach-pixels.yaml")
SHORT = ["run.ticks=4", "run.seeds=[900000]", "eval.ticks=4", "actor.samples=8", "actor.elites=4"]


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint of an agent that has learned nothing."""
    path = tmp_path_factory.mktemp("weights") / "blank.safetensors"
    plans = blueprint(schema.load(PIXELS))
    about = {"config": plans.resolved(), "config_hash": "", "seed": 0, "figures": {}}
    checkpoint.save(path, plans.assemble().tensors(), about)
    return path


def test_an_episode_is_lived_recorded_and_reported(blank: Path, folder: Path) -> None:
    words = ["run", str(PIXELS), *SHORT, "--checkpoint", str(blank), "--out", "r"]
    assert main(words) == 0
    record = read(folder / "r")
    seen = [t.messages[Observation].values for t in record.episodes[0].ticks]
    kind = blueprint(schema.load(PIXELS)).singles["world"].kind
    world = kind(kind.Config(), 1)
    assert torch.equal(seen[0], world.reset([900_000]).values), "bit for bit, images included"
    world.close()
    assert (folder / "r" / "report.html").exists()
    assert main(["report", "r", "--checkpoint", str(blank)]) == 0


def test_it_is_evaluated_without_the_oracle(blank: Path, folder: Path) -> None:
    words = ["eval", str(PIXELS), *SHORT, "--checkpoint", str(blank), "--episodes", "2"]
    assert main([*words, "--json", "e.json"]) == 0
    figures = json.loads((folder / "e.json").read_text())["figures"]
    assert figures["success"]["n"] == 2
    assert figures["oracle_success"]["value"] is None


def test_it_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(PIXELS)]) == 0
    assert "config and wiring are sound" in capsys.readouterr().out


def test_a_camera_may_have_sensors_beside_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = (
        "train={explore: {episodes: 20, ticks: 26}, learner: {steps: 3, batch: 2}, rehearse: null,"
        " readouts: {steps: 3, horizon: 8}, detours: {steps: 3, states: 64, goals: 8, ticks: 8},"
        " distil: {lessons: 4, steps: 2}, calibrate: {rounds: 2, episodes: 8, segments: 2}}"
    )
    beside = "perception.beside=[joint_angle]"
    assert main(["train", str(PIXELS), tiny, beside, "--out", "w.safetensors"]) == 0
    words = ["run", str(PIXELS), *SHORT, beside, "--checkpoint", "w.safetensors", "--out", "r"]
    assert main(words) == 0
    assert main(["check", str(PIXELS), "perception.beside=[joint_angel]"]) == 2
    assert "did you mean 'joint_angle'" in capsys.readouterr().err


def test_what_a_camera_costs_and_a_latent_keeps_is_measured(blank: Path, folder: Path) -> None:
    tiny = ["train={explore: {episodes: 20, ticks: 26}, learner: {steps: 3, batch: 2}}"]
    words = ["bench", "pixels", str(PIXELS), "world.looks=3", *tiny]
    assert main([*words, "--json", "learned.json"]) == 0
    learned = json.loads((folder / "learned.json").read_text())["figures"]
    assert learned["linear_accuracy.look"]["value"] >= 0.0
    assert learned["learner_step_ms"]["n"] == 3
    more = ["--checkpoint", str(blank), "--out", "seen.svg", "--json", "read.json"]
    assert main(["bench", "pixels", str(PIXELS), *tiny, *more]) == 0
    assert "<svg" in (folder / "seen.svg").read_text()
    found = json.loads((folder / "read.json").read_text())["figures"]
    assert {"probe_r2.fingertip", "probe_r2.joint_speed", "encode_us"} <= set(found)
    assert "linear_accuracy.look" not in found


def test_a_bench_without_a_camera_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "pixels", str(REACH), "train={explore: {episodes: 2, ticks: 9}}"]
    assert main(words) == 2
    assert "expected a world with a camera" in capsys.readouterr().err


def test_what_videos_teach_before_acting_is_measured(folder: Path) -> None:
    tiny = [
        "train={watch: {ticks: 8, learner: {steps: 2, batch: 2, horizon: 2}},"
        " explore: {episodes: 10, ticks: 24}, learner: {steps: 2, batch: 2, horizon: 2},"
        " readouts: {steps: 2, batch: 4, horizon: 3}}"
    ]
    words = ["bench", "watching", str(PIXELS), *tiny, "--episodes", "10", "--seed", "3"]
    assert main([*words, "--json", "w.json"]) == 0
    found = json.loads((folder / "w.json").read_text())["figures"]
    for arm in ("alone", "watched"):
        for name in ("error.fingertip.20", "latent_error.1", "linear_r2.joint_angle"):
            assert found[f"{arm}.{name}"]["value"] is not None
    assert found["alone.latent_error.1"] != found["watched.latent_error.1"]


def test_videos_that_are_not_there_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(PIXELS), "train.watch.videos=films", "train.explore.episodes=1"]
    assert main([*words, "train.explore.ticks=30", "--out", "w.safetensors"]) == 2
    said = capsys.readouterr().err
    assert "expected videos" in said
    assert "found none" in said
