"""A goal that is asked of every episode: who forbids it, and margins that adapt meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from agent.cli.main import main
from agent.cli.unreached import Pursuit
from agent.config.build import Mind
from agent.core.errors import InputError
from agent.evaluate.episodes import episodes, tasks_of
from agent.report.card import coverage, facts
from tests.tiny import CHEAP, REACH

CLEAR = {"guardrail": "clear", "limit": "proximity >= 0.03 m", "beyond": 0.05, "unit": "m"}


def test_one_goal_is_asked_of_all(world: object) -> None:
    asked = tasks_of(world, [900_000, 900_001], [0.3, 0.1]).goal
    assert torch.equal(asked, torch.tensor([[0.3, 0.1]] * 2))
    own = tasks_of(world, [900_000, 900_001]).goal
    assert not torch.equal(own[0], own[1])
    with pytest.raises(InputError, match=r"run\.goal: expected 2 numbers, came 3"):
        tasks_of(world, [900_000], [0.3, 0.1, 0.2])


def test_a_pursuit_says_how_near_it_came_and_who_forbids_the_rest(
    mind: Mind, world: object
) -> None:
    pursuit = Pursuit(mind)
    episodes(mind, world, [900_000], 4, pursuit.watch, goal=[0.44, 0.0])
    found = pursuit.explain(900_000)
    assert 0.0 < found["nearest"] < 1.2
    assert found["goal_unit"] == "m"
    straight = pursuit._lived[-1]
    reader_says = mind.objective.guard(straight[None], torch.zeros(1, 1, 12, 2)).max()
    assert bool(torch.isfinite(reader_says))
    assert found["guardrail"] is None or found["guardrail"] in mind.guardrails.names


def test_the_card_names_the_guardrail_that_forbids_a_goal() -> None:
    card = {"success": {"value": 0.0, "n": 1}, "unreached": [{"seed": 7, "nearest": 0.091}]}
    card["unreached"][0] |= {"goal_unit": "m", **CLEAR}  # type: ignore[index]
    said = dict(facts(card))["goal of 7"]
    assert said == (
        "not reached: `clear` (proximity >= 0.03 m) forbids it; 0.091 m away at the nearest, the"
        " straight way on would break the limit by 0.05 m, margin included"
    )
    card["unreached"][0]["guardrail"] = None  # type: ignore[index]
    assert "no guardrail forbids the straight way on" in dict(facts(card))["goal of 7"]


def test_promised_coverage_stands_beside_what_was_achieved() -> None:
    assert coverage({}) == ""
    seen = {"achieved": 0.91, "sealed": 0.87, "widest": 0.01}
    said = coverage({"promised": 0.9, "n": 88, "by_guardrail": {"clear": seen}})
    assert said.startswith("promised 90 % of forecasts")
    assert "clear 91.0 % (87.0 % by sealed margins), n = 88 ticks" in said


@pytest.mark.usefixtures("unreported")
def test_a_run_tells_of_both(weights: Path) -> None:
    words = ["run.ticks=18", "run.seeds=[900000]", "run.reference=false", "run.goal=[0.44,0.0]"]
    words += ["gate.margins=adaptive", "gate.deadline_ms=0", *CHEAP]
    assert main(["run", str(REACH), *words, "--checkpoint", str(weights), "--out", "r"]) == 0
    card = json.loads(Path("r/card.json").read_text())
    assert [u["seed"] for u in card["unreached"]] == [900_000]
    assert card["coverage"]["promised"] == 0.9
    assert card["coverage"]["n"] == 6
    assert set(card["coverage"]["by_guardrail"]) == {"keep_clear", "speed_limit", "joint_range"}


def test_a_goal_of_another_size_is_refused(
    weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", str(REACH), "run.goal=[0.4]", "--checkpoint", str(weights), "--out", "r"]
    assert main(words) == 2
    assert "run.goal: expected 2 numbers, came 1: [0.4]" in capsys.readouterr().err
    assert not Path("r").exists()
