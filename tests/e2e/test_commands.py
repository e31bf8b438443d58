"""Every command end to end, with weights trained for seconds; kills and missing GL included."""

from __future__ import annotations

import json
import platform
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agent.cli import bench_learning, bench_planner, bench_practice, bench_risk
from agent.cli.main import keep_freed_memory, main
from agent.config import schema
from agent.config.build import blueprint
from agent.evaluate.episodes import Outcome, episodes
from agent.evaluate.planning import HORIZON, Problem
from agent.record import checkpoint
from agent.record.log import read
from agent.train.course import Trained
from tests.tiny import REACH, ROOT, TINY, environment, housecat

ADAPTING = ROOT / "configs" / "reach-adapting.yaml"
SHORT = ["run.ticks=6", "run.seeds=[1000000, 1000001]"]
FIGURES = {"value", "low", "high", "n", "unit"}


def figures(path: Path) -> dict[str, Any]:
    whole = json.loads(path.read_text())
    assert whole["schema"] == "housecat.figures/1"
    assert {"command", "config_hash", "seeds", "machine", "figures"} <= set(whole)
    assert all(set(f) >= FIGURES for f in whole["figures"].values())
    found: dict[str, Any] = whole["figures"]
    return found


def test_run_then_report(weights: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", REACH, *SHORT, "--checkpoint", weights, "--out", "r", "--json", "deep/f.json"]
    assert main([str(w) for w in words]) == 0
    told = capsys.readouterr().out
    assert "tick: configurator → perception → memory → cost → actor → gate → world_model" in told
    names = {p.name for p in (folder / "r").iterdir()}
    assert {"resolved.yaml", "run.mcap", "metrics.jsonl", "report.html", "card.json"} <= names
    found = figures(folder / "deep" / "f.json")
    for name in ("success", "oracle_success", "random_success", "true_violations", "vetoes"):
        assert name in found
    for name in ("deadline_misses", "tick_ms_p50", "tick_ms_p99"):
        assert found[name]["value"] is not None
    record = read(folder / "r")
    assert not record.truncated
    assert [len(e.ticks) for e in record.episodes] == [6, 6]
    assert record.header["checkpoint"] == checkpoint.load(weights)[1]["sha256"]
    assert len((folder / "r" / "metrics.jsonl").read_text().splitlines()) == 12
    page = folder / "r" / "report.html"
    page.unlink()
    assert main(["report", "r", "--checkpoint", str(weights)]) == 0
    assert page.stat().st_size > 50_000


def test_a_resolved_config_runs_the_same(weights: Path, folder: Path) -> None:
    quick = [*SHORT, "run.reference=false"]
    assert (
        main([str(w) for w in ["run", REACH, *quick, "--checkpoint", weights, "--out", "a"]]) == 0
    )
    assert main(["run", "a/resolved.yaml", "--checkpoint", str(weights), "--out", "b"]) == 0
    one, other = read(folder / "a"), read(folder / "b")
    assert one.header["config_hash"] == other.header["config_hash"]
    assert one.header["seal"] == other.header["seal"]


def test_eval(weights: Path, folder: Path) -> None:
    words = ["eval", REACH, "eval.ticks=8", "eval.oracle_episodes=1", "--episodes", "3"]
    assert main([str(w) for w in [*words, "--checkpoint", weights, "--json", "e.json"]]) == 0
    found = figures(folder / "e.json")
    assert {
        "success", "oracle_success", "random_success", "true_violations", "vetoes",
        "deadline_misses", "tick_ms_p50", "tick_ms_p99", "plan_ms_p50",
    } <= set(found)  # fmt: skip
    assert found["success"]["n"] == 3
    assert found["true_violations"]["n"] == 24


def test_eval_with_the_reactive_mode(weights: Path, folder: Path) -> None:
    words = [
        "eval",
        REACH,
        "eval.ticks=8",
        "eval.oracle_episodes=0",
        "--episodes",
        "2",
        "--mode",
        "1",
    ]
    assert main([str(w) for w in [*words, "--checkpoint", weights, "--json", "e.json"]]) == 0
    assert figures(folder / "e.json")["oracle_success"]["value"] is None


def test_check(weights: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(REACH), "--checkpoint", str(weights), "--json", "c.json"]) == 0
    assert "world_model" in capsys.readouterr().out
    assert "<svg" in (folder / "wiring.svg").read_text()
    figures(folder / "c.json")


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


