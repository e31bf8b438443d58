"""What a seal looks at: the code, attributes and tensors of parts, and of the parts inside them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Iterator
from functools import cache
from operator import attrgetter
from types import CodeType, FunctionType
from typing import Any

from torch import Tensor

CODE = attrgetter("__code__")


def tree_of(readouts: Any) -> tuple[Any, ...]:
    """Return readouts and every network inside, depth first."""
    inner = getattr(readouts, "_modules", {})
    return (readouts, *(part for child in inner.values() for part in tree_of(child)))


def functions_of(kind: type) -> list[tuple[str, Any]]:
    """Return the functions of a class and its bases; of torch's own classes, only `forward`."""
    own = [base for base in kind.__mro__ if base.__module__.partition(".")[0] != "torch"]
    names = sorted({"forward", *(name for base in own for name in vars(base))})
    found = [(name, getattr(kind, name, None)) for name in names]
    return [(name, value) for name, value in found if isinstance(value, FunctionType)]


def getter(names: Iterable[str]) -> Any:
    """Return a function from a class to the tuple of its attributes under `names`."""
    first, *rest = names
    return attrgetter(first, *(rest or (first,)))


def kept_of(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return attributes with containers copied, so that editing those shows."""
    holds = (dict, list, set)
    return {k: copy.copy(v) if isinstance(v, holds) else v for k, v in attributes.items()}


def tensors_of(part: Any) -> Iterator[Tensor]:
    """Yield the tensors that a part holds itself, parameters and buffers among them."""
    own = vars(part)
    for group in (own, own.get("_parameters", {}), own.get("_buffers", {})):
        yield from (t for t in group.values() if isinstance(t, Tensor))


def lasting(value: Any) -> bool:
    """Say whether the text of a value is whole, and the same in every process."""
    return not isinstance(value, Tensor | dict) and " at 0x" not in repr(value)


def source_of(function: Any) -> str:
    """Return a function's source text; of one without, its byte code as text."""
    code = inspect.unwrap(function).__code__
    return _source(code, code.co_filename)


@cache
def _source(code: CodeType, _file: str) -> str:
    try:
        return inspect.getsource(code)
    except (OSError, TypeError):
        return repr(code.co_code)
