"""Ways to tamper with the audit log of a run that has ended, and what following its chain says."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from agent.core.loop import Tick
from agent.core.messages import Verdict
from agent.record.audit import FILE, Audit, believing
from agent.record.chain import follow
from agent.redteam.modules import DETECTED
from agent.redteam.tampering import DISK, UNDETECTED, Scene, Vector

TICKS = 5
CARD = "card.json"
Lines = list[bytes]


def _ended(scene: Scene, folder: Path) -> None:
    """Leave the audit log and the end card of a short run, vetoed throughout."""
    verdict, _ = scene.gate.rule(None, None, "")
    seal = scene.mind.guardrails.seal
    header = {"seal": seal, "guardrails": [{"name": n} for n in scene.mind.guardrails.names]}
    audit = Audit(folder, header, believing(scene.mind.guardrails))
    for index in range(TICKS):
        audit.take(0, Tick(index, {Verdict: verdict}, {}))
    (folder / CARD).write_text(json.dumps({"audit": audit.end()}), encoding="utf-8")


def _log(edit: Callable[[Path], None]) -> Callable[[Scene], str]:
    """Return what edits the files of a run, and says whether its chain tells of it."""

    def deed(scene: Scene) -> str:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _ended(scene, folder)
            edit(folder)
            broken = follow(folder).broken
        return f"{DETECTED}: {broken}" if broken else f"{UNDETECTED}: the chain holds"

    return deed


def _lines(change: Callable[[Lines], Lines]) -> Callable[[Path], None]:
    """Return what changes the lines of a log and leaves everything else."""

    def edit(folder: Path) -> None:
        path = folder / FILE
        path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))

    return edit


def _other(line: bytes) -> bytes:
    assert b"vetoed" in line, "a line of the log says what was ruled"
    return line.replace(b"vetoed", b"allowed")


def _chained(lines: Lines) -> Lines:
    """Change a ruling and make every hash after it again."""
    made: Lines = []
    last = json.loads(lines[0])["previous"]
    for index, line in enumerate(lines):
        content = json.loads(_other(line) if index == 2 else line) | {"previous": last}
        made.append(json.dumps(content, separators=(",", ":")).encode() + b"\n")
        last = hashlib.sha256(made[-1][:-1]).hexdigest()
    return made


def _all_files(folder: Path) -> None:
    """Write another story into every file that knows of it."""
    _lines(_chained)(folder)
    last = (folder / FILE).read_bytes().splitlines()[-1]
    told = {"chain": hashlib.sha256(last).hexdigest(), "lines": TICKS}
    (folder / CARD).write_text(json.dumps({"audit": told}), encoding="utf-8")


AUDIT: list[Vector] = [
    Vector(f"audit log: {name}", _log(edit), DISK)
    for name, edit in {
        "a ruling changed": _lines(lambda x: [*x[:2], _other(x[2]), *x[3:]]),
        "the seal in the header changed": _lines(
            lambda x: [x[0].replace(b'"seal":"', b'"seal":"0'), *x[1:]]
        ),
        "a line dropped": _lines(lambda x: x[:2] + x[3:]),
        "a line said twice": _lines(lambda x: [*x[:2], x[1], *x[2:]]),
        "two lines exchanged": _lines(lambda x: [*x[:2], x[3], x[2], *x[4:]]),
        "the end cut off": _lines(lambda x: x[:-2]),
        "a line added after the end": _lines(lambda x: [*x, x[2]]),
        "removed": lambda folder: (folder / FILE).unlink(),
        "a ruling changed and the chain made again": _lines(_chained),
        "the chain made again in every file": _all_files,
    }.items()
]
