"""`bench hierarchy` end to end, with weights that know nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.cli import bench_hierarchy
from agent.cli.main import main
from agent.config import schema
from agent.config.build import blueprint
from agent.evaluate.episodes import Outcome
from agent.evaluate.modes import Spent
from agent.record import checkpoint
from tests.tiny import ROOT, figures

TALL = ROOT / "configs" / "lab" / "rooms-hierarchical.yaml"
FLAT = ROOT / "configs" / "rooms.yaml"
SMALL = ["eval.ticks=2", "eval.oracle_episodes=1", "eval.checkpoints=[]"]


def test_the_same_weights_are_lived_with_on_levels_and_flat(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_hierarchy, "TIMED", 1)
    made = blueprint(schema.load(TALL, []))
    about = {"config": made.resolved(), "config_hash": "", "seed": 3, "command": "", "figures": {}}
    checkpoint.save(folder / "h.safetensors", made.assemble().tensors(), about)
    words = ["bench", "hierarchy", TALL, FLAT, *SMALL, "--checkpoint", folder / "h.safetensors"]
    more = ["--episodes", 2, "--seed", 900_000, "--json", "h.json"]
    assert main([str(w) for w in [*words, *more]]) == 0
    found = figures(folder / "h.json")
    for name in ("hierarchical", "flat"):
        assert found[f"success.{name}"]["n"] == 2
        assert found[f"success.{name}.oracle"]["n"] == 1
        assert found[f"contacts.{name}"]["n"] == 4
        assert found[f"plan_cpu_ms.{name}"]["value"] > 0
    both = [found[f"plan_cpu_ms.{name}"]["value"] for name in ("hierarchical", "flat")]
    ratio = found["plan_cpu.hierarchical/flat"]
    assert ratio["value"] == pytest.approx(both[0] / both[1])
    assert main(["bench", "hierarchy", str(TALL), *SMALL]) == 2
    assert main(["bench", "hierarchy", str(FLAT), str(FLAT), *SMALL]) == 2


def test_a_flat_agent_has_what_the_lowest_level_of_a_hierarchy_has() -> None:
    tensors = blueprint(schema.load(TALL, [])).assemble().tensors()
    flat = blueprint(schema.load(FLAT, []))
    found = bench_hierarchy.fitting(flat, tensors)
    assert found.keys() == flat.assemble().tensors().keys()
    for name, value in found.items():
        theirs = name.replace("actor.", bench_hierarchy.LOWEST)
        assert tensors[theirs if theirs in tensors else name] is value


def test_figures_pair_episodes() -> None:
    def lived(reached: list[bool]) -> Outcome:
        none = np.zeros(len(reached))
        count = none.astype(np.int64)
        more = {"way_left_m": none + 2.0}
        return Outcome(np.array(reached), count + 1, count, none, count, 40, more=more)

    def spent(seconds: float) -> Spent:
        one = np.array([1])
        return Spent(one > 0, 10 * one, one, one, one, seconds * one, seconds * one)

    outcomes = {"hierarchical": lived([True] * 4), "flat": lived([False, True, False, False])}
    timed = {"hierarchical": [spent(0.1), spent(0.3)], "flat": [spent(0.5), spent(0.7)]}
    found = bench_hierarchy.figures(outcomes, timed)
    assert found["success.hierarchical-flat"]["value"] == 0.75
    assert found["contacts.flat"]["value"] == 4
    assert found["plan_cpu_ms.flat"]["value"] == pytest.approx(60.0)
    assert found["plan_cpu.hierarchical/flat"]["value"] == pytest.approx(1 / 3)
