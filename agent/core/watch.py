"""Notices when code, or what an object holds, is exchanged in a running process.

The guardrails' seal says that what judges plans is what was sealed; this says that who asks it is
still who was built. It compares identities: a few microseconds a tick, and blind to whoever
replaces the watch itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import is_, itemgetter
from types import FunctionType, ModuleType
from typing import Any

from torch import Tensor

from agent.core.seal import CODE


class Watch:
    """Keeps an eye on objects, their classes and modules, from the moment it is made."""

    def __init__(
        self, objects: Mapping[Any, tuple[str, ...]], modules: Iterable[ModuleType]
    ) -> None:
        """Watch the named attributes of `objects`, their methods, and the functions of `modules`.

        Of tensors among the attributes the values are watched too.
        """
        kinds = dict.fromkeys(k for o in objects for k in type(o).__mro__ if k is not object)
        self._held = []
        for holder in (*kinds, *modules):
            found = {n: v for n, v in vars(holder).items() if n != "__init__" and _function(v)}
            if found:
                self._held.append((vars(holder), _getter(found), tuple(found.values())))
        self._functions = [_function(v) for _, _, values in self._held for v in values]
        self._codes = [f.__code__ for f in self._functions]
        self._objects = [
            (o, type(o), vars(o), _getter(names), _getter(names)(vars(o)), frozenset(dir(type(o))))
            for o, names in objects.items()
        ]
        kept = [v for _, _, _, _, values, _ in self._objects for v in values]
        self._tensors = [
            (t, t.data_ptr(), view := t.detach().numpy(), view.tobytes())
            for t in kept
            if isinstance(t, Tensor)
        ]

    def intact(self) -> bool:
        """Say whether everything is still what it was."""
        try:
            for held, get, values in self._held:
                if not all(map(is_, get(held), values)):
                    return False
            if not all(map(is_, map(CODE, self._functions), self._codes)):
                return False
            for watched, kind, own, get, values, methods in self._objects:
                if type(watched) is not kind or not methods.isdisjoint(own):
                    return False
                if not all(map(is_, get(own), values)):
                    return False
        except KeyError:  # something was taken away
            return False
        return all(t.data_ptr() == at and v.tobytes() == was for t, at, v, was in self._tensors)


def _getter(names: Iterable[str]) -> Any:
    """Return a function from a mapping to the tuple of its values under `names`."""
    first, *rest = names
    return itemgetter(first, *(rest or (first,)))


def _function(value: Any) -> Any:
    """Return the function behind a class attribute or a global; None if there is none."""
    found = getattr(value, "fget", None) or getattr(value, "__func__", value)
    return found if isinstance(found, FunctionType) else None
