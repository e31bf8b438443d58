"""Parts that do not fit: refused in one line, and nothing half-written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent.cli.main import main
from agent.record import checkpoint
from tests.tiny import REACH, ROOT, refused

RUN = ["run.ticks=4", "run.seeds=[1000000]", "run.reference=false"]


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


@pytest.mark.parametrize("command", ["eval", "check"])
def test_a_simulator_that_is_not_mujoco_is_no_oracle(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [command, ROOT / "configs" / "lab" / "pendulum.yaml", "eval.oracle_episodes=1"]
    refused(words, r"oracle: .*simulated, came .*; set eval\.oracle_episodes=0 and run", capsys)


@pytest.mark.parametrize("command", ["run", "eval", "check"])
def test_an_actor_that_descends_has_no_oracle(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = r"oracle: .*no gradients, came gradient; set eval\.oracle_episodes=0"
    refused([command, REACH, "actor={use: gradient}"], said, capsys)


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
