"""Drives are hard-wired: what a body wants by nature cannot be changed once it is built.

Source: LeCun (2022) sec. 3.2, "the intrinsic cost module is immutable".
"""

from __future__ import annotations

import functools
from typing import Any, TypeVar

T = TypeVar("T", bound=type)


def hardwired(kind: T) -> T:
    """Return a class whose instances take no new and no changed attribute once they are built.

    An attempt raises AttributeError. It stops mistakes and modules that reach too far; like the
    seal of guardrails it does not contain code in the same process that means to deceive.
    """
    open_kind: Any = kind
    build = open_kind.__init__

    @functools.wraps(build)
    def built(self: Any, *given: Any, **named: Any) -> None:
        build(self, *given, **named)
        object.__setattr__(self, "_wired", True)

    def refuse(self: Any, name: str, *value: Any) -> None:
        if not getattr(self, "_wired", False):
            return object.__setattr__(self, name, *value)
        raise AttributeError(
            f"{kind.__name__}.{name}: a drive is hard-wired and cannot be changed while it lives;"
            f" change its settings in the config"
        )

    open_kind.__init__, open_kind.__setattr__, open_kind.__delattr__ = built, refuse, refuse
    return kind


__all__ = ["hardwired"]
