"""A robot that others made, with one of its cameras: frames behind its other sensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch

from agent.core.messages import Action, Observation
from agent.core.spec import Layout
from worlds.camera import Camera, Frames, History
from worlds.robots.settings import Robot
from worlds.simulation import Array

DEPTH = 3


class Seeing:
    """A robot with one of its cameras, whose last 3 frames come behind its other sensors.

    The oldest frame comes first; an episode begins with its first frame three times.
    """

    sensors = Layout(())
    blind: ClassVar[Any]

    def __init__(self, config: Robot, batch: int) -> None:
        """Build `batch` copies. Raises NoGraphics if there is no OpenGL here."""
        self._body, self.batch, self.config = self.blind(config, batch), batch, config
        self.model, self.simulation = self._body.model, self._body.simulation
        self._camera = Camera(self.model, config.camera, config.size, {})
        self._history = History(DEPTH)

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed, at rest near the robot's start."""
        felt = self._body.reset(seeds)
        return self._see(felt, self._history.begin(self._camera.look(self.simulation.qpos)))

    def show(self, poses: Array) -> Observation:
        """Return what sensors and camera show at rest in `poses` [B nq]: first ticks."""
        felt = self._body.show(poses)
        return self._see(felt, self._history.begin(self._camera.look(self.simulation.qpos)))

    def step(self, action: Action) -> Observation:
        """Advance one tick. Raises PhysicsError if the physics becomes unstable."""
        felt = self._body.step(action)
        return self._see(felt, self._history.follow(self._camera.look(self.simulation.qpos)))

    def close(self) -> None:
        """Stop the simulation threads and give the graphics context back."""
        self._body.close()
        self._camera.close()

    def readings(self, trace: Array) -> Array:
        """Return packed values [..., n] of all sensors but the camera, from raw readings."""
        return self._body.readings(trace)

    def start(self, seed: int, stream: int) -> Array:
        """Return a pose [nq] at random around the start."""
        return self._body.start(seed, stream)

    def _see(self, felt: Observation, frames: Frames) -> Observation:
        seen = torch.from_numpy(frames.reshape(self.batch, -1)).float()
        valid = torch.ones(self.batch, len(self.sensors.channels), dtype=torch.bool)
        return replace(felt, values=torch.cat((felt.values, seen), dim=1), valid=valid)


__all__ = ["DEPTH", "Seeing"]
