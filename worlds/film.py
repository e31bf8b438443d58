"""A video of an episode, for people: H.264, rendered off-screen; needs GL and ffmpeg."""

from __future__ import annotations

import contextlib
import copy
import importlib
import os
import sys
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from agent.core.errors import HousecatError, InputError
from worlds import GRAPHICS

Array = NDArray[np.floating[Any]]
BACKENDS = ("egl", "osmesa", "glfw")
GOAL_COLOUR = (34, 160, 90)


class NoGraphics(HousecatError):
    """No video can be made here; `reason` says why and what to install."""

    def __init__(self, reason: str) -> None:
        """Carry `reason`, one line."""
        super().__init__(reason)
        self.reason = reason


def video(
    model: mujoco.MjModel,
    poses: Array,
    goals: Array | Sequence[float] | None,
    path: Path,
    rate_hz: float,
    size: tuple[int, int] = (480, 360),
) -> None:
    """Write `poses` [T nq] as an H.264 video (yuv420p) of even `size` (width, height) pixels.

    `goals` [2 or 3], or one per tick [T 2 or 3] (m), are marked by a ball. Seen from the model's
    first camera if it has one. Atomic: `path` is whole or not there.
    Raises NoGraphics if GL or ffmpeg is missing, InputError if there is nothing to show or the
    folder cannot be written.
    """
    expect_poses(model, poses)
    part = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix or '.mp4'}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _ffmpeg(part, size, rate_hz) as film:
            for index, frame in enumerate(_frames(model, poses, goals, size)):
                if index == 0:
                    film.send(None)  # starts ffmpeg, which complains of films without a frame
                film.send(frame)
        if not part.is_file() or not part.stat().st_size:
            raise NoGraphics("video: ffmpeg wrote nothing; check `pip show imageio-ffmpeg`")
        os.replace(part, path)
    except OSError as fault:
        reason = " ".join(str(fault).split())[:200]
        raise InputError(
            f"video: expected to write {path}, came '{reason}'; choose another folder"
        ) from fault
    finally:
        part.unlink(missing_ok=True)


def still(
    model: mujoco.MjModel,
    pose: Array,
    goal: Array | Sequence[float] | None,
    size: tuple[int, int] = (480, 360),
) -> NDArray[np.uint8]:
    """Return one pose [nq] as `video` shows it: a picture [height width 3] of `size`.

    Raises NoGraphics if there is no OpenGL here, InputError if the pose is not of this model.
    """
    expect_poses(model, pose[None])
    with contextlib.closing(_frames(model, pose[None], goal, size)) as frames:
        return next(frames).copy()


def film_of(frames: NDArray[np.uint8], path: Path, rate_hz: float) -> None:
    """Write grey `frames` [T height width] as an H.264 video of even size.

    Raises NoGraphics if ffmpeg is missing.
    """
    with _ffmpeg(path, (frames.shape[2], frames.shape[1]), rate_hz) as film:
        film.send(None)
        for frame in frames:
            film.send(np.ascontiguousarray(np.repeat(frame[..., None], 3, axis=-1)))


@contextlib.contextmanager
def _ffmpeg(path: Path, size: tuple[int, int], rate_hz: float) -> Iterator[Any]:
    try:
        import imageio_ffmpeg

        imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as fault:
        raise NoGraphics(
            f"video: no ffmpeg ({fault}); `pip install imageio-ffmpeg`, or use the 3-D replay"
        ) from fault
    film = imageio_ffmpeg.write_frames(
        str(path),
        size,
        fps=rate_hz,
        codec="libx264",
        pix_fmt_out="yuv420p",
        macro_block_size=2,
        quality=7,
        ffmpeg_log_level="error",
        output_params=["-movflags", "+faststart"],
    )
    try:
        yield film
    finally:
        film.close()


def _frames(
    model: mujoco.MjModel, poses: Array, goals: Any, size: tuple[int, int]
) -> Generator[NDArray[np.uint8], None, None]:
    model = copy.copy(model)
    model.vis.global_.offwidth = max(model.vis.global_.offwidth, size[0])
    model.vis.global_.offheight = max(model.vis.global_.offheight, size[1])
    model.vis.quality.shadowsize = 0
    model.vis.quality.offsamples = 0
    model.vis.headlight.ambient *= 0.75
    model.vis.headlight.diffuse *= 0.5
    model.light_diffuse *= 0.4
    drawing = renderer(model, size)
    try:
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            drawing.scene.flags[flag] = 0
        data = mujoco.MjData(model)
        marks = None if goals is None else np.atleast_2d(np.asarray(goals, np.float64))
        camera = 0 if model.ncam else -1
        for t, pose in enumerate(poses):
            data.qpos[:] = pose
            mujoco.mj_forward(model, data)
            drawing.update_scene(data, camera=camera)
            if marks is not None:
                _mark(drawing.scene, in_space(marks[min(t, len(marks) - 1)]), marker(model))
            yield drawing.render()
    finally:
        drawing.close()


def renderer(model: mujoco.MjModel, size: tuple[int, int], who: str = "video") -> mujoco.Renderer:
    """Open a renderer (width, height) with the back end asked for; without a display, through EGL.

    MuJoCo chooses a back end when it is imported, and a missing EGL would then stop even worlds
    that draw nothing: so the choice is made here, late. Raises NoGraphics, said by `who`.
    """
    screen = sys.platform != "linux" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
    backend = GRAPHICS or ("" if screen else "egl")
    try:
        if backend in BACKENDS:
            from mujoco.rendering.classic import gl_context

            found = importlib.import_module(f"mujoco.{backend}")
            gl_context.GLContext = found.GLContext
        elif backend not in ("", "on", "1", "true", "enable", "enabled"):
            raise ValueError(f"MUJOCO_GL={backend} is none of {', '.join(BACKENDS)}")
        return mujoco.Renderer(model, height=size[1], width=size[0])
    except Exception as fault:
        reason = " ".join(str(fault).split()) or type(fault).__name__
        raise NoGraphics(
            f"{who}: no GL ({reason[:160]}); install EGL (`apt-get install libegl1`) or set"
            f" MUJOCO_GL=osmesa; 3-D replays and worlds without a camera need none"
        ) from fault


def _mark(scene: mujoco.MjvScene, where: Array, radius: float) -> None:
    if scene.ngeom < scene.maxgeom:
        mujoco.mjv_initGeom(
            scene.geoms[scene.ngeom],
            mujoco.mjtGeom.mjGEOM_SPHERE,
            np.full(3, radius),
            where,
            np.eye(3).ravel(),
            np.array([*(c / 255 for c in GOAL_COLOUR), 0.6], np.float32),
        )
        scene.ngeom += 1


def expect_poses(model: mujoco.MjModel, poses: Array) -> None:
    """Raise InputError unless `poses` is [T nq] of this model, with T > 0."""
    if poses.ndim != 2 or not len(poses) or poses.shape[1] != model.nq:
        raise InputError(
            f"stage: expected poses [T {model.nq}] with T > 0, came {list(poses.shape)};"
            f" the run logged no poses of this world"
        )


def marker(model: mujoco.MjModel) -> float:
    """Return the radius (m) of a goal marker that suits the size of the scene."""
    return 0.035 * float(model.stat.extent)


def in_space(point: Any) -> NDArray[np.float64]:
    """Return a point [2 or 3] as [3], at height zero if it has none."""
    flat = np.asarray(point, np.float64).ravel()
    return np.array([flat[0], flat[1], flat[2] if len(flat) > 2 else 0.0])
