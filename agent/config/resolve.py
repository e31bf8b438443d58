"""From the name in a config to a class: a file of its slot, `pkg.mod:Class`, or an entry point.

Names are found by reading file names and syntax trees, so listing and typos need no import.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from agent.core.errors import InputError, nearest
from agent.core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]

SLOTS: dict[str, str] = {
    "world": "worlds",
    "perception": "modules/perception",
    "world_model": "modules/world_model",
    "objective": "modules/world_model/objectives",
    "latent_variable": "modules/world_model/latents",
    "cost": "modules/cost",
    "term": "modules/cost/terms",
    "guardrail": "modules/cost/guardrails",
    "readouts": "modules/cost/readouts",
    "critic": "modules/cost/critics",
    "memory": "modules/memory",
    "configurator": "modules/configurator",
    "actor": "modules/actor",
}
"""Slot → folder. A file `name.py` there, with a class `Name` or `NameSlot`, is the part `name`.

A world is a folder `name/world.py`, or a file `adapters/name.py`.
"""

SCHEMES: dict[str, tuple[str, str]] = {
    "gym": ("gymnasium", "id"),
    "mjcf": ("mjcf", "path"),
    "menagerie": ("menagerie", "robot"),
    "dmc": ("dmc", "task"),
}
"""Short for worlds that others made: `gym:Reacher-v5` is `{use: gymnasium, id: Reacher-v5}`."""

MODULES = ("perception", "world_model", "cost", "memory", "configurator", "actor")
"""The slots of the six modules; the others hold their parts, and worlds."""

_SIX = ("reads", "recalls", "posts", "ports", "reset", "tick")
OFFERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(MODULES, _SIX),
    "perception": (*_SIX, "encode"),
    "world_model": (*_SIX, "imagine"),
    "cost": (*_SIX, "energy"),
    "world": ("sensors", "actuators", "rate_hz", "reset", "step", "close"),
    "term": ("kind", "energy"),
    "guardrail": ("value",),
    "readouts": ("read", "error"),
    "critic": ("anticipate",),
    "objective": ("predicts",),
    "latent_variable": ("infer", "penalty", "sample", "sweep"),
}
"""Slot → what a class in it must have; see `agent.core.protocols`."""

GROUP = "housecat.{slot}"
"""Entry-point group under which an installed package offers parts for a slot."""


@dataclass(frozen=True, slots=True)
class Found:
    """A part that a config can name: its target `module:Class` and its first docstring line."""

    slot: str
    name: str
    target: str
    doc: str


def parts(slot: str) -> dict[str, Found]:
    """Return the built-in parts of a slot and those installed packages offer, by short name."""
    found = _own(slot)
    for entry in importlib.metadata.entry_points(group=GROUP.format(slot=slot)):
        found.setdefault(
            entry.name, Found(slot, entry.name, entry.value, "from an installed package")
        )
    return found


def _own(slot: str, name: str = "*") -> dict[str, Found]:
    """Return the parts of a slot that are files of ours: all, or the one of this name."""
    found: dict[str, Found] = {}
    folder = ROOT / SLOTS[slot]
    patterns = (f"{name}/world.py", f"adapters/{name}.py") if slot == "world" else (f"{name}.py",)
    for path in sorted(p for pattern in patterns for p in folder.glob(pattern)):
        stem = path.parent.name if path.name == "world.py" else path.stem
        part = _look(slot, stem, path, path.stat().st_mtime_ns)
        if part is not None:
            found[stem] = part
    return found


@cache
def _look(slot: str, stem: str, path: Path, _changed_ns: int) -> Found | None:
    flat = stem.replace("_", "")
    wanted = {flat, flat + slot.replace("_", "")}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if (
            isinstance(node, ast.ClassDef)
            and node.name.lower() in wanted
            and (slot not in MODULES or _posts(node))
        ):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            doc = (ast.get_docstring(node) or "").split("\n\n")[0]
            return Found(slot, stem, f"{module}:{node.name}", " ".join(doc.split()))
    return None


def _posts(node: ast.ClassDef) -> bool:
    """Say whether a class declares what it posts, which every one of the six modules does."""
    targets = [
        t
        for line in node.body
        for t in (line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)])
    ]
    return any(isinstance(t, ast.Name) and t.id == "posts" for t in targets)


def spelled_out(slot: str, part: dict[str, Any]) -> dict[str, Any]:
    """Return `part` with `scheme:rest` in its `use` taken apart, where it names a world so.

    Raises InputError if what the scheme names is named twice.
    """
    scheme, _, rest = str(part.get("use", "")).partition(":")
    if slot != "world" or scheme not in SCHEMES or not rest:
        return part
    use, key = SCHEMES[scheme]
    if key in part:
        raise InputError(f"world.{key}: '{scheme}:{rest}' names it already; leave one of them out")
    return {**part, "use": use, key: rest}


def target(slot: str, name: Any) -> str:
    """Return `module:Class` of a part. Raises InputError for an unknown short name."""
    if not isinstance(name, str) or not name:
        raise InputError(f"{slot}.use: expected the name of a part, came {name!r}")
    if ":" in name:
        return name
    known = (name.isidentifier() and _own(slot, name)) or parts(slot)
    if name not in known:
        raise InputError(
            f"{slot}.use: unknown {slot} '{name}'; {nearest(name, known)}"
            f" (or give your own as pkg.mod:Class)"
        )
    return known[name].target


def resolve(slot: str, name: Any) -> Any:
    """Import and return the class a config names for `slot`.

    Raises InputError if the module or the class does not exist, or is no part for that slot.
    """
    where = target(slot, name)
    module, _, attribute = where.partition(":")
    try:
        loaded = importlib.import_module(module)
    except ImportError as fault:
        other = f"; {nearest(module, SCHEMES)}" if slot == "world" and module.isidentifier() else ""
        raise InputError(
            f"{slot}.use: cannot import '{module}' ({fault}); check the name, and that its folder"
            f" is on PYTHONPATH{other}"
        ) from None
    except Exception as fault:
        reason = " ".join(f"{type(fault).__name__}: {fault}".split())
        raise InputError(
            f"{slot}.use: cannot import '{module}' ({reason}); correct the module"
        ) from fault
    found = getattr(loaded, attribute, None)
    if found is None:
        classes = [n for n, v in vars(loaded).items() if isinstance(v, type)]
        raise InputError(
            f"{slot}.use: module '{module}' has no '{attribute}'; {nearest(attribute, classes)}"
        )
    settings = getattr(found, "Config", None)
    if not (isinstance(settings, type) and issubclass(settings, Settings)):
        raise InputError(
            f"{slot}.use: {where} has no nested class Config(Settings); add one, even if empty"
        )
    lacking = [name for name in OFFERS[slot] if not hasattr(found, name)]
    if lacking:
        raise InputError(
            f"{slot}.use: {where} is no {slot}: it lacks {', '.join(lacking)}; name another part"
        )
    return found
