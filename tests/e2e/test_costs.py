"""Goals that are shown and costs that are learned, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.cli import bench_preference
from agent.cli.main import main
from agent.record import checkpoint
from agent.train.preference import Preferring
from tests.tiny import CHEAP, REACH


def test_a_run_towards_goals_that_are_shown(weights: Path, folder: Path) -> None:
    words = ["run", REACH, "shown=true", "run.ticks=4", "run.seeds=[900000]", "run.reference=false"]
    terms = "terms=[{use: latent_distance}, {use: pain, weight: 1.0}]"
    words += [terms, *CHEAP, "--checkpoint", weights, "--out", "r"]
    assert main([str(w) for w in words]) == 0
    page = (folder / "r" / "report.html").read_text()
    assert "Dread and relief" in page
    card = json.loads((folder / "r" / "card.json").read_text())
    assert card["energy"]["latent_distance"] > 0


def test_bench_goals(weights: Path, folder: Path) -> None:
    words = ["bench", "goals", REACH, "--episodes", 2, "--checkpoint", weights, "eval.ticks=2"]
    assert main([str(w) for w in [*words, *CHEAP, "--json", "g.json"]]) == 0
    found = json.loads((folder / "g.json").read_text())["figures"]
    assert {"success.told", "success.shown", "success.latent"} <= set(found)
    assert found["goal_error"]["n"] == found["success.latent"]["n"] == 2
    assert found["goal_error"]["value"] > 0, "shown goals are read out, not told"


def test_bench_preference(weights: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_preference, "DEMONSTRATIONS", 4)
    brief = Preferring(rounds=1, windows=8, steps=5)
    monkeypatch.setattr(bench_preference, "Preferring", lambda: brief)
    words = ["bench", "preference", REACH, "--episodes", 2, "--seed", 900_000, *CHEAP]
    words += ["guardrails=[]", "eval.ticks=16", "--checkpoint", weights]
    assert main([str(w) for w in [*words, "--json", "p.json", "--out", "with.safetensors"]]) == 0
    found = json.loads((folder / "p.json").read_text())["figures"]
    assert {"hidden.before", "hidden.after", "hidden.demonstrator", "recovered"} <= set(found)
    kept, _ = checkpoint.load(folder / "with.safetensors")
    assert "terms.preference.mean" in kept
    assert set(checkpoint.load(weights)[0]) < set(kept)
