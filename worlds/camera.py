"""A fixed camera of 64x64 grey pixels, and the short history of frames that shows motion."""

from __future__ import annotations

import atexit
import copy
import os
from collections.abc import Mapping

import mujoco
import numpy as np
from numpy.typing import NDArray

from worlds.film import renderer
from worlds.simulation import Array

Frames = NDArray[np.uint8]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Grey of red, green and blue; ITU-R BT.601."""


class Camera:
    """Looks at copies of a model through one of its cameras, off-screen: [n nq] -> [n size size].

    Drawn at twice the size and averaged over blocks of four pixels, so that edges move smoothly: a
    moving body shows in the grey of a pixel before it reaches the next one. Shadows, reflections
    and multi-sampling are off, and Mesa draws in the calling thread: about 1 ms a frame.
    """

    def __init__(
        self, model: mujoco.MjModel, name: str, size: int, shades: Mapping[str, float]
    ) -> None:
        """Draw a copy of `model` whose geoms and sites in `shades` have that grey, all alike lit.

        Raises NoGraphics if there is no OpenGL here.
        """
        os.environ.setdefault("LP_NUM_THREADS", "0")
        self._model, self._name = _scene(model, shades), name
        self._size, self._data = size, mujoco.MjData(self._model)
        self._renderer = renderer(self._model, (2 * size, 2 * size), f"camera '{name}'")
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._renderer.scene.flags[flag] = 0
        atexit.register(self._renderer.close)  # before MuJoCo's own, which ends all of EGL

    def look(self, qpos: Array, greys: Mapping[str, Array] | None = None) -> Frames:
        """Return what the camera sees of poses [n nq], [n size size]: 0 black, 255 white.

        `greys` [n] are those of geoms that do not look the same in every copy.
        """
        frames = []
        for row, pose in enumerate(qpos):
            for name, shades in (greys or {}).items():
                self._model.geom(name).rgba[:3] = shades[row]
            frames.append(self._frame(pose))
        return np.stack(frames)

    def close(self) -> None:
        """Give the graphics context back; what is forgotten goes back when the process ends."""
        atexit.unregister(self._renderer.close)
        self._renderer.close()

    def _frame(self, pose: Array) -> Frames:
        self._data.qpos[:] = pose
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        self._renderer.update_scene(self._data, camera=self._name)
        grey = self._renderer.render() @ LUMA
        rows = grey[0::2] + grey[1::2]
        return np.rint((rows[:, 0::2] + rows[:, 1::2]) / 4).clip(0, 255).astype(np.uint8)


class History:
    """The last `depth` frames of every copy, oldest first: [B depth size size]."""

    def __init__(self, depth: int) -> None:
        """Remember nothing yet."""
        self._depth, self._frames = depth, np.zeros(0, np.uint8)

    def begin(self, *frames: Frames) -> Frames:
        """Return the history of an episode that begins with frames [B size size], oldest first.

        The first stands for all that were before it.
        """
        before = (frames[0],) * (self._depth - len(frames))
        self._frames = np.stack((*before, *frames), axis=1)
        return self._frames

    def follow(self, frames: Frames) -> Frames:
        """Return the history once `frames` [B size size] have followed."""
        self._frames = np.concatenate((self._frames[:, 1:], frames[:, None]), axis=1)
        return self._frames


def _scene(model: mujoco.MjModel, shades: Mapping[str, float]) -> mujoco.MjModel:
    """Return a copy of `model` in greys, without lamps: flat colours, the same from everywhere."""
    model = copy.copy(model)
    model.vis.quality.shadowsize = 0
    model.vis.quality.offsamples = 0
    model.vis.quality.numslices, model.vis.quality.numstacks = 16, 4
    model.vis.quality.numquads = 1
    model.vis.headlight.ambient[:], model.vis.headlight.diffuse[:] = 1.0, 0.0
    model.vis.headlight.specular[:] = 0.0
    model.light_active[:] = 0
    for name, grey in shades.items():
        kind = mujoco.mjtObj.mjOBJ_GEOM
        if mujoco.mj_name2id(model, kind, name) >= 0:
            model.geom(name).rgba[:] = (grey, grey, grey, 1.0)
        else:
            model.site(name).rgba[:] = (grey, grey, grey, 1.0)
    return model
