"""Bad input: exit code 2, one line that says what to do, and nothing half-written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from agent.config.build import Blueprint
from agent.record import checkpoint
from tests.tiny import REACH, ROOT, environment, refused


@pytest.mark.parametrize("command", ["run", "eval", "check", "train"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("actor.sample=3", r"actor: unknown key 'sample'; did you mean 'samples'\?"),
        ("seed=one", r"'seed': .*integer, came 'one' \(str\)"),
        ("actor.use=cme", r"unknown actor 'cme'; did you mean 'cem'\?"),
        ("gate.fallback", r"override 'gate\.fallback': expected key\.path=value"),
    ],
)
def test_a_wrong_setting(
    command: str, change: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused([command, REACH, change], said, capsys)


def test_training_settings_that_do_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", REACH, "train.learner.step=3", "--out", "w/x.safetensors"]
    code = main([str(w) for w in words])
    line = capsys.readouterr().err
    assert code == 2
    assert "train: unknown key 'learner.step'; did you mean 'steps'?" in line
    assert line.count("\n") == 1
    assert not list(Path.cwd().rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rnu"], r"unknown subcommand 'rnu'; did you mean 'run'\?"),
        (["evl", "configs/reach.yaml"], r"unknown subcommand 'evl'; did you mean 'eval'\?"),
        (["eval", REACH, "--episodes", "0"], "eval --episodes: expected at least 1, came 0"),
        (["list", "actr"], r"list: unknown slot 'actr'; did you mean 'actor'\?"),
        (["bench", "foresight"], "bench foresight: expected a config, came none"),
        (["bench", "futures"], "bench futures: expected a config, came none"),
        (["bench", "goals"], "bench goals: expected a config, came none"),
        (["bench", "preference"], "bench preference: expected a config, came none"),
        (["bench", "futures", REACH], r"expected world_model\.latent_variable in .*, came none"),
        (["energy", REACH, "--temperature", "-1"], "expected 0 or more, came -1"),
        (["energy", REACH, "--episodes", "1"], "energy --episodes: expected at least 2, came 1"),
        (["bench", "continual"], "bench continual: expected a config, came none"),
        (["bench", "continual", REACH], "expected what changes in the world, came nothing"),
        (
            ["bench", "continual", REACH, "world.mass_scale=2.0"],
            r"world_model: unknown key 'tolerated'",
        ),
        (["bench", "practice"], "bench practice: expected a config, came none"),
        (["bench", "practice", REACH], "expected an actor that practises, came 'cem'; use habit"),
        (["bench", "exploration"], "bench exploration: expected a config, came none"),
        (["bench", "exploration", REACH, "joint_angel"], "did you mean 'joint_angle'"),
        (["import"], "import: expected minari:ID CONFIG SENSOR=COLUMNS"),
        (
            ["import", "minari:a/b-v0", REACH, "rate_hz=fast"],
            "rate_hz: expected a number, came 'fast'",
        ),
        (["bench", "tik"], r"bench: unknown bench 'tik'; did you mean 'tick'\?"),
        (["report"], "report: expected a run folder, came none"),
        (["report", "nowhere"], r"report: expected nowhere/run\.mcap, found none"),
    ],
)
def test_a_wrong_command(words: list[Any], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(words, said, capsys)


@pytest.mark.parametrize("words", [["--sed", "3"], ["run", "--mode", "7"], ["--seed", "x"]])
def test_a_wrong_option_is_said_in_one_line(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(words)
    line = capsys.readouterr().err
    assert code == 2
    assert line.startswith("error: ")
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [(["--help"], 0), (["run", "--help"], 0), (["evla"], 2), (["list"], 0), (["list", "actor"], 0)],
)
def test_help_and_typos_need_no_torch(words: list[str], code: int) -> None:
    program = (
        "import sys\nfrom agent.cli.main import main\n"
        "try:\n    code = main(sys.argv[1:])\nexcept SystemExit as end:\n    code = end.code\n"
        "heavy = {'torch', 'mujoco', 'numpy', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\nsys.exit(code)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert shown.returncode == code, shown.stderr
    assert "Traceback" not in shown.stderr


def test_agent_and_modules_import_no_simulator() -> None:
    program = (
        "import importlib, pkgutil, sys, agent.core, modules\n"
        "for package in (agent.core, modules):\n"
        "    for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(found.name)\n"
        "import agent.train.course, agent.config.build, agent.record.log, agent.report.html\n"
        "assert 'mujoco' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment(), check=True)


def test_a_defect_of_ours_is_one_line_too(
    plans: Blueprint,
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(path: Path) -> None:
        raise ZeroDivisionError("oops\nagain")

    monkeypatch.setattr(checkpoint, "load", broken)
    code = main(["eval", str(REACH), "--checkpoint", str(weights)])
    line = capsys.readouterr().err
    assert code == 1
    assert line.startswith("error: defect in Housecat (ZeroDivisionError: oops again)")
    assert line.count("\n") == 1
