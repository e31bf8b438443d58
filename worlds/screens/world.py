"""The `screens` world: a puck in a room of screens, and a thing that is seen only from near by.

Order of this file, as of every world: constants, the world, its starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from agent.core.messages import Action, Observation
from agent.core.settings import Settings
from agent.core.spec import Channel, Layout
from worlds.simulation import Array, Simulation, load, sensor_columns

MODEL = Path(__file__).with_name("model.xml")
RATE_HZ = 10.0
LIMIT_M_S = 0.4
HALF_M = 1.9
"""Whatever is drawn stands at |x|, |y| <= 1.9."""

SENSORS = Layout(
    (Channel("position", 2, "m"), Channel("velocity", 2, "m/s"), Channel("thing", 2, "m"))
)
ACTUATORS = Layout((Channel("drive", 2, "m/s", (-LIMIT_M_S,) * 2, (LIMIT_M_S,) * 2),))


class Screens:
    """A puck, velocity-driven at 10 Hz, in a room that screens divide into nine booths.

    Sensors: position (m), velocity (m/s), and where a thing stands (m), which reads 0 and is not
    valid while a screen lies between the puck and the thing. It stands somewhere else in every
    episode, and starts in sight. Screens do not hinder the puck. The world has no goal.
    """

    class Config(Settings):
        """Screens that are not `opaque` hide nothing: so a body is learned before living in it."""

        opaque: bool = True

    trials = "worlds.screens.trials"
    sensors = SENSORS
    actuators = ACTUATORS
    rate_hz = RATE_HZ

    def __init__(self, config: Config, batch: int) -> None:
        """Build `batch` copies. Raises InputError if the model file is missing or broken."""
        self.model, self.batch = load(MODEL), batch
        substeps = round(1.0 / (RATE_HZ * self.model.opt.timestep))
        self.simulation = Simulation(self.model, batch, substeps)
        names = ["x", "y", "vx", "vy", "thing_x", "thing_y"]
        self._columns = sensor_columns(self.model, names)
        self._screens = [
            np.array([self.model.geom(f"screen_{side}").pos[axis] for side in sides])
            for axis, sides in enumerate((("west", "east"), ("south", "north")))
        ]
        if not config.opaque:
            self._screens = [np.zeros(0), np.zeros(0)]
        """Where screens stand that hide: in x, and in y (m)."""

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed: the puck at rest, the thing in sight."""
        self.simulation.place(np.stack([self.start(seed) for seed in seeds]))
        return self._observe(first=True)

    def step(self, action: Action) -> Observation:
        """Advance one tick (0.1 s). Raises PhysicsError if the physics becomes unstable."""
        self.simulation.step(action.command.double().numpy())
        return self._observe(first=False)

    def close(self) -> None:
        """Stop the simulation threads."""
        self.simulation.close()

    def readings(self, trace: Array) -> Array:
        """Return sensor values [..., O] from raw readings [..., nsensordata], hidden or not."""
        return trace[..., self._columns]

    def packed(self, trace: Array) -> torch.Tensor:
        """Return what sensors would show [N O] after the steps of a tick, [N, substeps, ...]."""
        return torch.from_numpy(self.readings(trace[:, -1]).astype(np.float32))

    def in_sight(self, here: Array, there: Array) -> NDArray[np.bool_]:
        """Say whether no screen lies between two places [..., 2] (m)."""
        found = np.ones(here.shape[:-1], dtype=bool)
        for axis, screens in enumerate(self._screens):
            mine, its = (np.searchsorted(screens, place[..., axis]) for place in (here, there))
            found &= mine == its
        return found

    def booth(self, place: Array) -> tuple[Array, Array]:
        """Return the lower and the upper corner [2] (m) of the booth in which a place [2] lies."""
        edges = [np.array([-HALF_M, *screens, HALF_M]) for screens in self._screens]
        at = [np.searchsorted(e[1:-1], x) for e, x in zip(edges, place, strict=True)]
        corners = [(e[i], e[i + 1]) for e, i in zip(edges, at, strict=True)]
        return np.array([low for low, _ in corners]), np.array([high for _, high in corners])

    def start(self, seed: int) -> Array:
        """Return joint positions [4] of an episode's start, of its seed: of the puck, the thing."""
        rng = np.random.default_rng((seed, 0))
        while True:
            puck, thing = rng.uniform(-HALF_M, HALF_M, size=(2, 2))
            if self.in_sight(puck, thing):
                return np.concatenate([puck, thing])

    def _observe(self, first: bool) -> Observation:
        values = self.packed(self.simulation.trace)
        places = self.readings(self.simulation.trace[:, -1])
        valid = torch.ones(self.batch, len(SENSORS.channels), dtype=torch.bool)
        valid[:, -1] = torch.from_numpy(self.in_sight(places[:, :2], places[:, 4:]))
        values[:, 4:] *= valid[:, -1:]
        return self.simulation.observed(values, valid, first)
