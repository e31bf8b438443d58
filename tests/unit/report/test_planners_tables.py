"""The planning guide's tables and picture say what the benches wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.core.errors import InputError
from agent.report import planners
from agent.report.pareto import Point, draw, front


def figure(value: float | None, low: float | None = None, high: float | None = None) -> Any:
    return {"value": value, "low": low, "high": high, "n": 40, "unit": ""}


def written(path: Path, figures: dict[str, Any]) -> None:
    machine = {"cpu": "some", "cores": 2, "torch_threads": 1, "gpu": None}
    path.write_text(json.dumps({"command": "python x", "machine": machine, "figures": figures}))


def test_tables_are_put_between_their_markers(folder: Path) -> None:
    written(
        folder / "planner.json", {"cem.ms": figure(81.0), "cem.over_floor": figure(1.3, 1.2, 1.4)}
    )
    written(
        folder / "pareto-toy.json",
        {"a b.success": figure(0.5, 0.25, 0.75), "a b.plan_ms": figure(9.0)},
    )
    guide = folder / "guide.md"
    guide.write_text(
        "x\n<!-- planner -->\n<!-- /planner -->\ny\n<!-- pareto-toy -->\n<!-- /pareto-toy -->\nz\n"
    )
    planners.fill(guide, folder)
    told = guide.read_text()
    assert "| cem | 81 |  | 1.3 [1.2, 1.4] |  |  |  |" in told
    assert "| a b | 50 % [25, 75] | 9 |  |  |  |" in told
    assert told.startswith("x\n<!-- planner -->")
    assert "n = 40" in told
    guide.write_text("no markers")
    with pytest.raises(InputError, match="planner"):
        planners.fill(guide, folder)


def test_the_front_is_what_nobody_beats() -> None:
    quick, slow, worse, tie = (
        Point("quick", 1.0, 0.5, 0.4, 0.6),
        Point("slow", 9.0, 0.9, 0.8, 1.0),
        Point("worse", 5.0, 0.4, 0.3, 0.5),
        Point("tie", 10.0, 0.9, 0.8, 1.0),
    )
    assert front([tie, worse, slow, quick]) == [quick, slow]
    drawn = draw([quick, slow, worse, tie])
    assert drawn.startswith("<svg")


def test_the_bars_name_every_planner_with_its_ratio() -> None:
    drawn = planners.draw(
        {"cem.over_floor": figure(1.31), "floor (9 rows).over_floor": figure(1.0)}
    )
    assert drawn.startswith("<svg")
    for words in ("cem", "floor (9 rows)", "1.31", "1.00"):
        assert f"<!-- {words} -->" in drawn
