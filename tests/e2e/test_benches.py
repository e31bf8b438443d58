"""Every bench end to end, with weights trained for seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from agent.cli import bench_learning, bench_memory, bench_planner, bench_practice, bench_risk
from agent.cli.main import main
from agent.evaluate.episodes import Outcome
from agent.evaluate.planning import HORIZON, Problem
from tests.tiny import REACH, ROOT, figures

ADAPTING = ROOT / "configs" / "reach-adapting.yaml"


def test_bench_foresight(weights: Path, folder: Path) -> None:
    words = ["bench", "foresight", REACH, "--episodes", 4, "--checkpoint", weights]
    assert main([str(w) for w in [*words, "--json", "f.json", "--out", "f.svg"]]) == 0
    found = figures(folder / "f.json")
    for name in ("rms.fingertip.12", "compounding.fingertip", "coverage_low", "coverage_high"):
        assert found[name]["value"] > 0
    assert found["plans"]["value"] == 4 * 6
    assert (folder / "f.svg").read_text().startswith("<svg")


def test_bench_known(weights: Path, folder: Path) -> None:
    words = ["bench", "known", REACH, "--checkpoint", weights, "train.explore.ticks=16"]
    assert main([str(w) for w in [*words, "--json", "k.json"]]) == 0
    found = figures(folder / "k.json")
    usual = [found[f"usual.q{q}.h12"]["value"] for q in ("0.5", "0.9", "0.99")]
    assert 0 < usual[0] < usual[1] < usual[2] <= found["limit"]["value"] * 1.5
    assert found["beyond.1"]["value"] < 0.1
    assert main(["bench", "known"]) == 2


def test_bench_risk_lives_the_same_episodes_under_every_attitude(
    weights: Path, folder: Path
) -> None:
    words = ["bench", "risk", REACH, "--episodes", 2, "--seed", 900_000, "--checkpoint", weights]
    assert main([str(w) for w in [*words, "eval.ticks=2", "--json", "r.json"]]) == 0
    found = figures(folder / "r.json")
    for kind in ("mean", "cvar", "worst", "free_energy"):
        assert found[f"collided.{kind}"]["n"] == found[f"reached.{kind}"]["n"] == 2
    assert found["collided.worst-mean"]["value"] == 0.0
    assert main(["bench", "risk"]) == 2


def test_bench_risk_pairs_episodes() -> None:
    def lived(contacts: list[int], reached: list[bool]) -> Outcome:
        n = len(contacts)
        none = np.zeros(n)
        return Outcome(
            np.array(reached), np.array(contacts), np.zeros(n, np.int64), none, none.astype(int), n
        )

    found = bench_risk.figures(
        {
            "mean": lived([3, 0, 1, 2], [True, True, True, False]),
            "worst": lived([0, 0, 4, 0], [True, False, False, False]),
        }
    )
    assert found["collided.mean"]["value"] == 0.75
    assert found["collided.worst"]["value"] == 0.25
    assert found["collided.worst-mean"]["value"] == -0.5
    assert found["reached.worst-mean"]["value"] == -0.5
    assert found["contact_ticks.worst"]["value"] == 1.0
    assert "collided.mean-mean" not in found


def test_bench_objectives_keeps_what_it_measured(folder: Path) -> None:
    lab = folder / "lab"
    lab.mkdir()
    (lab / "reach.yaml").write_text(
        f"extends: {REACH}\ncost: {{use: composite, anticipation: 0.0}}\n"
        "terms:\n  - {use: distance, quantity: fingertip}\n"
        "train: {explore: {episodes: 32, ticks: 48}, learner: {steps: 40},"
        " readouts: {steps: 20, horizon: 20}}\neval: {ticks: 3}\n"
    )
    (lab / "recipes.yaml").write_text("none: {objectives: [{use: prediction}, {use: none}]}\n")
    words = ["bench", "objectives", str(lab / "reach.yaml"), "--episodes", "2", "--seed", "5"]
    assert main([*words, "--json", "o.json"]) == 0
    found = figures(folder / "o.json")
    for name in ("effective_rank", "probe_r2.fingertip", "latent_error.20", "learn_cpu_s"):
        assert found[f"none.{name}"]["value"] is not None
    assert found["none.success"]["n"] == 2
    (kept,) = (folder / "runs" / "objectives-reach").glob("none-seed5.json")
    told = json.loads(kept.read_text())
    told["figures"]["effective_rank"] = 7.0
    kept.write_text(json.dumps(told))
    assert main([*words, "--json", "again.json"]) == 0
    assert figures(folder / "again.json")["none.effective_rank"]["value"] == 7.0


def test_bench_learning(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_learning, "BLOCK", 2)
    monkeypatch.setattr(bench_learning, "ROUNDS", 2)
    assert main(["bench", "learning", str(REACH), "--json", "l.json"]) == 0
    found = figures(folder / "l.json")
    assert found["learning.ratio"]["value"] > 0
    assert found["learning.ratio"]["n"] == 2


def test_bench_planner(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, less in (("SAMPLES", 20), ("ITERATIONS", 2), ("ELITES", 4), ("AGENTS", 3)):
        monkeypatch.setattr(bench_planner, name, less)
    monkeypatch.setitem(bench_planner.WORK, "samples", 20)
    monkeypatch.setitem(bench_planner.WORK, "iterations", 2)
    monkeypatch.setitem(bench_planner.WORK, "elites", 4)
    assert main(["bench", "planner", "--episodes", "2", "--json", "p.json"]) == 0
    found = figures(folder / "p.json")
    assert found["cem.ms"]["n"] == 2
    assert found["cem.over_floor"]["value"] > 0
    assert found["cem.largest_command"]["value"] <= 1.0
    assert found["cem.busy_p95_over_quiet"]["value"] > 0
    assert found["together_3.gain"]["value"] > 0


def test_bench_practice(weights: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, less in (("GOALS", 2), ("ELSEWHERE", 1), ("BACK", 1), ("CASES", 2)):
        monkeypatch.setattr(bench_practice, name, less)
    monkeypatch.setattr(bench_practice, "LARGE", {"samples": 128, "iterations": 3})
    lab = REACH.parent / "lab" / "practice.yaml"
    words = ["bench", "practice", str(lab), "--episodes", "2", "--lives", "1", "eval.ticks=4"]
    words += ["--seed", "900000", "--checkpoint", str(weights), "--json", "p.json"]
    assert main([*words, "--out", "p.svg"]) == 0
    found = figures(folder / "p.json")
    assert found["practising.success"]["n"] == 7
    assert found["always_deliberating.thought_first"] == {
        "value": 1.0, "low": 1.0, "high": 1.0, "n": 4, "unit": "",
    }  # fmt: skip
    assert 0.25 <= found["skilled.thought_elsewhere"]["value"] <= 1.0
    work = {n: found[f"{n}.multiply_adds"]["value"] for n in ("policy", "mode1", "mode2")}
    assert work["policy"] < work["mode1"] < work["mode2"]
    larger = found["cem_300x10.multiply_adds"]["value"]
    assert larger / work["mode2"] == pytest.approx((128 * 3 + 3) / (64 * 3 + 3), rel=0.01)
    assert (folder / "p.svg").read_text().startswith("<svg")


def test_the_problem_of_the_planners_bench_is_the_same_for_others() -> None:
    problem = Problem(3)
    plans = torch.rand(7, HORIZON, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        rollout, bill = problem(problem.state, plans[None], problem.directive())
        torch.testing.assert_close(bill.energy[0], problem.total(plans))
        state = problem.state.expand(7, -1)
        for tick in range(HORIZON):
            state = problem.step(state, plans[:, tick])
        torch.testing.assert_close(rollout.latents[0, 0, :, -1], state)
    assert problem.flops(300, 10) == pytest.approx(5.93e9, rel=0.01)


def test_bench_pareto(weights: Path, folder: Path) -> None:
    words = ["bench", "pareto", str(REACH), "--episodes", "2", "--checkpoint", str(weights)]
    words += ["eval.ticks=2", "--seed", "900000", "--json", "p.json", "--out", "p.svg"]
    assert main(words) == 0
    found = figures(folder / "p.json")
    for name in ("cem (the config's)", "policy alone (Mode-1)", "icem", "gradient", "beam"):
        assert found[f"{name}.success"]["n"] == 2
        assert found[f"{name}.plan_ms"]["value"] > 0
        assert found[f"{name}.energy"]["value"] > 0
    assert "still.success" not in found
    assert main([*words, "icem"]) == 0
    assert {k.partition(".")[0] for k in figures(folder / "p.json")} == {"icem"}
    assert main([*words, "icme"]) == 2
    assert (folder / "p.svg").read_text().startswith("<svg")


def test_bench_anytime(weights: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "anytime", str(REACH), "--episodes", "1", "--checkpoint", str(weights)]
    words += ["eval.ticks=6"]
    assert main([*words, "configurator.budget_ms=20", "--json", "a.json"]) == 0
    found = figures(folder / "a.json")
    for when in ("quiet", "busy"):
        assert found[f"{when}.tick_ms_p50"]["n"] == 3
        assert found[f"{when}.tick_ms_p50"]["value"] <= found[f"{when}.tick_ms_max"]["value"]
        assert found[f"{when}.late_sent"]["value"] == 0
    assert main(words) == 2
    assert "expected a budget, came configurator.budget_ms=0" in capsys.readouterr().err


def test_energy(weights: Path, folder: Path) -> None:
    words = ["energy", REACH, "--episodes", 16, "--checkpoint", weights, "--temperature", 0.01]
    assert main([str(w) for w in [*words, "--json", "e.json", "--out", "e.svg"]]) == 0
    found = figures(folder / "e.json")
    assert found["auroc.shuffled.12"]["value"] > 0.5
    for ahead in (1, 3, 12):
        for kind in ("shuffled", "wrong_time", "other_commands"):
            area = found[f"auroc.{kind}.{ahead}"]
            assert 0 <= area["low"] <= area["value"] <= area["high"] <= 1
        assert found[f"energy.compatible.{ahead}"]["value"] > 0
    assert (folder / "e.svg").read_text().startswith("<svg")


def test_bench_futures(folder: Path) -> None:
    tiny = (
        "train={explore: {episodes: 16, ticks: 40}, learner: {steps: 5, batch: 8},"
        " readouts: {steps: 5, batch: 8, horizon: 20}}"
    )
    words = ["bench", "futures", ROOT / "configs" / "lead.yaml", tiny, "--episodes", 4]
    assert main([str(w) for w in [*words, "--json", "f.json", "--out", "f.svg"]]) == 0
    found = figures(folder / "f.json")
    for name in ("with_z", "without_z"):
        shares = [found[f"{side}.{name}"]["value"] for side in ("left", "right", "average")]
        assert sum(shares) == pytest.approx(1.0)
        assert found[f"covered.{name}"]["n"] == 3 * 4
    assert found["information_z.without_z.0"]["value"] == 0.0
    assert found["information_z.with_z.0"]["value"] > 0.0
    assert (folder / "f.svg").read_text().startswith("<svg")


def test_bench_continual(weights: Path, folder: Path) -> None:
    words = ["bench", "continual", ADAPTING, "world.gain_scale=0.5", "eval.ticks=15", "--lives", 1]
    words += ["--episodes", 5, "--checkpoint", weights, "--json", "c.json", "--out", "c.svg"]
    assert main([str(w) for w in words]) == 0
    found = figures(folder / "c.json")
    for kind in ("adapting", "not_adapting"):
        assert found[f"{kind}.success_before"]["n"] == 4
        assert found[f"{kind}.success_changed_first"]["n"] == 4
        assert found[f"{kind}.success_changed_later"]["n"] == 1
        assert found[f"{kind}.error_changed_first"]["value"] > 0
    assert (folder / "c.svg").read_text().startswith("<svg")


def test_bench_exploration(folder: Path) -> None:
    tiny = ["explore.episodes=128", "learner.steps=8", "readouts.steps=8"]
    tiny += ["explore.curiosity={rounds: 2, steps: 8}"]
    words = ["bench", "exploration", REACH, "joint_angle", *(f"train.{t}" for t in tiny)]
    assert main([str(w) for w in [*words, "--json", "x.json"]]) == 0
    found = figures(folder / "x.json")
    for policy in ("ou", "random", "coloured", "curiosity"):
        assert 0 < found[f"{policy}.coverage.0"]["value"] <= 1
        assert found[f"{policy}.error_12.2"]["value"] > 0
    assert found["transitions"]["value"] == 128 * 96


def test_bench_memory(weights: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, less in (
        ("SIZES", (100, 3_000)), ("PATTERNS", (50, 400)), ("WIDTHS", (16, 64)), ("CUES", 40),
        ("QUERIES", 60), ("COMPARED", 50),
    ):  # fmt: skip
        monkeypatch.setattr(bench_memory, name, less)
    words = [
        "bench",
        "memory",
        REACH,
        "--checkpoint",
        weights,
        "--json",
        "m.json",
        "--out",
        "m.svg",
    ]
    assert main([str(w) for w in words]) == 0
    found = figures(folder / "m.json")
    for size in (100, 3_000):
        assert found[f"all_ms.{size}"]["n"] == 50
        assert found[f"index_ms.{size}"]["n"] == 60
        assert found[f"index_cpu_ms.{size}"]["value"] > 0
        assert 0.8 < found[f"recall.{size}"]["value"] <= 1
    assert found["exact.signs64.noise10.400"]["value"] == 1
    assert found["exact.signs64.noise40.400"]["value"] < 0.5
    assert found["exact.signs16.noise30.400"]["value"] < found["exact.signs64.noise30.400"]["value"]
    assert found["noise_left.signs64.noise10.50"]["value"] == pytest.approx(0, abs=1e-6)
    assert found["exact.lived.noise30.400"]["n"] == 40
    assert (folder / "m.svg").read_text().startswith("<svg")
