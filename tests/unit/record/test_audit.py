"""The audit log: every verdict with what came of it, and a chain that shows any change."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.core.errors import InputError
from agent.core.guardrails import Guardrails
from agent.core.messages import Action, Percept, Verdict
from agent.evaluate.believed import FAULTS, LIMITS, believed
from agent.record import log
from agent.record.audit import FILE, START, believing, digest, remembers
from agent.record.chain import Chain, follow
from agent.record.log import Recorder
from tests.fake_run import HEADER, ticks
from tests.toys import Below, Place

ROOT = Path(__file__).parents[3]


def second(before: Tensor, command: Tensor, after: Tensor) -> Tensor:
    """Believe in the first two numbers of the next latent."""
    assert len(before) == len(command) == len(after)
    return after[:, :2]


def recorded(folder: Path, count: int = 20, episodes: int = 2) -> Path:
    with Recorder(folder, HEADER, second) as recorder:
        for episode in range(episodes):
            for tick in ticks(count):
                recorder.write(episode, tick)
    return folder


def lines(folder: Path) -> list[bytes]:
    return (folder / FILE).read_bytes().splitlines()


def test_every_verdict_stands_in_the_log_with_what_came_of_it(tmp_path: Path) -> None:
    told = list(ticks(20))
    chain = follow(recorded(tmp_path))
    assert (chain.broken, chain.whole, len(chain.lines)) == ("", True, 40)
    assert chain.header["seal"] == HEADER["seal"]
    for row, tick in zip(chain.lines[:20], told, strict=True):
        verdict = tick.messages[Verdict]
        assert row["tick"] == tick.index
        assert row["ruling"] == ("allowed", "repaired")[int(verdict.ruling[0])]
        assert row["predicted"] == float(verdict.predicted[0])
        assert row["margin"] == float(verdict.margin[0])
        assert row["reason"] == "clear; fallback"
        assert list(row["ahead"].values()) == verdict.ahead[0].tolist()
        named = HEADER["guardrails"][int(verdict.guardrail[0])]
        assert (row["guardrail"], row["limit"]) == (named["name"], named["limit"])
    for row, after in zip(chain.lines[:19], told[1:], strict=True):
        assert list(row["realised"].values()) == after.messages[Percept].latent[0, :2].tolist()
    assert set(chain.lines[19]["realised"].values()) == {None}


def test_it_does_not_matter_when_lines_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = recorded(tmp_path / "late")
    monkeypatch.setattr(log, "FLUSH_S", 0.0)
    assert lines(recorded(tmp_path / "soon")) == lines(late)


def test_a_tick_without_a_percept_is_not_compared(tmp_path: Path) -> None:
    told = list(ticks(4))
    del told[2].messages[Percept]  # type: ignore[attr-defined]
    with Recorder(tmp_path, HEADER, second) as recorder:
        for tick in told:
            recorder.write(0, tick)
    compared = [None not in row["realised"].values() for row in follow(tmp_path).lines]
    assert compared == [True, False, False, False]


def test_guardrails_that_cannot_be_read_leave_the_line_without_a_value(tmp_path: Path) -> None:
    def blind(*_: Tensor) -> Tensor:
        raise RuntimeError("no eyes")

    with Recorder(tmp_path, HEADER, blind) as recorder:
        for tick in ticks(3):
            recorder.write(0, tick)
    chain = follow(tmp_path)
    assert not chain.broken
    assert all(set(row["realised"].values()) == {None} for row in chain.lines)


def test_what_is_believed_comes_from_the_sealed_guardrails_without_margin() -> None:
    rails = Guardrails((Below(1.0),), Place(), torch.tensor([[0.25]]))
    start, command = torch.zeros(3, 2), torch.ones(3, 2)
    after = torch.tensor([[0.5, 0.0], [1.5, 0.0], [math.nan, 0.0]])
    values = believing(rails)(start, command, after)
    assert values.tolist() == [[-0.5], [0.5], [math.inf]]


def test_what_depends_on_the_past_is_not_compared() -> None:
    class Remembering:
        def remember(self, now: object) -> None: ...

    class Both:
        parts = (Below(1.0), Remembering())

    assert [remembers(g) for g in (Below(1.0), Remembering(), Both())] == [False, True, True]


Change = Callable[[list[bytes]], list[bytes]]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda x: [x[0].replace(b"5ea1", b"5ea2", 1), *x[1:]], "line 2"),
        (lambda x: [*x[:9], x[9].replace(b'"tick":8', b'"tick":9'), *x[10:]], "line 11"),
        (lambda x: [*x[:9], *x[10:]], "line 10"),
        (lambda x: [*x[:9], x[8], *x[9:]], "line 10"),
        (lambda x: [*x[:9], x[10], x[9], *x[11:]], "line 10"),
        (lambda x: x[1:], "line 1"),
        (lambda x: [*x, x[-1]], "after the closing line"),
        (lambda x: [*x, b'{"torn'], "after the closing line"),
        (lambda x: x[:-1], "its end is missing, but run.mcap says it had 40 verdicts"),
        (lambda x: x[:20], "its end is missing"),
        (lambda x: [*x[:9], b"nonsense", *x[10:]], "line 10: it is not a line"),
        (lambda x: [*x[:9], b"[1]", *x[10:]], "line 10: it is not a line"),
        (lambda x: [], "there is no header"),
    ],
)
def test_a_change_is_found_where_it_was_made(tmp_path: Path, change: Change, fault: str) -> None:
    changed = change(lines(recorded(tmp_path)))
    (tmp_path / FILE).write_bytes(b"".join(line + b"\n" for line in changed))
    assert fault in follow(tmp_path).broken


def rechained(told: list[bytes]) -> list[bytes]:
    """Return the lines with hashes that fit again, as a forger would write them."""
    last, found = START, []
    for line in told:
        whole = json.dumps(json.loads(line) | {"previous": last}).encode()
        found.append(whole)
        last = digest(whole)
    return found


def test_a_forged_chain_does_not_end_as_the_log_of_record_says(tmp_path: Path) -> None:
    forged = rechained(lines(recorded(tmp_path)))
    (tmp_path / FILE).write_bytes(b"".join(line + b"\n" for line in forged))
    assert "but run.mcap says" in follow(tmp_path).broken


def test_the_end_card_knows_the_end_too(tmp_path: Path) -> None:
    end = digest(lines(recorded(tmp_path))[-1])
    (tmp_path / "card.json").write_text(json.dumps({"audit": {"chain": end, "lines": 40}}))
    (tmp_path / "run.mcap").unlink()
    assert follow(tmp_path).broken == ""
    (tmp_path / "card.json").write_text(json.dumps({"audit": {"chain": "f00", "lines": 40}}))
    assert "card.json says f00" in follow(tmp_path).broken


def test_a_log_that_was_taken_away_is_missed(tmp_path: Path) -> None:
    (recorded(tmp_path) / FILE).unlink()
    assert follow(tmp_path).broken == f"{FILE} is missing, but run.mcap knows of it"


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"audit: expected .*audit.jsonl, found none"):
        follow(tmp_path)
    with pytest.raises(InputError, match="audit"):
        follow(tmp_path / "nowhere")


WRITER = """
import sys, time
from pathlib import Path
from agent.record import log
from agent.record.log import Recorder
from tests.fake_run import HEADER, ticks, until_written
log.FLUSH_S = 0.2
recorder = Recorder(Path(sys.argv[1]), HEADER, lambda before, command, after: after[:, :2])
for tick in ticks(30):
    recorder.write(0, tick)
