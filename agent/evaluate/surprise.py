"""Violation of expectation: what cannot happen should surprise an agent more than what can.

It watches pairs of clips that are equal until a trick breaks physics in one of them; the score of a
clip is the largest surprise among its percepts. Only the agent's own messages are looked at.

Source: Riochet et al. (2018), IntPhys; Garrido et al. (2025), intuitive physics in a JEPA.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.config.build import Mind
from agent.core.errors import HousecatError, InputError
from agent.core.loop import live
from agent.core.messages import Percept
from agent.evaluate.episodes import trials_of

Array = NDArray[np.float64]
BATCH = 100
"""Episodes watched together."""

PATIENCE = 50
"""Batches without enough suitable episodes before giving up."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Matched clips of one kind of trick: surprise by tick, possible and tricked, [n T].

    `shown` [n] is the first tick that shows the trick; `tricks` and `seeds` make the clips again.
    """

    kind: str
    seeds: tuple[int, ...]
    tricks: tuple[Any, ...]
    shown: NDArray[np.int64]
    possible: Array
    tricked: Array

    @property
    def scores(self) -> tuple[Array, Array]:
        """Return the largest surprise of every clip, possible and tricked, [n] each."""
        return self.possible.max(axis=1), self.tricked.max(axis=1)


def clips_of(kind: Any, name: str) -> Any:
    """Return the module that makes clips of a world. Raises InputError if it has none."""
    where = getattr(kind, "clips", None)
    if where is None:
        raise InputError(
            f"voe: expected a world that offers clips, came '{name}', which offers none;"
            f" use configs/toys.yaml, or name a clip maker in the world's `clips`"
        )
    return importlib.import_module(where)


def pairs(mind: Mind, clips: Any, kind: str, first: int, count: int) -> Pairs:
    """Watch `count` pairs of a kind, of the first episode seeds from `first` on that suit it.

    Raises InputError if hardly any episode does.
    """
    seeds: list[int] = []
    tricks: list[Any] = []
    parts: list[tuple[Array, Array]] = []
    for batch in range(PATIENCE):
        if len(seeds) >= count:
            break
        some = range(first + batch * BATCH, first + (batch + 1) * BATCH)
        possible, lives = watch(mind, clips, some, [None] * BATCH)
        found = [clips.trick(kind, s, life) for s, life in zip(some, lives, strict=True)]
        tricked, _ = watch(mind, clips, some, found)
        keep = [i for i, trick in enumerate(found) if trick is not None]
        seeds += [some[i] for i in keep]
        tricks += [found[i] for i in keep]
        parts.append((possible[keep], tricked[keep]))
    if len(seeds) < count:
        raise InputError(f"voe: expected {count} pairs of {kind}, found {len(seeds)}; ask for less")
    return Pairs(
        kind,
        tuple(seeds[:count]),
        tuple(tricks[:count]),
        np.array([t.tick for t in tricks[:count]]),
        np.concatenate([p for p, _ in parts])[:count],
        np.concatenate([t for _, t in parts])[:count],
    )


def watch(
    mind: Mind, clips: Any, seeds: Sequence[int], tricks: Sequence[Any]
) -> tuple[Array, list[Any]]:
    """Let the agent watch one clip per seed; return its surprise [n T] and what truly happened."""
    settings = mind.blueprint.singles["world"].settings
    stage = clips.Stage(settings, len(seeds))
    try:
        agent = mind.agent(stage)
        stage.prepare(tricks)
        seen = []
        for tick in live(agent, stage, seeds, trials_of(stage).tasks(seeds), clips.TICKS):
            if tick.faults:
                raise HousecatError(f"voe: the agent failed while watching: {tick.faults[0]}")
            seen.append(tick.messages[Percept].surprise.double().numpy())
        return np.stack(seen, axis=1), stage.lives()
    finally:
        stage.close()


def threshold(scores: Array, quantile: float) -> float:
    """Return the score that a fresh possible clip exceeds with chance 1 - `quantile` at most.

    The finite-sample quantile of split-conformal prediction, of scores [n]; the largest of them if
    there are too few to promise that.
    """
    rank = min(int(np.ceil((len(scores) + 1) * quantile)), len(scores))
    return float(np.sort(scores)[rank - 1])
