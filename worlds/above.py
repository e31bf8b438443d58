"""A world with a camera above it: the same bodies, trials and physics, and what they look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from agent.core.messages import Action, Observation
from agent.core.spec import Layout
from worlds.eye import Eye, Greys
from worlds.simulation import Array


class Above:
    """`below`, and a camera that looks straight down on it: the last 3 frames, 64x64 grey pixels.

    The oldest frame comes first; an episode begins with its first frame three times. The sensors of
    `below` are there too, before `camera`: as labels for readouts and guardrails in training. A
    perception of pixels looks at none of them. Whoever inherits says what is below, its shades
    and sensors, and what else a world does.
    """

    below: ClassVar[Any]
    shades: ClassVar[Mapping[str, float]]
    sensors: ClassVar[Layout]

    def __init__(self, config: Any, batch: int) -> None:
        """Build `batch` copies. Raises NoGraphics if there is no OpenGL here."""
        self._body = self.below(config.model_copy(update={"dropout": 0.0}), batch)
        self.batch, self.model, self.simulation = batch, self._body.model, self._body.simulation
        outages = config.dropout, config.outage_ticks
        self._eye = Eye(self.model, self.shades, self.sensors, batch, outages)

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed, as `below` does."""
        return self._begin(seeds, self._body.reset(seeds))

    def step(self, action: Action) -> Observation:
        """Advance one tick. Raises PhysicsError if the physics becomes unstable."""
        return self._eye.follow(self._body.step(action), self.simulation.qpos, self._greys())

    def close(self) -> None:
        """Stop the simulation threads and give the graphics context back."""
        self._body.close()
        self._eye.close()

    def readings(self, trace: Array) -> Array:
        """Return packed sensor values [..., n] of `below` from raw sensor readings."""
        found: Array = self._body.readings(trace)
        return found

    def _begin(self, seeds: Sequence[int], felt: Observation) -> Observation:
        return self._eye.begin(seeds, felt, self.simulation.qpos, greys=self._greys())

    def _greys(self) -> Greys | None:
        """Return the greys of what does not look the same in every copy."""
        return None
