"""The scoreboard end to end, in small: everyone on the same episodes, and nobody left out."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from agent.cli import scoreboard as command
from agent.cli.main import main
from agent.config import schema
from agent.core.errors import InputError
from agent.evaluate import scoreboard
from agent.evaluate.sac import library_of
from agent.record import checkpoint
from tests.tiny import REACH, ROOT, TINY, figures

ROOMS = ROOT / "configs" / "rooms.yaml"
ONE_JOINT = """<mujoco><worldbody><body><joint name="hinge" axis="0 1 0"/><geom size="0.1"/>
</body></worldbody><actuator><motor name="motor" joint="hinge" ctrlrange="-{limit} {limit}"/>
</actuator><sensor><jointpos name="angle" joint="hinge"/></sensor></mujoco>"""
SMALL = ["--episodes", "2", "eval.ticks=4", "eval.oracle_episodes=1"]


def told(*words: Any) -> dict[str, Any]:
    assert main(["scoreboard", *map(str, words), *SMALL, "--json", "s.json"]) == 0
    return figures(Path("s.json"))


@pytest.fixture
def home(weights: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the weights of one training seed of reach; this process does it all."""
    monkeypatch.setattr(command, "spread", lambda work, do: ((w, do(w)) for w in work))
    (folder / "checkpoints").mkdir()
    shutil.copy(weights, folder / "checkpoints" / "reach-seed0.safetensors")
    return folder


def test_everyone_is_told_who_is_not_trained_too_and_lives_once(
    home: Path,
    weights: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = (REACH, ROOMS, *TINY, "--budget", 0, "--seeds", 2)
    found = told(*words)
    for who in ("ours", "mode1", "oracle"):
        assert found[f"reach.{who}"]["n"] == 1, "one training seed of two has weights"
    assert found["reach.random"]["n"] == found["rooms.random"]["n"] == 2
    assert found["reach.random.episodes"]["value"] == 2
    assert found["reach.oracle.episodes"]["value"] == 1
    assert found["rooms.ours"]["value"] is None
    assert found["reach.ours.broken"]["value"] == 0
    spent = checkpoint.load(weights)[1]["figures"]["train_cpu_s"]
    assert found["reach.ours.trained_s"]["value"] == spent
    out = capsys.readouterr().out
    assert "| rooms | (0 %) |  | not trained | not trained |" in out
    kept = sorted(p.name for p in (home / "runs" / "scoreboard").iterdir())
    assert "reach-ours-seed0.json" in kept
    monkeypatch.setattr(scoreboard, "_measured", lambda *_: pytest.fail("lived again"))
    assert told(*words) == found


def test_runs_are_kept_where_asked_and_say_on_what_machine(home: Path) -> None:
    words = (REACH, *TINY, "--budget", 0, "--seeds", 1, "--runs", "docs/kept")
    found = told(*words)
    assert not (home / "runs" / "scoreboard").exists()
    kept = json.loads((home / "docs" / "kept" / "reach-ours-seed0.json").read_text())
    assert kept["machine"]["cores"] == os.cpu_count() and "mujoco" in kept["versions"]
    assert told(*words, "--kept") == found


def test_sac_is_measured_at_every_mark(home: Path) -> None:
    library_of()
    found = told(REACH, *TINY, "--budget", "0.02,0.01", "--seeds", 1, "--out", "s.svg")
    early, late = found["reach.sac0_01.steps"]["value"], found["reach.sac0_02.steps"]["value"]
    assert 0 < early <= late, "a slow machine may pass both marks at once"
    assert found["reach.sac0_01.trained_s"]["value"] >= 0.6
    assert found["reach.sac0_02.trained_s"]["value"] >= 1.2
    assert found["reach.sac0_02"]["n"] == 1
    assert (home / "s.svg").read_text().startswith("<svg")


def test_what_makes_no_difference_is_not_lived_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived: list[str] = []
    whole = scoreboard._measured

    def noted(cell: Any, figures: Any) -> Any:
        lived.append(cell.who)
        return whole(cell, figures)

    monkeypatch.setattr(scoreboard, "_measured", noted)
    words = (REACH, *TINY, "--budget", 0, "--seeds", 1)
    told(*words)
    assert lived == ["random", "ours", "mode1", "oracle"]
    lived.clear()
    told(*words, "train.readouts.steps=7", "eval.batch=3", "run.ticks=9")
    assert lived == []
    told(*words, "configurator.horizon=3")
    assert lived == ["ours", "mode1", "oracle"], "random commands have no horizon"
    lived.clear()
    told(*words, "world.dropout=0.5", "configurator.horizon=3")
    assert lived == ["random", "ours", "mode1", "oracle"]


def test_marks_add_up_and_only_those_asked_for_are_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[float, ...]] = []

    def learning(cell: Any) -> dict[str, scoreboard.Run]:
        trained.append(cell.minutes)
        run = {"value": 0.5, "broken": 0.0, "paid": 0.0, "episodes": 2.0}
        return {scoreboard._mark(minutes): dict(run) for minutes in cell.minutes}

    monkeypatch.setattr(scoreboard, "_learning", learning)
    monkeypatch.setattr(command, "library_of", lambda: None)

    def marks(budget: str) -> set[str]:
        found = told(REACH, *TINY, "--seeds", 1, "--budget", budget)
        return {name for name in found if name.startswith("reach.sac") and name.count(".") == 1}

    assert marks("5") == {"reach.sac5"}
    assert marks("5,15") == {"reach.sac5", "reach.sac15"}
    assert marks("15") == {"reach.sac15"}
    assert trained == [(5.0,), (5.0, 15.0)]
    assert marks("5,45") == {"reach.sac5", "reach.sac45"}
    assert marks("5,15,45") == {"reach.sac5", "reach.sac15", "reach.sac45"}
    assert len(trained) == 3


