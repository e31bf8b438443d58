"""Scores are what they say, and the page holds what the command wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.cli.scoreboard import tell
from agent.evaluate.scoreboard import Run, normalised
from agent.report import scoreboard
from tests.tiny import ROOT


def run(value: float, **more: float | None) -> Run:
    return {"value": value, "broken": 0.0, "paid": 0.0, "episodes": 20.0, **more}


RUNS = {
    "random": [run(0.1), run(0.3)],
    "oracle": [run(1.0), run(0.8)],
    "ours": [run(0.9), run(0.55), run(0.2)],
    "sac15": [run(0.2, trained_s=900.0, broken=0.25)],
}


def test_zero_is_random_and_a_hundred_the_true_simulator() -> None:
    scores = normalised(RUNS)
    assert scores["ours"] == pytest.approx([100.0, 50.0, 0.0])
    assert scores["oracle"] == pytest.approx([114.2857, 85.7143])
    assert normalised({"random": RUNS["random"], "ours": RUNS["ours"]}) == {}
    assert normalised({"random": RUNS["oracle"], "oracle": RUNS["random"]}) == {}


def figures() -> dict[str, Any]:
    paid = {"random": [run(12.0, paid=1.0)], "sac15": [run(577.0, paid=1.0)]}
    return tell(
        {"a": RUNS, "b": {**RUNS, "ours": [run(0.9)]}, "c": {"ours": [], **paid}, "d": {"ours": []}}
    )


def test_a_table_has_a_row_for_every_world() -> None:
    found = figures()
    assert found["all.ours.score"]["n"] == 4
    assert found["all.ours.worlds"]["value"] == 2
    rows = scoreboard.table(found).splitlines()
    assert rows[0] == "|  | random | true simulator | ours | ours, Mode-1 | SAC, 15 min |"
    assert rows[2] == ("| a | (20 %) | (90 %) | 50 [0, 100], n = 3 |  | 0, n = 1 |")
    assert rows[3].startswith("| b | (20 %) | (90 %) | 100, n = 1 |")
    assert rows[4] == "| c | (12) |  | not trained | not trained | (577) |"
    assert rows[5] == "| d |  |  | not trained | not trained |  |"
    assert "| a | 0 | 0 | 0 |  | 25 |" in rows
    assert "n = 4, 2 worlds |" in rows[6]
    assert rows[7] == "| **all**, mean |  |  | 75, 2 worlds |  | 0, 2 worlds |", "of 50 and 100"
    one = scoreboard.table(tell({"a": RUNS})).splitlines()
    assert "n = 3, 1 world |" in one[3]


def test_the_picture_has_a_panel_for_every_world_and_a_colour_for_every_kind() -> None:
    drawn = scoreboard.draw(figures())
    assert drawn.startswith("<svg")
    for text, count in (("minutes of training", 3), ("score", 2), ("return", 1), ("SAC", 1)):
        assert drawn.count(f"<!-- {text} -->") == count, text
    for kind, there in (("ours", True), ("ours, Mode-1", False), ("SAC", True)):
        assert (scoreboard.COLOURS[kind] in drawn) is there, kind
    alone = scoreboard.draw(tell({"c": {"sac15": RUNS["sac15"]}}))
    assert scoreboard.COLOURS["SAC"] in alone
    assert scoreboard.COLOURS["ours"] not in alone, "a kind keeps its colour"
    assert "<!-- goals reached, % -->" in alone
    many = tell({f"w{i}": RUNS for i in range(scoreboard.PANELS + 1)})
    assert scoreboard.draw(many).count("<!-- minutes of training -->") == scoreboard.PANELS + 1
    assert scoreboard.draw({}).startswith("<svg")


def test_the_guide_holds_the_rendering(folder: Path) -> None:
    text = (ROOT / scoreboard.GUIDE).read_text("utf-8")
    table = text.partition("<!-- scoreboard -->\n")[2].partition("<!-- /scoreboard -->")[0]
    assert table == scoreboard.render(ROOT / "docs" / "results" / "scoreboard.json")
    machine = {"cpu": "some", "cores": 2, "torch_threads": 1, "gpu": None}
    whole = {"command": "python x", "machine": machine, "seeds": [0, 1], "figures": figures()}
    (folder / "scoreboard.json").write_text(json.dumps(whole))
    guide = folder / "guide.md"
    guide.write_text("x\n<!-- scoreboard -->\n<!-- /scoreboard -->\ny\n")
    scoreboard.fill(guide, folder)
    assert (
        "`python x`: some, 2 cores, 1 thread, no GPU used; training seeds 0, 1, 20"
        in guide.read_text()
    )
