"""The log of record: everything that was said, written beside the loop and never in its way.

`Recorder.write` hands references to a writer thread: messages are immutable. A killed process
loses at most the last second, because every second a chunk is closed and put on disk.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from mcap.writer import Writer
from numpy.typing import NDArray

from agent.core.errors import HousecatError, InputError
from agent.core.loop import Tick
from agent.core.messages import Action, Directive, Observation, Plan, Task
from agent.record.audit import Audit, Believe
from agent.record.encode import KINDS, TOPICS, Json, plain, schema, text
from agent.record.metrics import rows
from agent.record.playback import Episode, Record, read

FLUSH_S = 1.0
BACKLOG = 4096
"""Ticks that may wait for the disk; with more the loop waits too, for a record has no gaps."""

Pose = NDArray[np.float64]
EXTRAS = {
    "/header": "What the run was: configuration, seal, layouts, machine.",
    "/timing": "Milliseconds per module; last of each tick's messages. Faults of modules.",
    "/pose": "The simulator's joint positions, for replays only; no module sees them.",
    "/event": "Faults and notes.",
    "/audit": "Last of all: the last hash of audit.jsonl and the number of verdicts there.",
}


class Recorder:
    """Writes `run.mcap` (every message) and `metrics.jsonl` (one row per tick and agent).

    Given `believe` (`agent.record.audit.believing`), also `audit.jsonl`: every verdict, chained.

    Log times are simulation times in nanoseconds; an episode begins one tick after the last one
    ended, so that they increase. Use it as a context manager, or call `close`.
    """

    def __init__(
        self, folder: Path, header: Mapping[str, Any], believe: Believe | None = None
    ) -> None:
        """Start the log of a run in `folder`, made if missing.

        `header` says what the run was; it is on disk when this returns. Read here: `rate_hz`,
        `layouts`, `terms`, `guardrails`.
        Raises InputError if the folder cannot be written or already holds a log.
        """
        self._folder, self._header = folder, dict(header)
        self._queue: SimpleQueue[tuple[int, Tick, Pose | None] | str | None] = SimpleQueue()
        self._fault: HousecatError | None = None
        self.audited: dict[str, Any] = {}
        self._audit: Audit | None = None
        self._period_ns = round(1e9 / float(header.get("rate_hz", 1.0)))
        self._now_ns, self._start_ns, self._episode = 0, 0, -1
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with ExitStack() as files:
                self._log = files.enter_context((folder / "run.mcap").open("xb"))
                self._rows = files.enter_context((folder / "metrics.jsonl").open("xb"))
                self._open()
                if believe is not None:
                    self._audit = Audit(folder, header, believe)
                self._files = files.pop_all()
        except OSError as fault:
            raise self._refusal(fault) from fault
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._thread.start()

    def write(self, episode: int, tick: Tick, pose: Pose | None = None) -> None:
        """Record a tick of episode number `episode`; `pose` [nq] is copied.

        Takes microseconds unless the disk is thousands of ticks behind.
        Raises InputError if an earlier write failed.
        """
        self._raise_fault()
        while self._queue.qsize() > BACKLOG:
            time.sleep(0.01)
        self._queue.put((episode, tick, None if pose is None else np.array(pose, np.float64)))

    def event(self, note: str) -> None:
        """Record a one-line note. Raises InputError if an earlier write failed."""
        self._raise_fault()
        self._queue.put(note)

    def close(self) -> None:
        """Write what is waiting, the index and the footer. Raises InputError if that failed."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
            try:
                if self._fault is None:
                    if self._audit is not None:
                        self.audited = self._audit.end()
                        self._put("/audit", self.audited)
                    self._mcap.finish()
                    self._sync()
                self._files.close()
            except OSError as fault:
                self._fault = self._fault or self._refusal(fault)
        self._raise_fault()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None
    ) -> None:
        """Close; a fault of the disk does not hide the one already on its way."""
        try:
            self.close()
        except HousecatError:
            if fault is None:
                raise

    def _open(self) -> None:
        self._mcap = Writer(self._log, chunk_size=4 << 20)
        self._mcap.start(profile="housecat", library="housecat")
        notes = _notes(self._header)
        forms = {t: schema(kind, notes.get(kind, {})) for t, kind in KINDS.items()}
        for topic, about in EXTRAS.items():
            forms[topic] = {"title": topic[1:], "type": "object", "description": about}
        self._channels = {}
        for topic, form in forms.items():
            number = self._mcap.register_schema(form["title"], "jsonschema", text(form))
            self._channels[topic] = self._mcap.register_channel(topic, "json", number)
        header = plain(self._header)
        flat = {k: v if isinstance(v, str) else text(v).decode() for k, v in header.items()}
        self._mcap.add_metadata("header", flat)
        self._put("/header", header)
        self._sync()

    def _work(self) -> None:
        due = time.monotonic() + FLUSH_S
        waiting = False
        while True:
            try:
                item = self._queue.get(timeout=max(0.0, due - time.monotonic()))
                if item is None:
                    return
                waiting = True
            except Empty:
                item = None
            if self._fault is not None:
                continue
            try:
                if isinstance(item, str):
                    self._put("/event", {"text": item})
                elif item is not None:
                    self._tick(*item)
                if time.monotonic() >= due:
                    if waiting:
                        self._sync()
                    due, waiting = time.monotonic() + FLUSH_S, False
            except OSError as fault:
                self._fault = self._refusal(fault)
            except Exception as fault:  # noqa: BLE001 - told at the next write or close
                self._fault = HousecatError(f"recorder: {type(fault).__name__}: {fault}")

    def _tick(self, episode: int, tick: Tick, pose: Pose | None) -> None:
        if episode != self._episode:
            self._episode = episode
            self._start_ns = self._now_ns + self._period_ns
        seen = tick.messages.get(Observation)
        since = tick.index * self._period_ns if seen is None else round(float(seen.time_s[0]) * 1e9)
        self._now_ns = max(self._now_ns, self._start_ns + since)
        where = {"episode": episode, "tick": tick.index}
        for fault in tick.faults:
            self._put("/event", {"text": f"episode {episode} tick {tick.index}: {fault}"})
        for kind, message in tick.messages.items():
            self._put(TOPICS[kind], {**where, **plain(message)})
        if pose is not None:
            self._put("/pose", {**where, "qpos": plain(pose.tolist())})
        timing = {"elapsed_ms": plain(tick.elapsed_ms), "faults": list(tick.faults)}
        self._put("/timing", {**where, **timing})
        for row in rows(episode, tick, self._header):
            self._rows.write(text(plain(row)) + b"\n")
        if self._audit is not None:
            self._audit.take(episode, tick)

    def _put(self, topic: str, content: Json) -> None:
        at = self._now_ns
        self._mcap.add_message(self._channels[topic], at, text(content), at)

    def _sync(self) -> None:
        self._mcap.flush()
        if self._audit is not None and not self.audited:
            self._audit.sync()
        for file in (self._log, self._rows):
            _to_disk(file)

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _refusal(self, fault: OSError) -> InputError:
        path = self._folder / "run.mcap"
        if isinstance(fault, FileExistsError):
            return InputError(f"recorder: {path} is there already; choose a new run folder")
        why = fault.strerror or str(fault)
        return InputError(
            f"recorder: expected to write {path}, came '{why}';"
            f" free the disk or choose another folder"
        )


def _notes(header: Mapping[str, Any]) -> dict[type, dict[str, str]]:
    layouts = header.get("layouts", {})
    said = {k: ", ".join(f"{n}[{s}] {u}" for n, s, u in layouts.get(k, ())) for k in layouts}
    sensors, goal = said.get("sensors", ""), said.get("goal", "")
    actuators = said.get("actuators", "")
    return {
        Observation: {"values": sensors},
        Action: {"command": actuators},
        Plan: {"actions": actuators, "temptation": actuators},
        Task: {"goal": goal},
        Directive: {"goal": goal},
    }


def _to_disk(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


__all__ = ["Episode", "Record", "Recorder", "read"]