def test_list_and_doctor(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json", "l.json"]) == 0
    told = capsys.readouterr().out
    for name in ("cem", "jepa", "at_least", "reach", "to_go"):
        assert name in told
    assert "actor" in json.loads((folder / "l.json").read_text())
    assert main(["doctor"]) in (0, 2)
    assert "torch" in capsys.readouterr().out


def test_without_gl_a_run_ends_well_and_says_why_no_video(weights: Path, folder: Path) -> None:
    env = {k: v for k, v in environment(MUJOCO_GL="egl").items() if k != "DISPLAY"}
    blind = folder / "blind"
    blind.mkdir()
    (blind / "sitecustomize.py").write_text(
        "import sys\nfor name in ('OpenGL', 'mujoco.egl', 'mujoco.osmesa', 'glfw', 'mujoco.glfw'):\n"
        "    sys.modules[name] = None\n"
    )
    env["MUJOCO_GL"] = ""
    env["PYTHONPATH"] = f"{blind}:{env['PYTHONPATH']}"
    quick = [*SHORT, "run.reference=false"]
    shown = housecat(
        "run", REACH, *quick, "--checkpoint", weights, "--out", "r", cwd=folder, env=env
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr == ""
    assert "no GL" in shown.stdout.replace("\n", " ")
    assert (folder / "r" / "report.html").is_file()
    assert not (folder / "r" / "video.mp4").exists()


def test_with_a_gl_that_does_not_exist_a_run_ends_well(weights: Path, folder: Path) -> None:
    quick = [*SHORT, "run.reference=false"]
    shown = housecat(
        "run", REACH, *quick, "--checkpoint", weights, "--out", "r",
        cwd=folder, env=environment(MUJOCO_GL="bogus"),
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert (folder / "r" / "report.html").is_file()


def started(folder: Path, weights: Path) -> subprocess.Popen[str]:
    """Start a long run and return when its log has grown."""
    child = subprocess.Popen(
        [
            sys.executable, str(ROOT / "run_agent.py"), "run", str(REACH), "run.ticks=100000",
            "--checkpoint", str(weights), "--out", "r",
        ],
        cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    log = folder / "r" / "metrics.jsonl"
    end = time.monotonic() + 60
    while not (log.exists() and log.stat().st_size > 4000):
        assert child.poll() is None, child.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.5)
    return child


def test_ctrl_c_leaves_a_readable_log_and_no_traceback(weights: Path, folder: Path) -> None:
    child = started(folder, weights)
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=60)
    assert child.returncode == 130
    assert told == "stopped by Ctrl-C; what was written so far is readable\n"
    record = read(folder / "r")
    assert not record.truncated
    assert len(record.episodes[0].ticks) > 5
    assert not [p.name for p in (folder / "r").iterdir() if p.name.startswith(".")]


def test_a_kill_leaves_a_readable_log(weights: Path, folder: Path) -> None:
    child = started(folder, weights)
    time.sleep(1.0)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)
    record = read(folder / "r")
    assert record.truncated
    assert len(record.episodes[0].ticks) > 5
    assert [t.index for t in record.episodes[0].ticks] == list(range(len(record.episodes[0].ticks)))


@pytest.mark.parametrize("stage", ["world_model", "lessons"])
def test_training_goes_on_after_a_kill(folder: Path, trained: Trained, stage: str) -> None:
    words = ["train", REACH, *TINY, "--out", "w/tiny.safetensors", "--json", "t.json"]
    child = subprocess.Popen(
        [sys.executable, str(ROOT / "run_agent.py"), *map(str, words)],
        cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    kept = folder / "runs" / "train-reach-seed0" / f"{stage}.safetensors"
    while not kept.exists():
        assert child.poll() is None
        time.sleep(0.005)
    child.kill()
    child.wait()
    assert not (folder / "w" / "tiny.safetensors").exists()
    shown = housecat(*words, cwd=folder)
    assert shown.returncode == 0, shown.stderr
    assert f"taking up {stage} where it stopped" in shown.stdout
    tensors, about = checkpoint.load(folder / "w" / "tiny.safetensors")
    assert tensors.keys() == trained.tensors.keys()
    for name, value in trained.tensors.items():
        assert torch.equal(value, tensors[name]), name
    assert about["seed"] == 0
    told = set(figures(folder / "t.json"))
    assert {"transitions", "effective_rank"} <= told
    assert "train_s" not in told, "the time of a resumed training is not that of a whole one"
    assert [p.name for p in (folder / "w").iterdir()] == ["tiny.safetensors"]


def readme() -> list[str]:
    """Return the commands in the fenced bash blocks of README.md."""
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    blocks = re.findall(r"```(?:bash|sh|console)\n(.*?)```", text, flags=re.DOTALL)
    lines = [
        line.split("  #")[0].strip().removeprefix("$ ") for b in blocks for line in b.splitlines()
    ]
    found = {line for line in lines if line.startswith("python run_agent.py")}
    return sorted(c for c in found if all((ROOT / w).exists() for w in c.split() if ".yaml" in w))


SLOW = {
    "train": TINY,
    "eval": ["eval.ticks=4", "eval.oracle_episodes=1"],
    "run": ["run.ticks=4"],
}
"""What makes a command of the README quick enough to be a test."""


@pytest.mark.parametrize("command", readme() or ["python run_agent.py list"])
def test_commands_of_the_readme_run(command: str, weights: Path, folder: Path) -> None:
    words = shlex.split(command, comments=True)
    words = words[next(i for i, w in enumerate(words) if w.endswith("run_agent.py")) + 1 :]
    if any(w.startswith(("runs/", "RUN")) or "<" in w for w in words):
        assert words[0] in ("report", "replay", "diff", "export", "recover", "audit")
        return
    words = [str(ROOT / w) if w.startswith("configs/") else w for w in words]
    what = words[0] if words and not words[0].endswith(".yaml") and words[0][0] != "-" else "run"
    if what in ("run", "eval", "check", "train") and not any(w.endswith(".yaml") for w in words):
        words = [what, str(ROOT / "configs" / "demo.yaml"), *(w for w in words if w != what)]
    words += SLOW.get(what, [])
    if "--episodes" in words:
        words[words.index("--episodes") + 1] = "2"
    if what in ("run", "eval", "check") and "--checkpoint" not in words:
        own = (
            ROOT / "checkpoints" / "stand-seed0.safetensors"
        )  # another body than that of `weights`
        words += ["--checkpoint", str(own if "stand" in command else weights)]
    code = main(words)
    assert code == 0 or (what == "doctor" and code == 2)


SHIPPED = sorted((ROOT / "checkpoints").glob("*.safetensors"))


@pytest.mark.parametrize("path", SHIPPED, ids=[p.stem for p in SHIPPED])
def test_shipped_weights_load_and_keep_clear(path: Path) -> None:
    weights, about = checkpoint.load(path)
    for name in ("command", "seed", "figures", "config", "config_hash"):
        assert name in about, name
    assert about["config_hash"] == schema.config_hash(about["config"])
    built = blueprint(schema.validate(schema.AgentConfig, about["config"], str(path)))
    if built.config.terms:  # an agent that acts; watching alone may take more
        assert about["figures"]["transitions"] <= 100_000
    assert about["figures"]["effective_rank"] > min(8, 0.75 * built.config.latent)
    world = built.world(2)
    try:
        done = episodes(built.assemble(weights), world, [1_000_000, 1_000_013], 60)
    finally:
        world.close()
    assert done.contacts.sum() == 0
    assert done.speeding.sum() == 0
    assert done.faults == []


def test_the_c_library_is_told_to_keep_memory_where_it_can_be_told() -> None:
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
