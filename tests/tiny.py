"""Settings of a course of training that takes seconds, and where the project is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main

FIGURES = {"value", "low", "high", "n", "unit"}
ROOT = Path(__file__).resolve().parents[1]
REACH = ROOT / "configs" / "reach.yaml"
TINY = [
    "train={explore: {episodes: 32, ticks: 96}, learner: {steps: 50},"
    " readouts: {steps: 50, horizon: 24}, detours: {steps: 20, states: 512, goals: 64},"
    " distil: {lessons: 64, steps: 20}, calibrate: {rounds: 2, episodes: 8, segments: 6}}",
    "critic.steps=60",
]
CHEAP = ["actor.samples=8", "actor.iterations=1", "actor.elites=2"]
"""Settings of a planner that is quick, and good for nothing."""


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a child process that finds the project and a quiet matplotlib."""
    quiet = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return os.environ | quiet | more


def housecat(
    *words: Any, cwd: Path, env: dict[str, str] | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run `python run_agent.py WORDS` in a process of its own and return what it did."""
    return subprocess.run(
        [sys.executable, str(ROOT / "run_agent.py"), *map(str, words)],
        cwd=cwd,
        env=env or environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **more,
    )


def figures(path: Path) -> dict[str, Any]:
    """Return the figures of a file that `--json` wrote, whose form is checked."""
    whole = json.loads(path.read_text())
    assert whole["schema"] == "housecat.figures/1"
    assert {"command", "config_hash", "seeds", "machine", "figures"} <= set(whole)
    assert all(set(f) >= FIGURES for f in whole["figures"].values())
    found: dict[str, Any] = whole["figures"]
    return found


def refused(words: list[Any], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Expect exit code 2, one line matching `said`, and no file but those that were there."""
    before = sorted(Path.cwd().rglob("*"))
    code = main([str(w) for w in words])
    line = capsys.readouterr().err
    assert code == 2, line
    assert line.count("\n") == 1, line
    assert re.fullmatch(f"error: .*{said}.*\n", line), line
    assert sorted(Path.cwd().rglob("*")) == before
