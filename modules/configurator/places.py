"""Where sub-goals want readouts to be, as tensors: what a config tells in numbers and words.

Source: LeCun (2022) sec. 4.6 (sub-goals as objectives); that a place may be relative to what is
seen of a thing: deictic reference, Agre, Chapman (1987).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from agent.core.errors import InputError, nearest
from agent.core.protocols import Site
from agent.core.spec import Layout
from modules.configurator.subgoal import WORDS, Offset, Place

NUMBER, TOLD, START, SEEN = range(4)
"""What a number of a place is counted from: zero, the task's, the first tick's, this tick's."""


class Places:
    """A place, or none, for every readout of each sub-goal: a table of `count` rows."""

    def __init__(self, count: int, site: Site, readouts: Layout) -> None:
        """Begin with no place anywhere; `readouts` are those that can be read."""
        self._scalars, self._readouts = site.sensors.scalars, readouts
        self._goal = site.goal.names[0] if site.goal.channels else ""
        size = self._scalars.size
        self._numbers = torch.full((count, size), torch.nan)
        self._origins = torch.zeros(count, size, dtype=torch.int64)

    def put(self, index: int, quantity: str, place: Place, where: str) -> None:
        """Write a place of `quantity` into row `index`; `where` is how the config calls it.

        Raises InputError for a word or readout that is not there, or a place of another size.
        """
        span = self.span(quantity, where)
        where, size = f"{where}.{quantity}", span.stop - span.start
        plus = [0.0] * size
        if isinstance(place, Offset):
            plus, place = _sized(place.plus, size, f"{where}.plus"), place.of
        words = [place] * size if isinstance(place, str) else _sized(place, size, where)
        for column, word, more in zip(range(span.start, span.stop), words, plus, strict=True):
            if not isinstance(word, str):
                self._numbers[index, column] = word + more
                continue
            self._numbers[index, column] = more
            self._origins[index, column] = self._origin(word, quantity, column - span.start, where)

    def at(self, rows: Tensor, told: Tensor, start: Tensor, seen: Tensor) -> Tensor:
        """Return the places of sub-goals `rows` [B]; not finite where nothing is asked, [B Q].

        `told`, `start` and `seen` [B Q] are what words stand for.
        """
        origins = torch.cat((torch.zeros_like(told), told, start, seen), dim=-1)
        return self._numbers[rows] + origins.gather(1, self._origins[rows])

    def span(self, quantity: str, where: str) -> slice:
        """Return which readouts are `quantity`'s. Raises InputError if it cannot be read."""
        known = self._readouts.names
        if quantity not in known:
            raise InputError(
                f"{where}: there is no readout '{quantity}'; {nearest(quantity, known)}"
            )
        return self._scalars[quantity]

    def _origin(self, word: str, quantity: str, number: int, where: str) -> int:
        """Return what number `number` of a place of `quantity` is counted from, by a word."""
        own, size = self._scalars[quantity], self._scalars.size
        asked, begin = own.stop - own.start, int(own.start)
        if word in WORDS:
            self._tells(word, quantity, asked, where)
            return {"told": TOLD, "start": START}[word] * size + begin + number
        if word not in self._readouts.names:
            known = (*WORDS, *self._readouts.names)
            raise InputError(f"{where}: unknown place '{word}'; {nearest(word, known)}")
        there = self._scalars[word]
        begin, count = int(there.start), there.stop - there.start
        if count not in (1, asked):
            raise InputError(
                f"{where}: expected a readout of 1 number or {asked}, came '{word}' of {count};"
                f" name another"
            )
        return SEEN * size + begin + (number if count == asked else 0)

    def _tells(self, word: str, quantity: str, size: int, where: str) -> None:
        """Raise InputError if the task does not tell what `told` is of `quantity`."""
        if word == "told" and quantity != self._goal:
            told = self._goal or "nothing"
            raise InputError(
                f"{where}: expected numbers, `start` or a readout, came `told`, but the task"
                f" tells a {told}; name {quantity} in `goal`, or give {size} numbers"
            )


def _sized(given: list[Any], size: int, where: str) -> list[Any]:
    if len(given) != size:
        raise InputError(f"{where}: expected {size} numbers, came {len(given)}: {given}")
    return given
