"""Clips of `toys` for violation of expectation: the same episode, once possible and once not.

A trick changes the simulated state, or the law one episode obeys, at one tick; until then both
clips of a pair are bit-equal. No agent sees any of this: it gets observations, as ever.

Source: Baillargeon, Spelke, Wasserman (1985); Riochet et al. (2018), IntPhys, for matched pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from agent.core.messages import Action, Observation
from worlds.simulation import Array
from worlds.toys.world import MODEL, RATE_HZ, TOYS, Toys, clear

TICKS = 32
DEVELOPMENT_SEEDS = 900_000
EVALUATION_SEEDS = 1_000_000
EARLIEST, LAST = 4, 24
"""Observations between which a trick may show first: something is seen before it, and after."""

JUMP_M = 0.35
IMPACT_M_S = 0.6
FALL_M_S = 0.4
GRAVITY = np.array([0.0, -9.81]) / RATE_HZ
TRICK_STREAM = 5


@dataclass(frozen=True, slots=True)
class Trick:
    """What is done to which toy; observation `tick` is the first to show it.

    `aim` is where a teleported toy goes [2] (m), or the new colour [3].
    """

    kind: str
    toy: int
    tick: int
    aim: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Life:
    """What truly happened in a clip: `motion` [T+1 2 4] as in `Toys`; `seen` [T+1 2].

    The motion of a toy that is gone is not a number.
    """

    motion: Array
    seen: NDArray[np.bool_]
    hidden: Callable[[Array], Array]

    def kicks(self) -> Array:
        """Return what gravity does not explain of the change of velocity, [T 2 2] (m/s)."""
        return np.diff(self.motion[..., 2:], axis=0) - GRAVITY


class Stage(Toys):
    """The world of `Toys`, in which every episode may have one trick."""

    def __init__(self, config: Toys.Config, batch: int) -> None:
        """Build `batch` copies without tricks."""
        self._tricks: list[Trick | None] = [None] * batch
        self._ghosts = [_altered(toy, touches=False) for toy in TOYS]
        self._floats = [_altered(toy, weighs=False) for toy in TOYS]
        self._past: list[tuple[Array, NDArray[np.bool_]]] = []
        super().__init__(config, batch)

    def prepare(self, tricks: Sequence[Trick | None]) -> None:
        """Say what will happen in each of the episodes that start with the next `reset`."""
        self._tricks = list(tricks)

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed, as in `Toys`."""
        self.simulation.models = [self.model] * self.batch
        self._past = []
        return super().reset(seeds)

    def step(self, action: Action) -> Observation:
        """Advance one tick, tricks included."""
        for row, trick in enumerate(self._tricks):
            if trick is not None and trick.tick == len(self._past):
                self._perform(row, trick)
            elif trick is not None and self.veil[row].any():
                self._remove(row, trick.toy)
        return super().step(action)

    def lives(self) -> list[Life]:
        """Return what happened in each episode since the last `reset`."""
        motion = np.stack([m for m, _ in self._past], axis=1)
        seen = np.stack([s for _, s in self._past], axis=1)
        return [Life(m, s, self.hidden) for m, s in zip(motion, seen, strict=True)]

    def _observe(self, first: bool) -> Observation:
        observation = super()._observe(first)
        seen = observation.valid.numpy()[:, :: len(self.sensors.channels) // len(TOYS)]
        motion = np.where(self.veil[..., None] == 1.0, np.nan, self.motion)
        self._past.append((motion, seen.copy()))
        return observation

    def _perform(self, row: int, trick: Trick) -> None:
        nq, toy = self.model.nq, trick.toy
        place = slice(1 + 2 * toy, 3 + 2 * toy)
        if trick.kind == "teleport":
            self.simulation.state[row, place] = trick.aim
        elif trick.kind == "vanish":
            self.veil[row, toy] = 0.5
        elif trick.kind == "withhold":
            self._remove(row, toy)
        elif trick.kind == "pass_through":
            self.simulation.models[row] = self._ghosts[toy]
        elif trick.kind == "float":
            self.simulation.models[row] = self._floats[toy]
            self.simulation.state[row, 1 + nq + 2 * toy + 1] = 0.0
        else:
            self.colours[row, toy] = trick.aim

    def _remove(self, row: int, toy: int) -> None:
        """Let a toy be nowhere: out of sight, and in nobody's way."""
        self.veil[row, toy] = 1.0
        self.simulation.models[row] = self._ghosts[toy]


def trick(kind: str, seed: int, life: Life) -> Trick | None:
    """Return the trick of this kind for the episode of `seed`, that went as `life` says.

    None if no moment of it suits: nothing falls, say, or no toy is in sight then.
    """
    rng = np.random.default_rng((seed, TRICK_STREAM, KINDS.index(kind)))
    moments = [(t, toy) for t in range(EARLIEST, LAST) for toy in range(len(TOYS))]
    for t, toy in rng.permutation(moments).tolist():
        found = CHOICES[kind](rng, life, t, toy)
        if found is not None:
            return Trick(kind, toy, t, tuple(found))
    return None


def _teleport(rng: np.random.Generator, life: Life, t: int, toy: int) -> Array | None:
    """Anywhere clear and in sight, at least `JUMP_M` away; from out of sight as well."""
    before = life.motion[t - 1, toy, :2]
    for _ in range(20):
        aim = rng.uniform([-0.9, 0.08], [0.9, 1.0])
        far = np.linalg.norm(aim - before) >= JUMP_M
        if far and clear(aim):
            return aim
    return None


def _vanish(rng: np.random.Generator, life: Life, t: int, toy: int) -> Array | None:
    """In sight, and 10 cm or more from where the screen would have hidden any of it.

    It goes as toys go behind the screen, half of it a tick before the rest, but there is no screen.
    """
    where = life.motion[t - 1 : t + 3, toy, :2]
    around = where[:, None] + 0.1 * np.array([[-1, 0], [1, 0], [0, -1], [0, 1], [0, 0]])
    away = not life.hidden(around).any()
    return np.zeros(0) if away and life.seen[t - 1 : t + 3, toy].all() else None


def _withhold(rng: np.random.Generator, life: Life, t: int, toy: int) -> Array | None:
    """Where it came out from behind the screen, and stayed in sight for a while."""
    out = not life.seen[t - 1, toy] and life.seen[t : t + 5, toy].all()
    return np.zeros(0) if out else None


def _pass_through(rng: np.random.Generator, life: Life, t: int, toy: int) -> Array | None:
    """Where it hit something in sight, hard enough to see that it did."""
    kick = np.linalg.norm(life.kicks()[t - 1, toy])
    place, speed = life.motion[t - 1, toy, :2], life.motion[t - 1, toy, 2:]
    ahead = np.arange(1, 5)[:, None] / RATE_HZ
    path = place + speed * ahead + 0.5 * RATE_HZ * GRAVITY * ahead**2
    seen = life.seen[t - 1, toy] and not (life.hidden(path) == 1.0).any()
    return np.zeros(0) if seen and kick >= IMPACT_M_S else None


def _float(rng: np.random.Generator, life: Life, t: int, toy: int) -> Array | None:
    """Where it was falling freely in sight, and would have gone on to."""
    free = np.abs(life.kicks()[t - 2 : t + 3, toy]).max() < 0.05
    falling = life.motion[t - 1, toy, 3] < -FALL_M_S
    here = life.motion[t - 1, toy, :2]
    drift = here + np.outer(np.arange(5) / RATE_HZ, [life.motion[t - 1, toy, 2], 0.0])
    seen = life.seen[t - 1 : t + 4, toy].all() and not (life.hidden(drift) == 1.0).any()
    return np.zeros(0) if free and falling and seen else None


def _colour(rng: np.random.Generator, life: Life, t: int, toy: int) -> Array | None:
    """In sight, and any other colour: possible, as lamps do it too."""
    return rng.uniform(size=3) if life.seen[t - 1 : t + 3, toy].all() else None


CHOICES: dict[str, Callable[[np.random.Generator, Life, int, int], Array | None]] = {
    "teleport": _teleport,
    "vanish": _vanish,
    "withhold": _withhold,
    "pass_through": _pass_through,
    "float": _float,
    "colour": _colour,
}
KINDS = tuple(CHOICES)
VIOLATIONS = KINDS[:-1]
CONTROL = "colour"


def _altered(toy: str, touches: bool = True, weighs: bool = True) -> mujoco.MjModel:
    """Return the model with a toy that touches nothing, or that gravity does not pull."""
    spec = mujoco.MjSpec.from_file(str(MODEL))
    if not touches:
        spec.geom(toy).contype = spec.geom(toy).conaffinity = 0
    if not weighs:
        spec.body(toy).gravcomp = 1.0
    return spec.compile()


def scene() -> list[tuple[str, float, float, float, float]]:
    """Return everything fixed, for people: name, left and lower edge, width and height (m)."""
    model = mujoco.MjModel.from_xml_path(str(MODEL))
    found = []
    for index in np.flatnonzero(model.geom_type == int(mujoco.mjtGeom.mjGEOM_BOX)):
        (x, _, z), (width, _, height) = model.geom_pos[index], model.geom_size[index]
        name = model.geom(index).name
        found.append((name, x - width, z - height, 2 * width, 2 * height))
    return found
