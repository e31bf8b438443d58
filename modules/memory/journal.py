"""A memory's own file: what was lived, tick by tick, so that a killed process loses no more.

A header that says whose memories these are, then records of one size, each with a checksum. Only
ever appended to. docs/decisions/0016-a-memory-keeps-its-own-file.md says why it is kept here.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import struct
import warnings
import weakref
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from agent.core.errors import InputError
from agent.core.protocols import Site

MAGIC = b"HCMEMORY"
VERSION = 1
HEAD = struct.Struct("<8sI")
"""Magic, and how many bytes of JSON follow; behind those their CRC-32, then records."""

Records = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose memories a file holds: latents of another body or other percepts mean nothing here.

    `body` is a fingerprint of sensors, actuators and rate; `percepts` of perception's weights.
    """

    version: int
    world: str
    body: str
    latent: int
    percepts: str

    @classmethod
    def at(cls, site: Site) -> Owner:
        """Return who lives at a site."""
        body = f"{site.sensors.describe()} | {site.actuators.describe()} | {site.rate_hz:g} Hz"
        digest = hashlib.sha256(body.encode()).hexdigest()
        return cls(VERSION, site.world, digest, site.latent, site.percepts)

    def header(self) -> bytes:
        """Return the header that says so."""
        text = json.dumps(asdict(self)).encode()
        head = HEAD.pack(MAGIC, len(text)) + text
        return head + zlib.crc32(head).to_bytes(4, "little")

    @staticmethod
    def read(raw: bytes) -> tuple[dict[str, Any], int] | None:
        """Return what a header says and its length; None if `raw` does not begin with one."""
        if len(raw) < HEAD.size or not raw.startswith(MAGIC):
            return None
        end = HEAD.size + HEAD.unpack_from(raw)[1]
        if raw[end : end + 4] != zlib.crc32(raw[:end]).to_bytes(4, "little"):
            return None
        told: dict[str, Any] = json.loads(raw[HEAD.size : end])
        return told, end + 4


MEANING = {
    "version": "the file format",
    "world": "the world",
    "body": "sensors and actuators (a fingerprint)",
    "latent": "the latent's size",
    "percepts": "the weights of perception (a fingerprint)",
}


def layout(site: Site) -> np.dtype[Any]:
    """Return the fields of a record: of one agent in one tick."""
    z, a, s = site.latent, site.actuators.size, len(site.sensors.channels)
    return np.dtype(
        [
            ("episode", "<u4"), ("row", "<u4"), ("tick", "<u4"), ("latent", "<f4", (z,)),
            ("energy", "<f4"), ("anticipation", "<f4"), ("command", "<f4", (a,)),
            ("forecast", "<f4", (z,)), ("spread", "<f4"), ("is_valid", "u1", (s,)), ("crc", "<u4"),
        ]
    )  # fmt: skip


