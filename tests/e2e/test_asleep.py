"""Sleep between the episodes of a run, and its bench, with weights trained for seconds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.cli import bench_sleep
from agent.cli.main import main
from tests.tiny import REACH, ROOT, figures

SLEEPING = str(ROOT / "configs" / "reach-sleeping.yaml")
LESS = ["world_model.steps=20", "critic.steps=20", "actor.steps=4", "actor.samples=16"]
LESS += ["actor.elites=4", "actor.iterations=1", "world.gain_scale=0.5"]


@pytest.mark.usefixtures("unreported")
def test_a_run_sleeps_between_its_episodes(
    weights: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", SLEEPING, *LESS, "--checkpoint", str(weights), "--seed", "900000"]
    words += ["--episodes", "3", "run.ticks=60", "run.reference=false", "gate.deadline_ms=0"]
    assert main([*words, "--out", "asleep"]) == 0
    card = json.loads((folder / "asleep" / "card.json").read_text())
    assert len(card["nights"]) == 2
    second = card["nights"][1][0]
    assert second.startswith("sleep: world_model.before")
    for told in ("critic.after", "widened.keep_clear", "actor.lessons", "memory.stored 118"):
        assert told in second
    assert "night 2: sleep: world_model.before" in capsys.readouterr().out


def test_bench_sleep(
    weights: Path, folder: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(bench_sleep, "WAKING", 4)
    words = ["bench", "sleep", SLEEPING, *LESS, "eval.ticks=30", "--episodes", "1"]
    words += ["--seed", "900000", "--checkpoint", str(weights)]
    assert main([*words, "--json", "s.json", "--out", "s.svg"]) == 0
    found = figures(folder / "s.json")
    for arm in ("before", *bench_sleep.ARMS):
        assert found[f"gain_scale=0.5.{arm}.success"]["n"] == 1
        assert found[f"gain_scale=0.5.{arm}.error_horizon"]["value"] > 0
    for arm in ("awake", "critic", "actor"):
        error = found["gain_scale=0.5.awake.error_old"]["value"]
        assert found[f"gain_scale=0.5.{arm}.error_old"]["value"] == error
    assert found["gain_scale=0.5.keeping.kept"]["value"] == 1.0
    assert found["gain_scale=0.5.slept.sleep.memory.stored"]["n"] == 2
    assert (folder / "s.svg").read_text().startswith("<svg")
    assert main(["bench", "sleep", SLEEPING]) == 2
    assert "came no change" in capsys.readouterr().err
    assert main(["bench", "sleep", str(REACH), "world.gain_scale=0.5"]) == 2
    assert "came none that sleeps" in capsys.readouterr().err