def test_another_world_of_that_name_is_lived_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (REACH, *TINY, "--budget", 0, "--seeds", 1)
    told(*words)
    lived: list[str] = []
    monkeypatch.setattr(scoreboard, "_measured", lambda cell, _: lived.append(cell.who) or {})
    told(*words)
    assert lived == []
    monkeypatch.setattr(scoreboard, "_code", lambda config: "its starts were changed")
    told(*words)
    assert lived == ["random", "ours", "mode1", "oracle"]


def test_a_world_is_told_by_its_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, code = folder / "model.xml", folder / "world.py"
    for path in (model, code, folder / "notes.txt"):
        path.write_text("as it was")
    monkeypatch.setattr(scoreboard.inspect, "getfile", lambda kind: str(code))
    config = schema.load(REACH, [])
    before = scoreboard._code(config)
    (folder / "notes.txt").write_text("no matter")
    assert scoreboard._code(config) == before
    for path in (model, code):
        path.write_text("changed")
        assert scoreboard._code(config) != before
        path.write_text("as it was")
    assert scoreboard._code(config) == before


def test_a_part_of_somebody_elses_is_told_by_its_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = folder / "their_terms.py"
    own.write_text(
        "from modules.cost.terms.effort import Effort\n\n\nclass Mine(Effort):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    config = schema.load(REACH, ["terms=[{use: 'their_terms:Mine', weight: 0.1}]"])
    before = scoreboard._code(config)
    assert before != scoreboard._code(schema.load(REACH, []))
    own.write_text(own.read_text() + "    # better now\n")
    assert scoreboard._code(config) != before


def test_a_foreign_body_is_told_by_what_it_is_made_of(folder: Path) -> None:
    raw = schema.load(REACH, []).model_dump() | {"name": "own", "goal": None, "guardrails": []}
    raw |= {"terms": [{"use": "effort"}], "gate": {"fallback": [0.0]}}
    found = []
    for limit in ("1", "2"):
        (folder / "own.xml").write_text(ONE_JOINT.format(limit=limit))
        config = raw | {"world": {"use": "mjcf:own.xml"}}
        found.append(scoreboard._code(schema.validate(schema.AgentConfig, config, "own")))
    assert found[0] != found[1]


def test_two_configs_of_one_name_are_refused(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "two.yaml").write_text(f"extends: {REACH}\nlatent: 8\n")
    assert main(["scoreboard", str(REACH), "two.yaml", "--budget", "0"]) == 2
    assert "came 'reach' twice, in two.yaml again" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--seeds", "0"], ["--episodes", "0"], ["--budget="]])
def test_nothing_is_not_taken_for_the_usual(
    words: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scoreboard", str(REACH), *words]) == 2
    assert "expected" in capsys.readouterr().err


def test_a_look_in_between_lives_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (REACH, *TINY, "--seeds", 2, "--budget", "0.01", "--kept")
    assert told(*words) == {}
    assert "not trained" not in capsys.readouterr().out, "it is, and was not measured"
    told(REACH, *TINY, "--seeds", 1, "--budget", 0)
    monkeypatch.setattr(scoreboard, "_measured", lambda *_: pytest.fail("lived"))
    monkeypatch.setattr(command, "library_of", lambda: pytest.fail("not needed"))
    found = told(*words)
    assert {f["n"] for name, f in found.items() if name.count(".") == 1 and "all" not in name} == {
        1
    }
    assert "reach.sac0_01" not in found


def test_all_worlds_that_are_acted_in_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = scoreboard.suite()
    assert found["reach"] == Path("configs/reach.yaml")
    assert {"stand", "rooms", "push", "reach-pixels"} <= set(found)
    assert found["push"] is None or found["push"].is_file()
    assert found["rooms"] == Path("configs/lab/rooms-hierarchical.yaml"), "the one with weights"


@pytest.mark.parametrize("text", ["soon", "-1", "5;15", "nan", "inf"])
def test_a_budget_is_in_minutes(text: str) -> None:
    with pytest.raises(InputError, match="expected minutes such as 15"):
        command.budget(text)
    assert command.budget("45,5,15") == [5.0, 15.0, 45.0]
    assert command.budget("0") == []


def test_an_agent_that_watches_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scoreboard", str(ROOT / "configs" / "toys.yaml"), "--budget", "0"]) == 2
    assert "run_agent.py voe CONFIG" in capsys.readouterr().err
