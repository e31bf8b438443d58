"""The `toys` world: a toy falls, rolls, collides and passes behind a screen; nothing is to be done.

Order of this file, as of every world: constants, the world, its starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from pydantic import Field

from agent.core.messages import Action, Observation
from agent.core.settings import Settings
from agent.core.spec import Channel, Layout
from worlds.draws import Draws
from worlds.simulation import Array, Simulation, load, sensor_columns

MODEL = Path(__file__).with_name("model.xml")
RATE_HZ = 25.0
TOYS = ("toy",)
"""Bodies of the model; `toy_x`, `toy_z`, `toy_vx`, `toy_vz` are its sensors."""
LAMP_STREAM = 4
"""Keeps draws of colours apart from those of starts and tricks of the same seed."""


def _channels(toy: str) -> tuple[Channel, ...]:
    return (
        Channel(f"{toy}_position", 2, "m"),
        Channel(f"{toy}_velocity", 2, "m/s"),
        Channel(f"{toy}_colour", 3, "1", (0.0,) * 3, (1.0,) * 3),
        Channel(f"{toy}_seen", 1, "1", (0.0,), (1.0,)),
        Channel(f"{toy}_unseen", 1, "s", (0.0,), (float("inf"),)),
    )


SENSORS = Layout(tuple(c for toy in TOYS for c in _channels(toy)))
ACTUATORS = Layout(())


class Toys:
    """A toy in a room seen from the side, at 25 Hz, watched only: there are no actuators.

    Sensors of a toy: position (m) and velocity (m/s), both x to the right and z up, its colour
    (red, green, blue, each 0 to 1), how much of it is in sight (0 to 1), and for how long nothing
    of it has been (s). While it is behind the screen the first three read 0 and say that they
    are not valid. Where floor, walls, shelf, block and screen stand is shown by no sensor. The
    world has no goal.
    """

    class Config(Settings):
        """`lamp` is the probability, per tick and toy, of a new colour: that is no physics."""

        lamp: float = Field(default=0.01, ge=0.0, le=1.0)

    trials = "worlds.toys.trials"
    clips = "worlds.toys.clips"
    sensors = SENSORS
    actuators = ACTUATORS
    rate_hz = RATE_HZ

    def __init__(self, config: Config, batch: int) -> None:
        """Build `batch` copies. Raises InputError if the model file is missing or broken."""
        self.model, self.batch, self._lamp = load(MODEL), batch, config.lamp
        substeps = round(1.0 / (RATE_HZ * self.model.opt.timestep))
        self.simulation = Simulation(self.model, batch, substeps)
        names = [[f"{toy}_{axis}" for axis in ("x", "z", "vx", "vz")] for toy in TOYS]
        self._columns = np.array([sensor_columns(self.model, row) for row in names])
        screen = self.model.geom("screen")
        self._screen = screen.pos[[0, 2]], screen.size[[0, 2]]
        self._radius = float(self.model.geom(TOYS[0]).size[0])
        self.veil = np.zeros((batch, len(TOYS)))
        """How much of each toy is hidden by nothing at all, [B 2]: only `clips` sets it."""
        self.reset(range(batch))

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed: the toy in sight, thrown, dropped or rolling."""
        starts = [start(seed) for seed in seeds]
        self.simulation.place(np.stack([p for p, _ in starts]), np.stack([v for _, v in starts]))
        lamps = [np.random.default_rng((seed, LAMP_STREAM)) for seed in seeds]
        self.colours = np.stack([g.uniform(size=(len(TOYS), 3)) for g in lamps])
        self._lamps = Draws(lamps, len(TOYS), 4)
        self.veil[:] = 0.0
        self._unseen = np.zeros((self.batch, len(TOYS)))
        return self._observe(first=True)

    def step(self, action: Action) -> Observation:
        """Advance one tick (0.04 s). Raises PhysicsError if the physics becomes unstable."""
        self.simulation.step(action.command.double().numpy())
        fresh = self._lamps.next()
        lit = fresh[..., 3] < self._lamp
        self.colours[lit] = fresh[lit, :3]
        return self._observe(first=False)

    def close(self) -> None:
        """Stop the simulation threads."""
        self.simulation.close()

    @property
    def motion(self) -> Array:
        """Position (m) and velocity (m/s) of every toy, in sight or not: x, z, vx, vz, [B 2 4]."""
        return self.simulation.trace[:, -1][:, self._columns]

    def hidden(self, positions: Array) -> Array:
        """Return how much of a toy at positions [..., 2] (m) is behind the screen, 0 to 1."""
        centre, half = self._screen
        inside = half + self._radius - np.abs(positions - centre)
        return (inside / (2 * self._radius)).clip(0.0, 1.0).prod(axis=-1)

    def _observe(self, first: bool) -> Observation:
        motion = self.motion
        share = 1.0 - np.maximum(self.veil, self.hidden(motion[..., :2]))
        seen = share > 0.0
        self._unseen = np.where(seen, 0.0, self._unseen + 1.0 / RATE_HZ)
        shown = np.concatenate([motion, self.colours], axis=-1) * seen[..., None]
        values = np.concatenate([shown, share[..., None], self._unseen[..., None]], axis=-1)
        always = np.ones_like(seen)
        valid = np.stack([seen, seen, seen, always, always], axis=-1)
        shows = torch.from_numpy(values.reshape(self.batch, -1).astype(np.float32))
        works = torch.from_numpy(valid.reshape(self.batch, -1))
        return self.simulation.observed(shows, works, first)


def start(seed: int) -> tuple[Array, Array]:
    """Return where an episode starts: a position [2] (m) and a velocity [2] (m/s), of its seed.

    In sight and clear of everything fixed. Half of the time the toy is thrown; it rolls on the
    floor in a quarter of the episodes, on the shelf in another.
    """
    rng = np.random.default_rng((seed, 0))
    way = rng.integers(4)
    if way == 0:
        place = np.array([rng.choice([rng.uniform(-0.9, -0.3), rng.uniform(0.45, 0.6)]), 0.06])
        return place, np.array([-np.sign(place[0]) * rng.uniform(0.5, 1.8), 0.0])
    if way == 1:
        place = np.array([rng.uniform(-0.92, -0.45), 0.59])
        return place, np.array([rng.choice([-1.0, 1.0, 1.0]) * rng.uniform(0.2, 1.3), 0.0])
    while True:
        place = rng.uniform([-0.9, 0.2], [0.9, 1.15])
        if clear(place):
            return place, rng.uniform([-1.6, -1.0], [1.6, 1.5])


def clear(place: Array) -> bool:
    """Say of a place [2] (m) in the room whether a toy there is in sight and touches nothing."""
    x, z = place
    at_shelf = x < -0.32 and 0.39 < z < 0.61
    at_block = 0.62 < x < 0.88 and z < 0.38
    behind = -0.22 < x < 0.42 and z < 0.54
    return not (at_shelf or at_block or behind)


__all__ = ["Toys", "clear", "start"]
