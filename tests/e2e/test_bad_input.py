"""Bad input: exit code 2, one line that says what to do, and nothing half-written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from agent.config.build import Blueprint
from agent.record import checkpoint
from tests.tiny import REACH, ROOT, TINY, environment

RUN = ["run.ticks=4", "run.seeds=[1000000]", "run.reference=false"]


def refused(words: list[Any], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Expect exit code 2, one line matching `said`, and no file but those that were there."""
    before = sorted(Path.cwd().rglob("*"))
    code = main([str(w) for w in words])
    line = capsys.readouterr().err
    assert code == 2, line
    assert line.count("\n") == 1, line
    assert re.fullmatch(f"error: .*{said}.*\n", line), line
    assert sorted(Path.cwd().rglob("*")) == before


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


DONE = "done: {quantity: fingertip, within: 0.02}"


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("task", "said"),
    [
        (f"a: {{after: [b], {DONE}}}, b: {{after: [a], {DONE}}}", "a cycle of sub-goals: "),
        (f"a: {{goal: {{fingertip: told}}, after: [c], {DONE}}}", "unknown sub-goal 'c'"),
        (
            f"a: {{goal: {{fingertip: told}}, {DONE}}}, b: {{after: [a], instead: a, {DONE}}}",
            r"task\.b: can never be reached",
        ),
        ("a: {done: {quantity: finger, above: 0.1}}", r"a\.done: there is no readout 'finger'"),
        (f"a: {{goal: {{fingertip: told}}, weights: {{to_go: -1.0}}, {DONE}}}", "0 or more"),
        (f"a: {{goal: {{fingertip: told}}, cost: -1.0, {DONE}}}", r"task\.a\.cost.*came -1"),
    ],
)
def test_a_task_that_cannot_be_told_or_done(
    command: str, task: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change = f"configurator={{use: task_graph, task: {{{task}}}}}"
    weights = f"checkpoint={ROOT / 'checkpoints' / 'reach-seed0.safetensors'}"
    refused([command, REACH, change, weights], said, capsys)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("actor.elites=99", r"actor \(cem\): .*came 99 elites of 64 samples; lower `elites`"),
        ("actor.samples=0", r"actor: 'samples': .*greater than or equal to 2, came 0"),
        ("configurator.horizon=0", r"configurator.*at least 1 tick, came 0"),
    ],
)
def test_a_planner_that_cannot_plan(
    change: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(["check", REACH, change], said, capsys)


BOX = "{use: keep_out, name: post, quantity: fingertip, box: {min: [0.5, 0], max: [0.4, 0]}}"
SPOT = "{use: keep_in, name: spot, quantity: fingertip, ball: {centre: [0.1, 0], radius: 1.0e-6}}"
CLEAR = "{use: at_least, name: clear, quantity: proximity, limit: 0.03}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "guardrails.0.weight=0",
            r"guardrails\.0: a guardrail has no weight, came weight 0; it is",
        ),
        (
            "guardrails.0.weight=-1.5",
            r"guardrails\.0: a guardrail has no weight, came weight -1\.5",
        ),
        ("guardrails.1.weight=.nan", r"override.*expected a finite number, came \.nan"),
        (f"guardrails=[{BOX}]", r"guardrail post: .*min 0\.5 above max 0\.4; swap them"),
        ("guardrails.0.quantity=proximty", r"no readout 'proximty'; did you mean 'proximity'\?"),
        (
            f"guardrails=[{{use: negation, name: a, of: {CLEAR.replace('mity', 'mty')}}}]",
            r"guardrails\.clear: there is no readout 'proximty'; did you mean 'proximity'\?",
        ),
        ("guardrails.1.name=keep_clear", r"two are called 'keep_clear'; give each its own `name`"),
        (f"guardrails=[{{use: negation, name: clear, of: {CLEAR}}}]", r"two are called 'clear'"),
        (f"guardrails=[{{use: negation, name: a, name: b, of: {CLEAR}}}]", "'name' stands twice"),
        (f"guardrails=[{{use: any_of, name: a, of: [{CLEAR}, 3]}}]", r"'of\.1': .*came 3"),
        ("gate.fallback=[9.0,0.0]", r"gate\.fallback: expected commands within .*came \[9\.0"),
    ],
)
def test_a_guardrail_that_cannot_guard(
    change: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(["check", REACH, change], said, capsys)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            f"guardrails=[{SPOT}]",
            r"guardrails\.spot: .*fingertip with a 90 % error of at most 1e-06",
        ),
        (
            f"guardrails=[{CLEAR.replace('}', ', tolerance: 1.0e-6}')}]",
            r"guardrails\.clear: .*proximity with a 90 % error of at most 1e-06.*came 0\.\d+; train",
        ),
    ],
)
def test_a_guardrail_whose_readout_errs_too_much(
    change: str, said: str, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare, _ = checkpoint.load(weights)
    path = Path("bare.safetensors")
    checkpoint.save(path, {k: v for k, v in bare.items() if k != "margins"}, {"seed": 0})
    words = [REACH, "--checkpoint", path, change]
    refused(["check", *words], said, capsys)
    refused(["run", *words, *RUN], said, capsys)


@pytest.mark.parametrize("command", ["run", "eval"])
def test_an_actor_that_descends_has_no_oracle(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = r"oracle: .*no gradients, came gradient; set eval\.oracle_episodes=0"
    refused([command, REACH, "actor={use: gradient}"], said, capsys)


def test_a_key_that_stands_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mine.yaml").write_text(REACH.read_text() + "\nseed: 3\n")
    refused(
        ["run", "mine.yaml"], r"mine\.yaml:\d+: key 'seed' stands twice \(first in line", capsys
    )


def test_a_config_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    refused(["run", "raech.yaml"], r"config: expected a file at raech\.yaml, found none", capsys)


def test_training_settings_that_do_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", REACH, "train.learner.step=3", "--out", "w/x.safetensors"]
    code = main([str(w) for w in words])
    line = capsys.readouterr().err
    assert code == 2
    assert "train: unknown key 'learner.step'; did you mean 'steps'?" in line
    assert line.count("\n") == 1
    assert not list(Path.cwd().rglob("*.safetensors"))


MISFIT = """
from agent.core.protocols import Ports
from modules.memory.episodic import EpisodicMemory


class Big(EpisodicMemory):
    def ports(self):
        return Ports({"Z": 99, "A": 5})
"""


def test_a_module_whose_ports_do_not_fit(
    folder: Path, weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "misfit.py").write_text(MISFIT)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "misfit", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    words = ["run", REACH, *RUN, "memory.use=misfit:Big", "--checkpoint", weights]
    code = main([str(w) for w in words])
    text = capsys.readouterr().err
    assert code == 2
    assert text.startswith("error: wiring: 2 mismatches, nothing started")
    assert "axis Z: " in text
    assert "memory says 99" in text
    assert "axis A: " in text
    assert "memory says 5" in text
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("command", ["run", "eval", "check"])
def test_a_checkpoint_that_is_not_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [command, REACH, "--checkpoint", "none.safetensors"]
    said = r"checkpoint: expected a file at none\.safetensors, found none; .*run_agent\.py train"
    refused(words, said, capsys)


@pytest.mark.parametrize("command", ["run", "eval", "check"])
@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda raw: raw[: len(raw) // 2], "is damaged"),
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "was changed after it was saved"),
        (lambda raw: b"not weights", "is damaged"),
    ],
    ids=["truncated", "edited", "other"],
)
def test_a_checkpoint_that_was_spoiled(
    command: str,
    edit: Any,
    said: str,
    weights: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = folder / "bad.safetensors"
    bad.write_bytes(edit(weights.read_bytes()))
    refused([command, REACH, "--checkpoint", bad], f"checkpoint: .*bad.safetensors {said}", capsys)


def test_a_checkpoint_of_another_agent(
    weights: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", REACH, "latent=16", "--checkpoint", weights]
    refused(words, r"checkpoint: perception\.\S+ is \(.*the config wants", capsys)


def test_a_world_file_that_is_missing(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from worlds.reach import world

    monkeypatch.setattr(world, "MODEL", Path("model.xml"))
    words = ["run", REACH, *RUN, "--checkpoint", weights]
    refused(words, r"world: expected an MJCF file at model\.xml, found none", capsys)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", REACH, *RUN, "--out", "file/run"], "run: expected to make file/run"),
        (
            ["train", REACH, *TINY, "--out", "file/w.safetensors"],
            "train: expected a writable folder file",
        ),
    ],
)
def test_an_output_folder_that_cannot_be(
    words: list[Any], said: str, weights: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "file").write_text("in the way")
    extra = [] if words[0] == "train" else ["--checkpoint", weights]
    code = main([str(w) for w in [*words, *extra]])
    line = capsys.readouterr().err
    assert code == 2
    assert re.fullmatch(f"error: {said}.*choose.*\n", line), line
    assert (folder / "file").read_text() == "in the way"
    assert not list(folder.rglob("*.safetensors"))


def test_a_dataset_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(REACH), "train.dataset=none.safetensors"]) == 2
    line = capsys.readouterr().err
    assert re.fullmatch("error: dataset none.safetensors: expected a file, found none; .*\n", line)


def test_an_output_folder_that_is_read_only(
    weights: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shut = folder / "shut"
    shut.mkdir(mode=0o555)
    place = Path("/proc") if os.getuid() == 0 else shut  # root may write anywhere but there
    words = ["run", REACH, *RUN, "--checkpoint", weights, "--out", place / "run"]
    refused(
        words, f"run: expected to make {place}/run, came '.+'; choose another with --out", capsys
    )


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
