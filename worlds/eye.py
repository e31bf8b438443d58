"""What a body observes that has a camera above it: its own sensors, and the last frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import mujoco
import torch

from agent.core.messages import Observation
from agent.core.spec import Channel, Layout
from worlds.camera import Camera, Frames, History
from worlds.outages import Outages
from worlds.simulation import Array

DEPTH = 3
SIZE = 64
CAMERA = Channel("camera", DEPTH * SIZE * SIZE, "grey", shape=(DEPTH, SIZE, SIZE))

Greys = Mapping[str, Array]


def with_camera(sensors: Layout) -> Layout:
    """Return the sensors of a body and, behind them, its camera: 3 frames of 64x64 grey pixels."""
    return Layout((*sensors.channels, CAMERA))


class Eye:
    """Looks through the model's camera `eye`, remembers 3 frames, and lets sensors drop out.

    The oldest frame comes first; an episode begins with its first frame three times, or with what
    led to it.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        shades: Mapping[str, float],
        sensors: Layout,
        batch: int,
        outages: tuple[float, int],
    ) -> None:
        """See `model` in the greys `shades`; `sensors` are those of the body and the camera.

        `outages` are the probability of one and its length in ticks. Raises NoGraphics if there is
        no OpenGL here.
        """
        self._camera, self._history = Camera(model, "eye", SIZE, shades), History(DEPTH)
        self._outages = Outages(sensors, batch, *outages)

    def begin(
        self,
        seeds: Sequence[int],
        felt: Observation,
        *poses: Array,
        greys: Greys | None = None,
    ) -> Observation:
        """Return the first observation of episodes: what was `felt`, and what `poses` look like.

        They are [B nq] each, up to 3 ticks, the last one now. `greys` [B] are those of geoms that
        do not look the same in every copy.
        """
        self._outages.reset(seeds)
        frames = [self._camera.look(qpos, greys) for qpos in poses]
        return self._joined(felt, self._history.begin(*frames))

    def follow(self, felt: Observation, qpos: Array, greys: Greys | None = None) -> Observation:
        """Return the next observation."""
        return self._joined(felt, self._history.follow(self._camera.look(qpos, greys)))

    def close(self) -> None:
        """Give the graphics context back."""
        self._camera.close()

    def _joined(self, felt: Observation, frames: Frames) -> Observation:
        seen = torch.from_numpy(frames.reshape(len(frames), -1)).float()
        values, valid = self._outages.apply(torch.cat((felt.values, seen), dim=1))
        return replace(felt, values=values, valid=valid)


__all__ = ["CAMERA", "DEPTH", "SIZE", "Eye", "with_camera"]
