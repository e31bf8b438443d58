"""`redteam`, every part of it, with few plans and weights trained for seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.cli import redteam
from agent.cli.main import main
from agent.redteam import disk, exploitation, hostile, injection, modules, vectors
from agent.redteam.faults import faults
from agent.report import redteam as report
from tests.tiny import REACH, ROOT

QUICK = [
    "--episodes", "2", "--seed", "900000", "eval.ticks=3", "actor.samples=4", "actor.elites=2",
    "actor.iterations=1",
]  # fmt: skip


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exploitation, "BUDGETS", (1, 4))
    monkeypatch.setattr(injection, "faults", lambda limit: list(faults(limit))[::60])
    monkeypatch.setattr(modules, "CAST", hostile.CAST[:2])
    monkeypatch.setattr(modules, "EPISODES", 1)
    monkeypatch.setattr(modules, "TICKS", 3)
    monkeypatch.setattr(vectors, "RAILS", vectors.RAILS[::9])
    monkeypatch.setattr(redteam, "RUNTIME", redteam.RUNTIME[::9])
    monkeypatch.setattr(disk, "FILES", disk.FILES[::4])


def test_all_parts_in_one_command(
    few: None, weights: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["redteam", REACH, *QUICK, "--checkpoint", weights]
    assert main([str(w) for w in [*words, "--json", "redteam-tiny.json", "--out", "r.html"]]) == 0
    told = capsys.readouterr().out
    assert all(f"{part}:" in told for part in redteam.PARTS)
    found: dict[str, Any] = json.loads(Path("redteam-tiny.json").read_text())["figures"]
    for name in (
        "false_safe", "exceeded", "coverage", "promised_coverage", "refusals", "task_loss",
        "guardrail_share", "unvalidated", "late", "uncaught", "modules_prevented",
        "tampering_undetected", "false_safe.single.x4", "frontier.x2.success",
    ):  # fmt: skip
        assert name in found
    assert found["false_safe"] == found["false_safe.margin.x4"]
    assert (
        found["unvalidated"]["value"] == found["late"]["value"] == found["uncaught"]["value"] == 0
    )
    page = Path("r.html").read_text()
    assert "<svg" in page
    assert "Hostile modules" in page
    guide = Path("guide.md")
    guide.write_text("# Guide\n<!-- redteam-tiny -->\n<!-- /redteam-tiny -->\n")
    report.fill(guide, Path())
    assert "| margins in place |" not in guide.read_text()
    assert "calibrated margins (ours)" in guide.read_text()
    assert len(report.tables(found)) == 6


def test_one_part_alone(few: None, weights: Path, folder: Path) -> None:
    words = ["redteam", "tampering", REACH, "--checkpoint", weights, "--json", "t.json"]
    assert main([str(w) for w in words]) == 0
    found = json.loads(Path("t.json").read_text())["figures"]
    assert "tampering_vectors" in found
    assert "false_safe" not in found


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["redteam"], "expected a config"),
        (["redteam", "faults"], "expected a config"),
        (["redteam", str(ROOT / "configs" / "toys.yaml")], "has no guardrails"),
    ],
)
def test_what_cannot_be_attacked_is_refused(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert complaint in capsys.readouterr().err


def test_nothing_to_draw_without_a_frontier() -> None:
    assert report.draw({}) == ""
    assert report.tables({}) == []
