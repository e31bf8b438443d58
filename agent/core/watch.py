"""Notices when code, or what an object holds, is exchanged in a running process.

The guardrails' seal says that what judges plans is what was sealed; this says that who asks it is
still who was built. It compares identities: a few microseconds a tick, and blind to whoever
replaces the watch itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from operator import is_, itemgetter
from types import FunctionType, ModuleType
from typing import Any

from torch import Tensor

from agent.core.seal import CODE


class Watch:
    """Keeps an eye on objects, their classes, on modules and tensors, from when it is made."""

    def __init__(
        self,
        objects: Mapping[Any, tuple[str, ...]],
        holders: Iterable[type | ModuleType] = (),
        tensors: Iterable[Tensor] = (),
        beside: Watch | None = None,
    ) -> None:
        """Watch the named attributes of `objects`, their methods, and the functions of `holders`.

        Of `tensors`, and of tensors among the attributes, the values are watched too. Functions
        that another watch `beside` this one looks at are left to it.
        """
        kinds = [k for o in objects for k in type(o).__mro__ if k is not object]
        known = frozenset() if beside is None else beside.holders
        mine = [h for h in dict.fromkeys((*kinds, *holders)) if h not in known]
        self.holders: frozenset[Any] = known | frozenset(mine)
        held: list[tuple[Any, Mapping[str, Any]]] = []
        for holder in mine:
            found = {n: v for n, v in vars(holder).items() if n != "__init__" and _function(v)}
            if found:
                held.append((vars(holder), found))
        for watched, names in objects.items():
            own = vars(watched)
            held.append((own, {n: own[n] for n in names}))
        self._getters = [(_getter(found), where) for where, found in held]
        self._values = [v for get, where in self._getters for v in get(where)]
        self._functions = [f for v in self._values for f in _functions(v)]
        self._codes = [f.__code__ for f in self._functions]
        self._objects = [(o, type(o), vars(o), frozenset(dir(type(o)))) for o in objects]
        kept = [v for o, names in objects.items() for v in _getter(names)(vars(o))]
        self._tensors = [
            (t, t.data_ptr(), view := t.detach().numpy(), view.tobytes())
            for t in (*kept, *tensors)
            if isinstance(t, Tensor)
        ]

    def intact(self) -> bool:
        """Say whether everything is still what it was."""
        try:
            now = chain.from_iterable([get(where) for get, where in self._getters])
            if not all(map(is_, now, self._values)):
                return False
        except KeyError:  # something was taken away
            return False
        if not all(map(is_, map(CODE, self._functions), self._codes)):
            return False
        for watched, kind, own, methods in self._objects:
            if type(watched) is not kind or not methods.isdisjoint(own):
                return False
        return all(t.data_ptr() == at and v.tobytes() == was for t, at, v, was in self._tensors)


def _getter(names: Iterable[str]) -> Any:
    """Return a function from a mapping to the tuple of its values under `names`."""
    first, *rest = names
    return itemgetter(first, *(rest or (first,)))


def _functions(value: Any) -> Iterator[Any]:
    """Yield the function behind a value, and those that it wraps."""
    found = _function(value)
    while found is not None:
        yield found
        found = _function(getattr(found, "__wrapped__", None))


def _function(value: Any) -> Any:
    """Return the function behind a class attribute or a global; None if there is none."""
    found = getattr(value, "fget", None) or getattr(value, "__func__", value)
    return found if isinstance(found, FunctionType) else None