class Journal:
    """The file at `path` of an agent that lives at a site; `open` makes it, and keeps others out.

    Every `write` is in the hands of the operating system when it returns: a process that is killed
    loses nothing that was written; `sync` puts all of it on disk, for a machine that loses power.
    Raises InputError if the file belongs to another agent, or is none of this kind.
    """

    def __init__(self, path: Path, site: Site) -> None:
        """Look at the header, if there is a file."""
        self.path, self._owner, self.layout = path, Owner.at(site), layout(site)
        self._claim: Claim | None = None
        if path.is_file() and path.stat().st_size:
            self._begin()

    def open(self) -> Records:
        """Claim the file and return all sound records; damage is cut off or left out, and said.

        Raises InputError if another process has it, or it cannot be written.
        """
        self._claim = claim = Claim.of(self.path)
        if not os.fstat(claim.file).st_size:
            os.write(claim.file, self._owner.header())
        begin = self._begin()
        raw = self.path.read_bytes()[begin:]
        records, good = _sound(raw, self.layout)
        if torn := len(raw) - good * self.layout.itemsize:
            os.ftruncate(claim.file, begin + good * self.layout.itemsize)
            _say(f"the end of {self.path} was torn: {torn} bytes cut off, {good} records are left")
        if bad := good - len(records):
            _say(f"{bad} of {good} records of {self.path} are damaged and left out")
        last = int(records["episode"].max()) if len(records) else 0
        claim.episodes = max(claim.episodes, last)
        return records

    def begin(self) -> int:
        """Return the number of a new episode, from 1."""
        assert self._claim is not None, "begin before open"
        self._claim.episodes += 1
        return self._claim.episodes

    def write(self, columns: Mapping[str, Any]) -> None:
        """Append one record an agent, from columns [B ...] named as in `layout`.

        Where that fails, as on a full disk, it is said once, and the life goes on unrecorded.
        """
        if self._claim is None:
            return
        records = np.zeros(len(columns["latent"]), self.layout)
        for name, values in columns.items():
            records[name] = values
        records["crc"] = _checksums(records.tobytes(), self.layout.itemsize)
        file = self._claim.file
        before = os.fstat(file).st_size
        try:
            written = os.write(file, records.tobytes())
            if written < records.nbytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as fault:
            os.ftruncate(file, before)
            self._claim = None
            _say(f"{self.path} cannot be written ({fault.strerror}); nothing is kept from here on")

    def sync(self) -> None:
        """Wait until all that was written is on disk."""
        if self._claim is not None:
            os.fsync(self._claim.file)

    def _begin(self) -> int:
        """Return where records begin. Raises InputError if the header is not what it must be."""
        with self.path.open("rb") as file:
            found = Owner.read(file.read(1 << 16))
        remedy = "name another file in memory.path, or move this one away"
        if found is None:
            raise InputError(f"memory: expected {self.path} to be a memory file; {remedy}")
        owner, length = found
        for name, meaning in MEANING.items():
            mine, its = getattr(self._owner, name), owner.get(name)
            if mine != its:
                raise InputError(
                    f"memory: {self.path} was lived with another agent: {meaning}, expected"
                    f" {_short(mine)}, came {_short(its)}; {remedy}"
                )
        return length


class Claim:
    """An open file that no other process may write; agents of one process share it."""

    _claims: ClassVar[WeakValueDictionary[Path, Claim]] = WeakValueDictionary()

    def __init__(self, path: Path) -> None:
        """Open and lock. Raises InputError if that is refused."""
        self.episodes = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as fault:
            raise InputError(
                f"memory: expected to write {path}, came '{fault.strerror}'; name a file in"
                f" memory.path that you may write"
            ) from None
        weakref.finalize(self, os.close, self.file)
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"memory: {path} is in use by another process; give each its own memory.path"
            ) from None

    @classmethod
    def of(cls, path: Path) -> Claim:
        """Return this process's claim to the file."""
        key = path.resolve()
        found = cls._claims.get(key)
        if found is None:
            found = cls._claims[key] = cls(path)
        return found


def _checksums(raw: bytes, size: int) -> Records:
    """Return the CRC-32 of each record in `raw`, without the four bytes that hold it."""
    view = memoryview(raw)
    starts = range(0, len(raw), size)
    return np.fromiter((zlib.crc32(view[i : i + size - 4]) for i in starts), "<u4", len(starts))


def _sound(raw: bytes, form: np.dtype[Any]) -> tuple[Records, int]:
    """Return the records whose checksum holds, and how many there are up to the last of them."""
    whole = len(raw) // form.itemsize
    records = np.frombuffer(raw, form, whole)
    sound = _checksums(raw[: whole * form.itemsize], form.itemsize) == records["crc"]
    good = int(np.flatnonzero(sound)[-1]) + 1 if sound.any() else 0
    return records[sound].copy(), good


def _short(value: Any) -> str:
    return str(value)[:12] if isinstance(value, str) else repr(value)


def _say(text: str) -> None:
    warnings.warn(f"memory: {text}", stacklevel=3)
