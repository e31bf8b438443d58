"""Tasks of sub-goals and the choice of modes, from the command line, with weights of seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from agent.cli import bench_modes
from agent.cli.main import main
from agent.core.messages import Directive
from agent.evaluate.modes import Spent
from agent.record.playback import read
from tests.tiny import CHEAP, ROOT, figures


@pytest.mark.usefixtures("unreported")
def test_a_run_of_sub_goals(weights: Path, folder: Path) -> None:
    words = ["run", ROOT / "configs" / "tasks" / "park.yaml", "run.ticks=4", "run.seeds=[900000]"]
    assert main([str(w) for w in [*words, *CHEAP, "--checkpoint", weights, "--out", "r"]]) == 0
    (episode,) = read(folder / "r").episodes
    asked = episode.ticks[-1].messages[Directive].subgoals
    names = ("reach", "above", "up", "reach_up", "below", "down", "reach_down", "fold")
    assert asked.names == names
    assert asked.progress.tolist() == [[1, 0, 0, 0, 0, 0, 0, 0]]
    assert json.loads((folder / "r" / "card.json").read_text())["energy"]["aim"] == 0.0


def test_modes_are_compared_by_what_they_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_modes, "PRACTICE", 0)

    def spent(seconds: float, carried: int) -> Spent:
        one = np.array([1, 1])
        return Spent(one > 0, 10 * one, 2 * one, carried * one, one, seconds * one, seconds * one)

    lived = {"adaptive": spent(0.1, 5), "react": spent(0.2, 0), "deliberate": spent(0.4, 0)}
    found = bench_modes.figures(lived, [])
    assert found["carried.adaptive"]["value"] == 0.5
    assert found["carried.react"]["value"] == 0.0
    assert found["plan_s.adaptive/deliberate"]["value"] == pytest.approx(0.25)
    assert found["per_cpu_s.adaptive/react"]["value"] == pytest.approx(2.0)


def test_bench_modes(weights: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_modes, "PRACTICE", 2)
    monkeypatch.setattr(bench_modes, "BLOCK", 1)
    words = ["bench", "modes", ROOT / "configs" / "lab" / "adaptive.yaml", "--episodes", 2]
    words += [
        "--seed",
        900_000,
        "eval.ticks=4",
        *CHEAP,
        "--checkpoint",
        weights,
        "--json",
        "m.json",
    ]
    assert main([str(w) for w in words]) == 0
    found = figures(folder / "m.json")
    assert found["thought.react"]["value"] == 0.0
    assert found["thought.deliberate"]["value"] == 1.0
    assert 0.0 < found["thought.adaptive"]["value"] <= 1.0
    assert found["carried.react"]["value"] == found["carried.deliberate"]["value"] == 0.0
    assert found["evaluations.deliberate"]["value"] > found["evaluations.react"]["value"]
    assert found["practice.1-1.thought"]["n"] == 1
    assert main(["bench", "modes", str(ROOT / "configs" / "reach.yaml")]) == 2
