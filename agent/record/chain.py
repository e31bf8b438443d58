"""Follow the chain of an audit log: what it holds, and the first place where it is broken."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.core.errors import InputError
from agent.record.audit import FILE, FORM, START, digest
from agent.record.encode import parse
from agent.record.playback import last_hash


@dataclass(frozen=True, slots=True)
class Chain:
    """An audit log: its header, the verdicts up to the first fault, and how it ends.

    `broken` says what is wrong, empty if nothing is. `whole`: the closing line is there; a log
    that is neither whole nor broken is a prefix, as a killed process leaves it. `end` is the hash
    of the last line that holds.
    """

    header: Mapping[str, Any]
    lines: tuple[Mapping[str, Any], ...]
    whole: bool
    end: str
    broken: str = ""


def follow(folder: Path) -> Chain:
    """Return the audit log of a run, checked line by line and against its other files.

    Raises InputError if `folder` is no run that was audited.
    """
    path = folder / FILE
    promises = _promises(folder)
    if not path.is_file():
        if promises:
            who = " and ".join(promises)
            return Chain({}, (), False, START, f"{FILE} is missing, but {who} knows of it")
        raise InputError(
            f"audit: expected {path}, found none; name a folder under runs/ that"
            f" `python run_agent.py run` made"
        )
    found = _followed(path.read_bytes())
    if found.broken:
        return found
    for who, promised in promises.items():
        if not found.whole:
            fault = f"its end is missing, but {who} says it had {promised.get('lines')} verdicts"
        elif promised.get("chain") != found.end:
            fault = f"it ends in {found.end[:12]}, but {who} says {str(promised.get('chain'))[:12]}"
        else:
            continue
        return Chain(found.header, found.lines, found.whole, found.end, f"{FILE}: {fault}")
    return found


def _followed(raw: bytes) -> Chain:
    """Return the chain in the bytes of a log, up to the first line that does not hold."""
    *whole, torn = raw.split(b"\n")
    header: Mapping[str, Any] = {}
    lines: list[Mapping[str, Any]] = []
    last, ended = START, False

    def broken(number: int, why: str) -> Chain:
        return Chain(header, tuple(lines), ended, last, f"{FILE} line {number}: {why}")

    for number, line in enumerate(whole, 1):
        if ended:
            return broken(number, "it stands after the closing line")
        try:
            content = parse(line)
            previous = content["previous"]
        except (ValueError, TypeError, KeyError):
            return broken(number, "it is not a line of an audit log")
        if previous != last:
            return broken(number, f"it does not follow from line {number - 1}; one was changed")
        if number == 1:
            header = content
            if content.get("audit") != FORM:
                return broken(number, f"expected a header of {FORM}")
        elif content.get("end"):
            ended = True
            counted = content.get("lines")
            if counted != len(lines):
                return broken(number, f"it counts {counted} verdicts, not {len(lines)}")
        else:
            lines.append(content)
        last = digest(line)
    if not whole:
        return broken(1, "there is no header")
    if torn and ended:
        return broken(len(whole) + 1, "it stands after the closing line")
    return Chain(header, tuple(lines), ended, last)


def _promises(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Return what the other files of a run say about the end of its audit log, by their names."""
    found: dict[str, Mapping[str, Any]] = {}
    if (logged := last_hash(folder / "run.mcap")) is not None:
        found["run.mcap"] = logged
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        if isinstance(card.get("audit"), dict):
            found["card.json"] = card["audit"]
    except (OSError, ValueError, AttributeError):
        pass  # the run did not get that far
    return found
