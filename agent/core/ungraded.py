"""Without gradients: `torch.no_grad` at the price of a look, where it is in force already."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


def ungraded(function: Callable[P, T]) -> Callable[P, T]:
    """Return `function` without gradients, for what is called several times in one tick."""

    @functools.wraps(function)
    def called(*given: P.args, **named: P.kwargs) -> T:
        if not torch.is_grad_enabled():
            return function(*given, **named)
        with torch.no_grad():
            return function(*given, **named)

    return called
