"""The log of record: bit-exact, readable after a kill, never silent about the disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader

from agent.core.errors import InputError
from agent.core.loop import Tick
from agent.core.messages import Message, Percept
from agent.record import log
from agent.record.encode import parse, plain, restore, text
from agent.record.log import Recorder, read
from tests.fake_run import HEADER, message, same, ticks

ROOT = Path(__file__).parents[3]
KINDS = typing.get_args(Message)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    told = list(ticks())
    with Recorder(tmp_path, HEADER) as recorder:
        for episode in (0, 1):
            for tick in told:
                recorder.write(episode, tick, np.array([tick.index, 0.1]))
        recorder.event("a note")
    record = read(tmp_path)
    assert not record.truncated
    assert record.header == plain(HEADER)
    assert record.events == (
        "episode 0 tick 7: memory: ValueError: nothing there",
        "episode 1 tick 7: memory: ValueError: nothing there",
        "a note",
    )
    assert [e.index for e in record.episodes] == [0, 1]
    for episode in record.episodes:
        assert episode.poses is not None
        assert np.array_equal(episode.poses[:, 0], np.arange(40))
        for mine, theirs in zip(told, episode.ticks, strict=True):
            assert mine.index == theirs.index
            assert mine.faults == theirs.faults
            assert mine.elapsed_ms == theirs.elapsed_ms
            assert all(same(mine.messages[k], theirs.messages[k]) for k in KINDS)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**31),
    batch=st.integers(1, 3),
    guardrails=st.integers(0, 2),
)
def test_every_message_survives_bit_for_bit(
    kind: type, seed: int, batch: int, guardrails: int
) -> None:
    rng = torch.Generator().manual_seed(seed)
    said = message(kind, rng, {"B": batch, "R": guardrails}, special=True)
    assert same(restore(kind, parse(text(plain(said)))), said)


def test_a_percept_that_differs_is_told_apart() -> None:
    rng = torch.Generator().manual_seed(0)
    said = message(Percept, rng)
    latent = said.latent.clone()
    latent[0, 0] = torch.nextafter(latent[0, 0], torch.tensor(9.0))
    assert not same(said, Percept(latent, said.uncertainty, said.surprise))


def test_rows_are_flat_and_named(tmp_path: Path) -> None:
    with Recorder(tmp_path, HEADER) as recorder:
        for tick in ticks(3):
            recorder.write(0, tick, None)
        recorder.write(0, Tick(3, {}, {}, ("all is lost",)), None)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [r["tick"] for r in rows] == [0, 1, 2, 3]
    assert {"energy", "term.distance", "ms.actor", "ruling", "guardrail", "margin"} <= set(rows[0])
    assert all(not isinstance(v, (list, dict)) for r in rows for v in r.values())
    assert rows[3]["ruling"] is None


def test_times_increase_over_episodes(tmp_path: Path) -> None:
    with Recorder(tmp_path, HEADER) as recorder:
        for episode in (0, 1):
            for tick in ticks(5):
                recorder.write(episode, tick, None)
    with (tmp_path / "run.mcap").open("rb") as file:
        reader = make_reader(file)
        times = [m.log_time for _, _, m in reader.iter_messages(topics=["/timing"])]
        schemas = {s.name for s, _, _ in reader.iter_messages() if s is not None}
    assert len(times) == 10
    assert times == sorted(times)
    assert {"Percept", "Plan", "Verdict"} <= schemas


WRITER = """
import sys, time
from pathlib import Path
from agent.record import log
from agent.record.log import Recorder
from tests.fake_run import HEADER, ticks, until_written
log.FLUSH_S = 0.2
recorder = Recorder(Path(sys.argv[1]), HEADER)
for tick in ticks(30):
    recorder.write(0, tick, None)
until_written(Path(sys.argv[1]), 30)
for tick in ticks(5):
    recorder.write(1, tick, None)
print("ready", flush=True)
time.sleep(60)
"""


def test_a_killed_process_leaves_a_readable_log(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    record = read(tmp_path)
    assert record.truncated
    assert len(record.episodes[0].ticks) == 30
    assert record.header["seal"] == HEADER["seal"]


@pytest.mark.parametrize("share", [0.5, 0.9, 0.999])
def test_a_truncated_file_is_read_as_far_as_it_goes(
    tmp_path: Path, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "FLUSH_S", 0.0)
    told = list(ticks(20))
    with Recorder(tmp_path, HEADER) as recorder:
        for tick in told:
            recorder.write(0, tick, None)
    path = tmp_path / "run.mcap"
    raw = path.read_bytes()
    path.write_bytes(raw[: int(share * len(raw))])
    record = read(path)
    assert record.truncated
    seen = record.episodes[0].ticks
    assert 0 < len(seen) <= 20
    assert same(seen[0].messages[Percept], told[0].messages[Percept])


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a log"):
        read(tmp_path)
    (tmp_path / "run.mcap").write_bytes(b"not a log")
    with pytest.raises(InputError, match="no header"):
        read(tmp_path)


def test_a_log_is_never_overwritten(tmp_path: Path) -> None:
    Recorder(tmp_path, HEADER).close()
    with pytest.raises(InputError, match="there already"):
        Recorder(tmp_path, HEADER)


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="expected to write"):
        Recorder(tmp_path / "file" / "run", HEADER)


def test_a_full_disk_is_told_at_the_next_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(tmp_path, HEADER)

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log, "_to_disk", full)
    with pytest.raises(InputError, match="No space left"):  # noqa: PT012
        for tick in ticks(200):
            recorder.write(0, tick, None)
            time.sleep(0.01)
    with pytest.raises(InputError, match="No space left"):
        recorder.close()
