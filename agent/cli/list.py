"""`list`: every part that a config can name, with its first docstring line; imports none.

`list mjcf:my/robot.xml` describes a world that others made: its sensors, actuators and rate.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from agent.config.resolve import SCHEMES, SLOTS, parts
from agent.core.errors import InputError, nearest
from agent.record.files import write_whole

if TYPE_CHECKING:  # which needs torch, and a list of names does not
    from agent.core.spec import Channel


def main(options: argparse.Namespace) -> int:
    """Print the parts of every slot, or of the one named, or a body; returns the exit code."""
    slot = options.config
    scheme, colon, name = (slot or "").partition(":")
    if slot is not None and scheme in SCHEMES:
        if not name:
            raise InputError(
                f"list: expected a name after '{scheme}:', as in"
                f" gym:Reacher-v5 or mjcf:my/robot.xml, came '{slot}'; name one"
            )
        return _body(slot, options.overrides)
    if slot is not None and slot not in SLOTS:
        hint = nearest(scheme, SCHEMES) if colon else nearest(slot, SLOTS)
        raise InputError(f"list: unknown {'world' if colon else 'slot'} '{slot}'; {hint}")
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


def _body(use: str, overrides: list[str]) -> int:
    """Print what a world that others made senses and drives."""
    from agent.config import yaml
    from agent.config.choose import choose

    whole = yaml.override({"world": {"use": use}}, overrides)
    unknown = sorted(whole.keys() - {"world"})
    if unknown:
        raise InputError(f"list: unknown key '{unknown[0]}'; {nearest(unknown[0], ['world'])}")
    part = whole["world"]
    if not isinstance(part, dict):
        raise InputError(
            f"list: expected settings of the world, such as world.rate_hz=20, came {part!r}"
        )
    kind: Any = choose("world", "world", part).embodied().kind
    print(f"{use}, {kind.rate_hz:g} ticks a second")
    for name, layout in (("sensors", kind.sensors), ("actuators", kind.actuators)):
        print(name)
        for channel in layout.channels:
            print(f"  {channel.name:<24} {_size(channel):<10} {channel.unit}{_range(channel)}")
    for note in getattr(kind, "notes", ()):
        print(note)
    return 0


def _size(channel: Channel) -> str:
    return "x".join(map(str, channel.shape)) or str(channel.size)


def _range(channel: Channel) -> str:
    if channel.low is None or channel.high is None:
        return ""
    return f", from {min(channel.low):g} to {max(channel.high):g}"
