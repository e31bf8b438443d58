"""What other people rely on, frozen. After a change that is meant: `pytest --golden-update`."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from agent.cli.main import COMMANDS, parser
from agent.config import schema
from agent.config.build import Mind, blueprint
from agent.core.loop import live
from agent.core.messages import Task
from agent.core.schedule import schedule
from tests.tiny import ROOT

KEPT = Path(__file__).parent / "kept"
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Any:
    """Return a function that compares with a kept file, or writes it."""

    def compare(name: str, text: str) -> None:
        path = KEPT / name
        if request.config.getoption("--golden-update"):
            KEPT.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is missing; run pytest --golden-update and look at the diff"
        assert text == path.read_text(encoding="utf-8")

    return compare


@pytest.mark.parametrize("path", CONFIGS, ids=[p.stem for p in CONFIGS])
def test_the_resolved_config(path: Path, golden: Any) -> None:
    resolved = blueprint(schema.load(path)).resolved()
    golden(f"{path.stem}.json", json.dumps(resolved, indent=1, sort_keys=True) + "\n")


def test_the_shapes_of_a_tick(mind: Mind, world: Any, task: Task, golden: Any) -> None:
    (_, tick) = live(mind.agent(world), world, [1_000_000], task, 2)
    shapes = {
        kind.__name__: {f.name: described(getattr(said, f.name)) for f in dataclasses.fields(kind)}
        for kind, said in tick.messages.items()
    }
    golden("tick.json", json.dumps(shapes, indent=1) + "\n")


def described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype)[6:]}{list(value.shape)}"
    return type(value).__name__


def test_the_schedule(mind: Mind, golden: Any) -> None:
    found = schedule(mind.modules())
    edges = sorted(
        f"{a} -> {b}: {d['kind']}{' (recalled)' if d['recalled'] else ''}"
        for a, b, d in found.graph.edges(data=True)
    )
    golden("schedule.txt", "\n".join([found.describe(), *edges]) + "\n")


def test_the_command_line(golden: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "COLUMNS", "100")
    golden("help.txt", parser().format_help())
    assert set(COMMANDS) >= {"run", "train", "eval", "check", "report", "bench", "doctor", "list"}
