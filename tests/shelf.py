"""A ledger that keeps states in memory, and a power cut."""

from __future__ import annotations

from typing import Any

from agent.train.progress import Figures, Ledger, State


class Power(Exception):
    """The power goes out."""


def shelf(fail_at: int | None = None, every_s: float = 0.0) -> tuple[Ledger, dict[str, Any]]:
    """Return a ledger that keeps states in memory, and fails at the n-th save."""
    kept: dict[str, tuple[State, Figures]] = {}
    saves = 0

    def save(name: str, tensors: State, figures: Figures) -> None:
        nonlocal saves
        saves += 1
        kept[name] = ({k: v.clone() for k, v in tensors.items()}, dict(figures))
        if saves == fail_at:
            raise Power

    return Ledger(lambda *_: None, save, kept.get, every_s), kept
