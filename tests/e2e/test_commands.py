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

import pytest
import torch

from agent.cli.main import keep_freed_memory, main
from agent.config import schema
from agent.config.build import blueprint
from agent.evaluate.episodes import episodes
from agent.record import checkpoint
from agent.record.log import read
from agent.train.course import Trained
from tests.tiny import CHEAP, REACH, ROOT, TINY, environment, figures, housecat

ADAPTING = ROOT / "configs" / "reach-adapting.yaml"
SHORT = ["run.ticks=6", "run.seeds=[1000000, 1000001]", *CHEAP]


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


@pytest.mark.usefixtures("unreported")
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


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("train.explor.episodes=3", "train: unknown key 'explor'; did you mean 'explore'?"),
        ("train.calibrate.rate=2", "calibrate.rate"),
        ("train.levels.joint.steps=5", "expected a world model with levels above"),
        ("train.explore.ticks=5", "train.explore.ticks: expected"),
        (
            "train.explore={policy: acting, episodes: 9}",
            "expected terms that need no training of their own",
        ),
    ],
)
def test_check_looks_at_training_too(
    setting: str, said: str, weights: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(REACH), "--checkpoint", str(weights), setting]) == 2
    told = capsys.readouterr()
    assert said in told.out + told.err
    assert not (folder / "wiring.svg").exists()


def test_list_and_doctor(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json", "l.json"]) == 0
    told = capsys.readouterr().out
    for name in ("cem", "jepa", "at_least", "reach", "to_go"):
        assert name in told
    assert "actor" in json.loads((folder / "l.json").read_text())
    assert main(["doctor"]) in (0, 2)
    told = capsys.readouterr().out
    assert "torch" in told
    assert "[dmc]" in told, "what else can be installed"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["mjcf:"], "expected a name after 'mjcf:'"),
        (["gym"], "expected a name after 'gym:'"),
        (["gymm:Reacher-v5"], "did you mean 'gym'?"),
        (["gym:Reacher-v5", "wrold.rate_hz=20"], "unknown key 'wrold'; did you mean 'world'?"),
        (["gym:Reacher-v5", "world=3"], "expected settings of the world"),
    ],
)
def test_list_says_what_it_cannot_list(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", *words]) == 2
    assert says in capsys.readouterr().err


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
    end = time.monotonic() + 300
    while not (log.exists() and log.stat().st_size > 4000):
        assert child.poll() is None, child.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.5)
    return child


def test_ctrl_c_leaves_a_readable_log_and_no_traceback(weights: Path, folder: Path) -> None:
    child = started(folder, weights)
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=300)
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
    child.communicate(timeout=300)
    record = read(folder / "r")
    assert record.truncated
    assert len(record.episodes[0].ticks) > 5
    assert [t.index for t in record.episodes[0].ticks] == list(range(len(record.episodes[0].ticks)))


@pytest.mark.parametrize("stage", ["world_model", "lessons"])
def test_training_goes_on_after_a_kill(
    folder: Path, trained: Trained, stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
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
    assert main([str(w) for w in words]) == 0
    assert f"taking up {stage} where it stopped" in capsys.readouterr().out
    tensors, about = checkpoint.load(folder / "w" / "tiny.safetensors")
    assert tensors.keys() == trained.tensors.keys()
    for name, value in trained.tensors.items():
        assert torch.equal(value, tensors[name]), name
    assert about["seed"] == 0
    told = set(figures(folder / "t.json"))
    assert {"transitions", "effective_rank"} <= told
    assert "train_s" not in told, "the time of a resumed training is not that of a whole one"
    assert [p.name for p in (folder / "w").iterdir()] == ["tiny.safetensors"]
    whole = (folder / "w" / "tiny.safetensors").stat().st_size
    assert main([*map(str, words), "--half"]) == 0
    halved, _ = checkpoint.load(folder / "w" / "tiny.safetensors")
    assert (folder / "w" / "tiny.safetensors").stat().st_size < 0.75 * whole
    for name, value in halved.items():
        torch.testing.assert_close(value, tensors[name], rtol=1e-3, atol=1e-6)


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
    "train": [*TINY, *CHEAP],
    "eval": ["eval.ticks=4", "eval.oracle_episodes=1", *CHEAP],
    "run": ["run.ticks=4", *CHEAP],
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
    levels = "hierarchical" in command  # whose planners have settings of their own
    words += [w for w in SLOW.get(what, []) if not (levels and w in CHEAP)]
    if "--episodes" in words:
        words[words.index("--episodes") + 1] = "2"
    if what in ("run", "eval", "check") and "--checkpoint" not in words:
        others = ("stand", "swingup", "cliff", "push", "rooms-hierarchical")
        (body,) = [b for b in others if b in command] or [""]
        own = ROOT / "checkpoints" / f"{body}-seed0.safetensors"  # another body than of `weights`
        words += ["--checkpoint", str(own if body else weights)]
    code = main(words)
    assert code == 0 or (what == "doctor" and code == 2)


LIMITS = {
    **{f"rooms-hierarchical-seed{seed}": (330_000, 0) for seed in range(3)},
    **{f"rooms-three-seed{seed}": (330_000, 0) for seed in range(3)},
    **{f"rooms-uncertain-seed{seed}": (330_000, 0) for seed in range(3)},
    **{f"rooms-pixels-hierarchical-seed{seed}": (330_000, 2) for seed in range(3)},
    "push-pixels-seed0": (330_000, 2),
}
"""Transitions of training, and ticks of contact in two short lives, where an agent is known to take
more than others (docs/guides/hierarchy.md; from pixels it brushes door posts)."""
SHIPPED = sorted((ROOT / "checkpoints").glob("*.safetensors"))


@pytest.mark.parametrize("path", SHIPPED, ids=[p.stem for p in SHIPPED])
def test_shipped_weights_load_and_keep_clear(path: Path) -> None:
    weights, about = checkpoint.load(path)
    for name in ("command", "seed", "figures", "config", "config_hash"):
        assert name in about, name
    assert about["config_hash"] == schema.config_hash(about["config"])
    built = blueprint(schema.validate(schema.AgentConfig, about["config"], str(path)))
    transitions, contacts = LIMITS.get(path.stem, (100_000, 0))
    if built.config.terms:  # an agent that acts; watching alone may take more
        assert about["figures"]["transitions"] <= transitions
    assert about["figures"]["effective_rank"] > min(8, 0.75 * built.config.latent)
    world = built.world(2)
    try:
        done = episodes(built.assemble(weights), world, [1_000_000, 1_000_013], 60)
    finally:
        world.close()
    assert done.contacts.sum() <= contacts
    assert done.speeding.sum() == 0
    assert done.faults == []


def test_the_c_library_is_told_to_keep_memory_where_it_can_be_told() -> None:
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
