"""`bench world` end to end, small."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from agent.cli import bench_world
from agent.cli.main import main
from agent.config.choose import choose
from tests.tiny import figures
from worlds import pace


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_world, "BATCH", 3)
    monkeypatch.setattr(bench_world, "BLOCK_S", 0.01)
    monkeypatch.setattr(bench_world, "MOST_TICKS", 6)


def test_it_measures_all_in_one_run(folder: Path) -> None:
    assert main(["bench", "world", "lead", "walker2d", "--episodes", "3", "--json", "w.json"]) == 0
    found = figures(folder / "w.json")
    for world in ("lead", "walker2d"):
        assert found[f"steps_per_s.{world}"]["n"] == 3
        for name in ("rollout", "mj_step", "gymnasium"):
            ratio, rate = found[f"{name}_ratio.{world}"], found[f"steps_per_s.{world}.{name}"]
            assert 0 < ratio["low"] <= ratio["value"] <= ratio["high"]
            assert rate["value"] > 0


def test_unknown_worlds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "world", "leed"]) == 2
    assert "unknown world 'leed'; did you mean 'lead'" in capsys.readouterr().err


def test_bodies_of_gymnasium_are_measured_as_gymnasium_steps_them(folder: Path) -> None:
    name = "gym:InvertedPendulum-v5"
    assert main(["bench", "world", name, "--episodes", "3", "--json", "w.json"]) == 0
    found = figures(folder / "w.json")
    for rival in ("rollout", "mj_step", "gymnasium", "gymnasium_async"):
        assert found[f"{rival}_ratio.{name}"]["value"] > 0
        assert found[f"steps_per_s.{name}.{rival}"]["value"] > 0


@pytest.mark.parametrize(
    ("id_", "fault"),
    [("Pendulum-v1", "environment of MuJoCo, came 'Pendulum-v1'"), ("Hoper-v5", "no environment")],
)
def test_environments_that_are_not_mujocos_are_refused(
    id_: str, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "world", f"gym:{id_}"]) == 2
    assert fault in capsys.readouterr().err


def test_who_is_not_installed_is_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    monkeypatch.setitem(sys.modules, "envpool", None)
    name = "gym:InvertedPendulum-v5"
    assert main(["bench", "world", name, "--episodes", "2", "--json", "w.json"]) == 0
    assert "without envpool: bench world: expected the package 'envpool'" in capsys.readouterr().out
    assert f"envpool_ratio.{name}" not in figures(folder / "w.json")


def test_all_worlds_without_a_camera_are_measured() -> None:
    known = bench_world.worlds()
    assert {"reach", "lead", "stand", "toys", "humanoid", "gym:Hopper-v5"} <= set(known)
    assert not {"reach_pixels", "gymnasium", "mjcf"} & set(known)


def test_contestants_step_the_same_physics() -> None:
    world = choose("world", "world", {"use": "reach"}).build(3)
    told = pace.commands(world, 6)
    try:
        pace.closed_loop(world, told)(6)
        ours = world.simulation.state.copy()
        world.reset(range(3))
        control = np.repeat(told.transpose(1, 0, 2), world.simulation.substeps, axis=1)
        states, _ = world.simulation.branch(world.simulation.state, control.astype(np.float64))
        np.testing.assert_array_equal(states[:, -1], ours)
        for make in (pace.mj_step, pace.gymnasium_sync):
            go = make(world, told)
            assert go(6) > 0
            qpos = np.stack([data.qpos for data in go.copies])
            np.testing.assert_allclose(qpos, ours[:, 1 : 1 + world.model.nq], rtol=0, atol=1e-9)
    finally:
        world.close()
