"""Messages as bytes, bit for bit, between processes that do not trust each other.

Nothing is pickled: what comes in is numbers and text, checked against the message's own kind.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from functools import cache
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from agent.core.messages import Message
from agent.core.spec import specs_of

KINDS: dict[str, type] = {kind.__name__: kind for kind in typing.get_args(Message)}
"""Message kinds by name."""
DTYPES = {"float32": np.float32, "int64": np.int64, "bool": np.bool_}

encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode


def pack(message: Any) -> dict[str, Any]:
    """Return what `encode` can write of a message."""
    kind: Any = type(message)
    return {n: _packed(getattr(message, n)) for n in _fields(kind)}


def unpack(kind: type, packed: Any) -> Any:
    """Return the message of `kind` that `pack` took apart; tensors are copies.

    Raises ValueError or TypeError for whatever is none.
    """
    fields = _fields(kind)
    if not isinstance(packed, dict) or set(packed) != set(fields):
        raise ValueError(f"expected the fields of {kind.__name__}")
    return kind(**{name: _value(packed[name], *fields[name]) for name in fields})


def _packed(value: Any) -> Any:
    if isinstance(value, Tensor):
        array = value.detach().contiguous().numpy()
        return str(value.dtype)[6:], list(value.shape), array.tobytes()
    return pack(value) if dataclasses.is_dataclass(value) else value


def _value(packed: Any, hint: Any, tensor: bool, nested: type | None) -> Any:
    if packed is None and (nested is not None or type(None) in typing.get_args(hint)):
        return None
    if tensor:
        dtype, shape, data = packed
        if len(data) != math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize:
            raise ValueError("expected as many numbers as the shape says")
        array: Any = np.frombuffer(bytearray(data), DTYPES[dtype])
        return torch.from_numpy(array).reshape(shape)
    if nested is not None:
        return unpack(nested, packed)
    return msgspec.convert(packed, hint)


@cache
def _fields(kind: Any) -> dict[str, tuple[Any, bool, type | None]]:
    """Return of each field its type, whether it is a tensor, and the dataclass it holds, if any."""
    specs, hints = specs_of(kind), typing.get_type_hints(kind)
    found = {}
    for name in (f.name for f in dataclasses.fields(kind)):
        hint = hints[name]
        held = [k for k in (typing.get_args(hint) or (hint,)) if dataclasses.is_dataclass(k)]
        found[name] = hint, name in specs, typing.cast("type", held[0]) if held else None
    return found
