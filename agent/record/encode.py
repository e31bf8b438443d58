"""Messages as JSON and back, without losing a bit.

A tensor becomes nested lists; NaN and infinities the strings "NaN", "Infinity", "-Infinity"
(JSON has no such numbers); a tensor without elements `{"empty": shape}`, for nested lists would
forget its trailing axes. A float32 passes through a double and comes back the same float32;
of a NaN only that it is one is kept.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
import torch
from torch import Tensor

from agent.core.messages import Message
from agent.core.spec import Spec, specs_of

KINDS: dict[str, type] = {
    "/" + "".join(f"_{c.lower()}" if c.isupper() else c for c in k.__name__).lstrip("_"): k
    for k in typing.get_args(Message)
}
"""Message kinds by channel: `/percept` carries `Percept`."""

TOPICS: dict[type, str] = {kind: topic for topic, kind in KINDS.items()}
"""The channel of each message kind."""

Json = Any


def text(value: Json) -> bytes:
    """Return `value`, made by `plain`, as compact JSON; a third of the standard library's time."""
    return msgspec.json.encode(value)


def parse(logged: bytes) -> Json:
    """Return what `text` wrote. Raises ValueError if it is not JSON."""
    return msgspec.json.decode(logged)


def number(value: float) -> float | str:
    """Return a float as JSON can carry it: itself, "NaN", "Infinity" or "-Infinity"."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def plain(value: Any) -> Json:
    """Return the JSON form of a message or of anything a message may hold.

    Raises TypeError for a value of another kind.
    """
    if isinstance(value, Tensor):
        return _listed(value)
    if isinstance(value, float):
        return number(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (str, int)):
        return str(value) if isinstance(value, str) else int(value)  # sheds subclasses
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {n: plain(getattr(value, n)) for n in _fields(type(value))}
    raise TypeError(f"the log cannot hold a {type(value).__name__}")


def restore(kind: type, fields: Mapping[str, Json]) -> Any:
    """Return the message of `kind` that `plain` turned into `fields`.

    Keys the kind does not have (any more) are ignored; fields the log lacks take their default.
    Raises TypeError if such a field has none.
    """
    specs, hints = _fields(kind), _hints(kind)
    return kind(**{n: _value(fields[n], hints[n], specs[n]) for n in specs if n in fields})


def schema(kind: type, notes: Mapping[str, str]) -> Json:
    """Return the JSON schema of a message kind as logged.

    `notes` adds words to the description of a field, such as the names of its channels.
    """
    whole = {"type": "integer"}
    properties: dict[str, Json] = {"episode": whole, "tick": whole}
    for name, spec in _fields(kind).items():
        properties[name] = _property(_hints(kind)[name], spec, notes.get(name, ""), (kind,))
    about = (kind.__doc__ or "").strip().splitlines()[0]
    return {
        "title": kind.__name__,
        "description": about,
        "type": "object",
        "properties": properties,
    }


def _property(hint: Any, spec: Spec | None, note: str, within: tuple[type, ...]) -> Json:
    if spec is not None:
        scalar = {"bool": "boolean", "int64": "integer"}.get(spec.dtype, "number")
        nested: Json = {"type": scalar}
        for _ in spec.axes:
            nested = {"type": "array", "items": nested}
        return {**nested, "description": f"{spec.describe()}{': ' if note else ''}{note}"}
    if (kind := _nested(hint)) in within:
        return {"$ref": "#"}  # a plan that follows a plan
    if kind is not None:
        parts, more = _fields(kind).items(), (*within, kind)
        inner = {n: _property(_hints(kind)[n], spec, "", more) for n, spec in parts}
        return {"type": "object", "properties": inner}
    if typing.get_origin(hint) is tuple:
        return {"type": "array", "items": {"type": "string"}}
    names = {bool: "boolean", int: "integer", float: "number"}
    return {"type": names.get(hint, "string")}


def _listed(values: Tensor) -> Json:
    if values.numel() == 0:
        return {"empty": list(values.shape)}
    listed = values.tolist()
    if values.is_floating_point() and not bool(torch.isfinite(values).all()):
        return plain(listed)
    return listed


def _value(logged: Json, hint: Any, spec: Spec | None) -> Any:
    if spec is not None:
        if logged is None:
            return None
        dtype = getattr(torch, spec.dtype)
        if isinstance(logged, dict):
            return torch.zeros(logged["empty"], dtype=dtype)
        return torch.tensor(_numbers(logged) if dtype.is_floating_point else logged, dtype=dtype)
    if (kind := _nested(hint)) is not None:
        return None if logged is None else restore(kind, logged)
    if typing.get_origin(hint) is tuple:
        return tuple(logged)
    return float(logged) if hint is float else logged


def _nested(hint: Any) -> type | None:
    """Return the dataclass that a field holds, if it holds one, or one or None."""
    kinds = [k for k in (typing.get_args(hint) or (hint,)) if dataclasses.is_dataclass(k)]
    return kinds[0] if kinds else None  # type: ignore[return-value]


def _numbers(logged: Json) -> Json:
    if isinstance(logged, list):
        return [_numbers(v) for v in logged]
    return float(logged) if isinstance(logged, str) else logged


@cache
def _fields(kind: type) -> dict[str, Spec | None]:
    specs = specs_of(kind)
    return {f.name: specs.get(f.name) for f in dataclasses.fields(kind)}


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)
