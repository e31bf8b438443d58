"""Read a log of record back: the same messages, bit for bit, also from a file cut short."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from mcap.exceptions import McapError
from mcap.records import Channel, Footer, Message
from mcap.stream_reader import StreamReader
from numpy.typing import NDArray
from zstandard import ZstdError

from agent.core.errors import InputError
from agent.core.loop import Tick
from agent.record.encode import KINDS, parse, restore

DAMAGE = (McapError, ZstdError, struct.error, ValueError, KeyError)
"""How a file that was cut short or damaged shows."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode: its ticks, and the simulator's poses [T nq] (None if none were logged)."""

    index: int
    ticks: tuple[Tick, ...]
    poses: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A whole run. `truncated`: the file ends before its footer; what is here is complete ticks."""

    header: Mapping[str, Any]
    episodes: tuple[Episode, ...]
    events: tuple[str, ...]
    truncated: bool


@dataclass(slots=True)
class _Parts:
    """What has been read of one episode so far."""

    ticks: list[Tick] = field(default_factory=list)
    poses: list[list[float]] = field(default_factory=list)
    messages: dict[type, Any] = field(default_factory=dict)
    pose: list[float] | None = None


def read(path: Path) -> Record:
    """Return the run logged in `path`, a `run.mcap` or the folder that holds one.

    A file cut short (a killed process, a full disk) is read up to its last complete tick.
    Raises InputError if there is no log, or not one of ours.
    """
    path = path / "run.mcap" if path.is_dir() else path
    header: Mapping[str, Any] | None = None
    episodes: dict[int, _Parts] = {}
    events: list[str] = []
    whole = False
    try:
        with path.open("rb") as file:
            for topic, content in _messages(file):
                if topic == "":
                    whole = True
                elif topic == "/header":
                    header = content
                elif topic == "/audit":
                    continue
                elif topic == "/event":
                    events.append(content["text"])
                else:
                    _take(episodes.setdefault(content["episode"], _Parts()), topic, content)
    except OSError as fault:
        raise InputError(
            f"replay: expected a log at {path}, came '{fault.strerror}'; give a folder of runs/"
        ) from fault
    if header is None:
        raise InputError(
            f"replay: {path} holds no header of a Housecat run; give a folder that"
            f" `python run_agent.py run` made"
        )
    built = tuple(_episode(n, parts) for n, parts in episodes.items())
    return Record(header, built, tuple(events), truncated=not whole)


def last_hash(path: Path) -> Mapping[str, Any] | None:
    """Return what a `run.mcap` says about the end of its audit log; None if it does not get there.

    No other message is decoded.
    """
    number, found = None, None
    try:
        with path.open("rb") as file:
            for record in StreamReader(file, validate_crcs=True).records:
                if isinstance(record, Channel) and record.topic == "/audit":
                    number = record.id
                elif isinstance(record, Message) and record.channel_id == number:
                    found = parse(record.data)
    except (*DAMAGE, OSError):
        pass  # a file cut short, or none at all
    return found


def _messages(file: IO[bytes]) -> Iterator[tuple[str, Any]]:
    """Yield (channel, content) in written order, and ("", None) if the footer is there."""
    topics: dict[int, str] = {}
    try:
        for record in StreamReader(file, validate_crcs=True).records:
            if isinstance(record, Channel):
                topics[record.id] = record.topic
            elif isinstance(record, Message):
                yield topics[record.channel_id], parse(record.data)
            elif isinstance(record, Footer):
                yield "", None
    except DAMAGE:
        return  # the damaged end; everything before it has been yielded


def _take(parts: _Parts, topic: str, content: Mapping[str, Any]) -> None:
    if topic in KINDS:
        parts.messages[KINDS[topic]] = restore(KINDS[topic], content)
    elif topic == "/pose":
        parts.pose = [float(x) for x in content["qpos"]]
    elif topic == "/timing":
        elapsed = {n: float(ms) for n, ms in content["elapsed_ms"].items()}
        tick = Tick(content["tick"], parts.messages, elapsed, tuple(content["faults"]))
        parts.ticks.append(tick)
        if parts.pose is not None:
            parts.poses.append(parts.pose)
        parts.messages, parts.pose = {}, None


def _episode(index: int, parts: _Parts) -> Episode:
    poses = parts.poses if len(parts.poses) == len(parts.ticks) else []
    return Episode(index, tuple(parts.ticks), np.array(poses) if poses else None)
