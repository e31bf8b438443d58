"""`voe` end to end, with weights trained for seconds: figures, picture, and bad input in one line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from agent.cli.main import main
from agent.record.log import read
from tests.tiny import REACH, ROOT

TOYS = ROOT / "configs" / "toys.yaml"
TINY = [
    "train={shuffled: [toy_colour], explore: {episodes: 32, ticks: 50},"
    " learner: {steps: 40, objectives: [{use: prediction}, {use: vicreg}]}, surprise: {steps: 60},"
    " readouts: {steps: 30, horizon: 12}}",
]
FEW = ["voe.pairs=3", "voe.calibration=20", "voe.violations=[teleport]"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint of an agent that has hardly watched."""
    place = tmp_path_factory.mktemp("toys")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        torch.set_num_threads(1)
        words = ["train", TOYS, *TINY, "--out", place / "tiny.safetensors"]
        assert main([str(w) for w in words]) == 0
    return place / "tiny.safetensors"


def test_voe_measures_and_draws(
    weights: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["voe", TOYS, *FEW, "--checkpoint", weights, "--json", "v.json", "--out", "v.svg"]
    assert main([str(w) for w in words]) == 0
    whole = json.loads((folder / "v.json").read_text())
    found: dict[str, Any] = whole["figures"]
    assert set(found) == {
        "auroc.teleport", "hits.teleport", "false_alarms", "auroc_of_control.colour",
        "false_alarms_possible", "threshold.0",
    }  # fmt: skip
    for name in ("auroc.teleport", "false_alarms"):
        figure = found[name]
        assert figure["n"] == 3
        assert 0.0 <= figure["low"] <= figure["high"] <= 1.0
        assert figure["low"] - 1e-9 <= figure["value"] <= figure["high"] + 1e-9, "means may round"
    assert whole["seeds"] == [0]
    drawn = (folder / "v.svg").read_text()
    assert drawn.startswith("<svg")
    assert "auroc.teleport" in capsys.readouterr().out


def test_an_agent_that_only_watches_runs_and_reports(weights: Path, folder: Path) -> None:
    words = ["run", TOYS, "run.ticks=6", "run.seeds=[1000000]", "--checkpoint", weights]
    assert main([str(w) for w in [*words, "--out", "r", "--json", "r.json"]]) == 0
    record = read(folder / "r")
    assert [len(e.ticks) for e in record.episodes] == [6]
    assert not any(tick.faults for tick in record.episodes[0].ticks)
    page = (folder / "r" / "report.html").read_text()
    assert "watched" in page
    assert "success" not in json.loads((folder / "r.json").read_text())["figures"]
    assert main(["report", "r", "--checkpoint", str(weights)]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["voe", REACH], r"voe: expected a world that offers clips, came 'reach'"),
        (
            ["voe", TOYS, "voe.violations=[telport]"],
            r"voe\.violations: unknown violation 'telport'; did you mean 'teleport'\?",
        ),
        (["voe", TOYS, "--episodes", "0"], r"voe --episodes: expected at least 1 pair, came 0"),
        (["eval", TOYS], r"eval: expected a config with a goal or terms, came toys"),
        (
            ["train", TOYS, *TINY, "train.shuffled=[toy_color]"],
            r"train\.shuffled: the world has no sensor 'toy_color'; did you mean 'toy_colour'\?",
        ),
    ],
)
def test_bad_input_is_said_in_one_line(
    words: list[Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(w) for w in words]) == 2
    line = capsys.readouterr().err
    assert re.match(f"error: {said}", line), line
    assert line.count("\n") == 1
