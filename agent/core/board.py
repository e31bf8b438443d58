"""The message board: write-once per tick, and only what was declared may be read.

Source: LeCun (2022) sec. 3 for the modules' traffic; the declare-and-sort idea follows Nengo's
operator signals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from agent.core.errors import BoardError

M = TypeVar("M")


class Board:
    """Holds this tick's messages and the last tick's, by kind."""

    __slots__ = ("before", "now")

    def __init__(self) -> None:
        """Start empty."""
        self.now: dict[type, Any] = {}
        self.before: dict[type, Any] = {}

    def post(self, message: Any, by: str) -> None:
        """Put up a message. Raises BoardError if its kind is already up this tick."""
        kind = message.__class__
        if kind in self.now:
            raise BoardError(
                f"{by} posted {kind.__name__} a second time in one tick;"
                f" post each kind once, from one module"
            )
        self.now[kind] = message

    def turn(self) -> None:
        """End the tick: this tick's messages become the last tick's."""
        self.before, self.now = self.now, {}

    def clear(self) -> None:
        """Forget both ticks, at the start of an episode."""
        self.before, self.now = {}, {}


class BoardInbox:
    """One module's window on the board."""

    __slots__ = ("_board", "_name", "_reads", "_recalls")

    def __init__(
        self, board: Board, name: str, reads: tuple[type, ...], recalls: tuple[type, ...]
    ) -> None:
        """Open a window for module `name` that shows what it declared."""
        self._board, self._name = board, name
        self._reads, self._recalls = frozenset(reads), frozenset(recalls)

    def __getitem__(self, kind: type[M]) -> M:
        """Return this tick's message of `kind`.

        Raises BoardError if the module did not declare it, or if nothing was posted because
        an earlier module failed.
        """
        if kind not in self._reads:
            raise BoardError(self._undeclared(kind, self._reads, "reads"))
        try:
            return self._board.now[kind]  # type: ignore[no-any-return]
        except KeyError:
            raise BoardError(
                f"{self._name} reads {kind.__name__}, but nobody posted it this tick;"
                f" see the fault of the module before it"
            ) from None

    def last(self, kind: type[M]) -> M | None:
        """Return the last tick's message of `kind`, None if there was none.

        Raises BoardError if the module did not declare it in `recalls`.
        """
        if kind not in self._recalls:
            raise BoardError(self._undeclared(kind, self._recalls, "recalls"))
        return self._board.before.get(kind)

    def _undeclared(self, kind: type, declared: frozenset[type], where: str) -> str:
        names = ", ".join(sorted(k.__name__ for k in declared)) or "nothing"
        verb = "reads" if where == "reads" else "recalls"
        return (
            f"{self._name} asked for {kind.__name__} but {verb} only {names};"
            f" add it to {self._name}.{where}"
        )


def peek(board: Board) -> Mapping[type, Any]:
    """Return a copy of what is up this tick, for the log of record."""
    return dict(board.now)
