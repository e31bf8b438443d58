"""`list`: every part that a config can name, with its first docstring line; imports none."""

from __future__ import annotations

import argparse
import json

from agent.config.resolve import SLOTS, parts
from agent.core.errors import InputError, nearest
from agent.record.files import write_whole


def main(options: argparse.Namespace) -> int:
    """Print the parts of every slot, or of the one named; returns the exit code."""
    slot = options.config
    if slot is not None and slot not in SLOTS:
        raise InputError(f"list: unknown slot '{slot}'; {nearest(slot, SLOTS)}")
    found = {s: parts(s) for s in ([slot] if slot else SLOTS)}
    for name, entries in found.items():
        print(name)
        for part in entries.values():
            print(f"  {part.name:<14} {part.doc}")
    if options.json is not None:
        whole = {
            s: {p.name: {"target": p.target, "doc": p.doc} for p in e.values()}
            for s, e in found.items()
        }
        write_whole(options.json, json.dumps(whole, indent=1) + "\n")
    return 0
