"""Other evaluations of `reach`: errands, told in the world's section of a config.

Arm, post and sensors are those of `reach`; only what is scored differs. The agent sees none of it:
what it is to do, its own configurator and terms say. A config names it as
`world: {use: "worlds.reach.errands:Errands", stations: [...]}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from agent.core.errors import InputError, nearest
from agent.core.messages import Observation, Task
from agent.core.settings import Settings
from worlds.reach import trials
from worlds.reach.trials import EVALUATION_SEEDS, tasks
from worlds.reach.world import SENSORS, Reach
from worlds.scoring import Score
from worlds.simulation import Array


class Station(Settings):
    """Where the true `quantity` has to be, for `ticks` ticks in a row.

    `within` so much (its unit) of `near`: numbers, `told` (the episode's goal) or `start` (where it
    was at first); or every number's size from `above` to `below`.
    """

    quantity: str
    near: list[float] | Literal["told", "start"] | None = None
    within: float = Field(default=0.03, gt=0)
    above: float | None = None
    below: float | None = None
    ticks: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _one_kind(self) -> Station:
        if (self.near is None) == (self.above is None and self.below is None):
            raise ValueError("expected either `near`, or `above`, `below` or both")
        return self


class Errands(Reach):
    """The world `reach`, bit for bit, whose episodes succeed by other things than reaching."""

    class Config(Reach.Config):
        """`stations` are to be seen to one after another; `throughout`, at every physics step."""

        stations: list[Station] = Field(min_length=1)
        throughout: list[Station] = []

    trials = "worlds.reach.errands"

    def __init__(self, config: Config, batch: int) -> None:
        """Build `batch` copies. Raises InputError for a quantity the arm has not."""
        super().__init__(config, batch)
        self.errand = config
        for one in [*config.stations, *config.throughout]:
            if one.quantity not in SENSORS.names:
                hint = nearest(one.quantity, SENSORS.names)
                raise InputError(f"errands: the arm has no quantity '{one.quantity}'; {hint}")
        self.begin: Array = self.readings(self.simulation.trace[:, -1])

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed, as `reach` does, and note for the score where it begins."""
        observation = super().reset(seeds)
        self.begin = self.readings(self.simulation.trace[:, -1])
        return observation


class Scorer(trials.Scorer):
    """Watches the true simulator; `reached` is to have seen to every station, `throughout` kept.

    `reach_tick` is the tick in which the last was seen to. Contacts, speeding and the least gap are
    counted as in `reach`.
    """

    world: Errands

    def __init__(self, world: Errands, task: Task) -> None:
        """Score episodes of `world`; `told` in a station is the goal of `task`."""
        super().__init__(world, task)
        self._next, self._stay = np.zeros((2, world.batch), dtype=np.int64)
        self._kept = np.ones(world.batch, dtype=np.bool_)
        self._ended = np.full(world.batch, -1)

    def look(self) -> None:
        """Read the last tick from the simulator, every physics step of it."""
        super().look()
        stations, lived = self.world.errand.stations, self._hold.tick
        trace = self.world.readings(self.world.simulation.trace)
        for one in self.world.errand.throughout:
            held = [self._there(one, trace[:, step]) for step in range(trace.shape[1])]
            self._kept &= np.all(held, axis=0)
        at = np.stack([self._there(one, trace[:, -1]) for one in stations])
        rows, index = np.arange(len(self._next)), np.minimum(self._next, len(stations) - 1)
        self._stay = np.where(at[index, rows], self._stay + 1, 0)
        done = self._stay >= np.array([one.ticks for one in stations])[index]
        fresh = done & (self._next < len(stations))
        self._next, self._stay = self._next + fresh, np.where(fresh, 0, self._stay)
        self._ended[fresh & (self._next == len(stations))] = lived
        self._reach = np.where(self._kept, self._ended, -1)

    def _there(self, one: Station, values: Array) -> NDArray[np.bool_]:
        """Say in which episodes sensor `values` [B O] are where a station wants them, [B]."""
        where = SENSORS[one.quantity]
        seen = values[:, where]
        if one.near is None:
            low = -np.inf if one.above is None else one.above
            high = np.inf if one.below is None else one.below
            size = np.abs(seen)
            inside: NDArray[np.bool_] = ((size >= low) & (size <= high)).all(axis=1)
            return inside
        places = {"told": self.goal, "start": self.world.begin[:, where]}
        place = places[one.near] if isinstance(one.near, str) else np.array(one.near)
        near: NDArray[np.bool_] = np.linalg.norm(seen - place, axis=1) <= one.within
        return near


__all__ = ["EVALUATION_SEEDS", "Errands", "Score", "Scorer", "tasks"]
