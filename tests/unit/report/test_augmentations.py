"""The guide's tables on pixels say what docs/results holds."""

from __future__ import annotations

import json
from pathlib import Path

from agent.report.augmentations import COLUMNS, COSTS, compared, costs, fill
from tests.tiny import ROOT

RESULTS = ROOT / "docs" / "results"


def test_the_guide_shows_what_was_measured(folder: Path) -> None:
    guide = folder / "pixels.md"
    kept = (ROOT / "docs" / "guides" / "pixels.md").read_text("utf-8")
    guide.write_text(kept, "utf-8")
    fill(guide, RESULTS)
    assert guide.read_text("utf-8") == kept, "make results"


def test_a_row_per_augmentation_and_a_cost_per_part(folder: Path) -> None:
    figures = {n: {"value": i / 8, "unit": "us"} for i, n in enumerate((*COLUMNS, *COSTS))}
    (folder / "pixels-plain.json").write_text(json.dumps({"figures": figures}))
    lines = compared(folder).splitlines()
    assert lines[2:] == ["| none | 0.000 | 0.125 | 0.250 | 0.375 |"]
    assert "| encoding three frames | 0.625 µs |" in costs(folder)
    assert len(costs(folder).splitlines()) == 2 + len(COSTS)