until_written(Path(sys.argv[1]), 30)
for tick in ticks(5):
    recorder.write(1, tick)
print("ready", flush=True)
time.sleep(60)
"""


def killed(folder: Path, how: signal.Signals, script: str = WRITER) -> Chain:
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    child.send_signal(how)
    child.wait()
    child.stdout.close()
    return follow(folder)


def test_a_killed_process_leaves_a_valid_prefix(tmp_path: Path) -> None:
    chain = killed(tmp_path, signal.SIGKILL)
    assert (chain.broken, chain.whole) == ("", False)
    assert 29 <= len(chain.lines) <= 35, "what was on disk is there, the verdict in the air is not"
    path = tmp_path / FILE  # and so is what a torn last line leaves
    path.write_bytes(path.read_bytes()[:-7])
    chain = follow(tmp_path)
    assert (chain.broken, chain.whole) == ("", False)


def test_ctrl_c_loses_nothing(tmp_path: Path) -> None:
    within = WRITER.replace("recorder = Recorder", "with Recorder").replace(
        "[:, :2])", "[:, :2]) as recorder:"
    )
    head, _, body = within.partition(" as recorder:\n")
    script = head + " as recorder:\n" + "".join(f"    {line}\n" for line in body.splitlines())
    chain = killed(tmp_path, signal.SIGINT, script)
    assert (chain.broken, chain.whole, len(chain.lines)) == ("", True, 35)


def row(ruling: str, rail: str | None = None, reason: str = "", **more: Any) -> dict[str, Any]:
    nothing = {"clear": None, "speed": None}
    return {"ruling": ruling, "guardrail": rail, "reason": reason, "ahead": nothing} | {
        "realised": nothing,
        **more,
    }


def test_sums_say_what_was_ruled_and_what_was_covered() -> None:
    def came(ahead: Any, realised: Any) -> dict[str, Any]:
        return {"ahead": {"clear": ahead, "speed": None}} | {
            "realised": {"clear": realised, "speed": None}
        }

    told = believed(
        HEADER,
        [
            row("allowed", **came(-0.1, -0.2)),
            row("allowed", **came(-0.1, -0.05)),
            row("repaired", "clear", "clear; cut short", **came(-0.1, 0.3)),
            row("repaired", "clear", "clear; bent", **came("Infinity", 0.1)),
            row("repaired", None, "outside actuator limits; clamped"),
            row("vetoed", "speed", "speed; fallback", **came(-0.2, -0.2)),
            row("vetoed", None, "no plan"),
        ],
    )
    assert told.allowed == 2
    assert told.repaired == {"clear": {"cut short": 1, "bent": 1}, LIMITS: {"clamped": 1}}
    assert told.vetoed == {"speed": 1, FAULTS: 1}
    clear = told.guardrails["clear"]
    assert (clear.covered, clear.n, clear.broken) == (0.5, 4, 2)
    assert clear.low < 0.5 < clear.high
    assert told.guardrails["speed"].n == 0


def test_recording_does_not_change_what_a_run_without_an_audit_writes(tmp_path: Path) -> None:
    with Recorder(tmp_path, HEADER) as recorder:
        for tick in ticks(3):
            recorder.write(0, tick)
    assert not (tmp_path / FILE).exists()
    assert recorder.audited == {}
    assert Action in next(ticks(1)).messages
