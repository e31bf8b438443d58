"""A folder of videos as experience to watch: images without sensors and without commands.

Source: LeCun (2022) sec. 4.9-4.10: world models are learned mostly by observation, from video;
acting comes later and needs little.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import torch
from numpy.typing import NDArray

from agent.core.errors import InputError
from agent.core.spec import Layout
from agent.train.dataset import HELD_OUT, Dataset
from agent.train.images import Images

ENDINGS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".gif")
CROP = "crop='min(iw,ih)':'min(iw,ih)'"

Frames = NDArray[np.uint8]


def read(folder: Path, sensors: Layout, commands: int, rate_hz: float, ticks: int) -> Dataset:
    """Return the videos in `folder` as episodes of `ticks`, as the only camera of `sensors` sees.

    Their middle square is scaled to the camera's size, turned grey and taken at `rate_hz`; each
    frame stands with those before it, as the camera's history does. Every scalar sensor and every
    one of the `commands` reads 0: nothing was measured, and nobody acted. What is left of a video
    that is no whole episode is not used.
    Raises InputError if there is no camera, no video, an unreadable one, or too little to watch.
    """
    camera = _camera(sensors)
    depth, height, width = camera
    if height != width:
        raise InputError(f"watch: expected a square camera, came {height}x{width}; videos are cut")
    episodes = []
    for path in videos(folder):
        frames = film(path, height, rate_hz)
        for first in range(0, len(frames) - ticks, ticks + 1):
            episodes.append(_history(frames[first : first + ticks + 1], depth))
    if len(episodes) < HELD_OUT:
        raise InputError(
            f"watch: expected {HELD_OUT} or more episodes of {ticks + 1} frames at {rate_hz:g} Hz"
            f" in {folder}, came {len(episodes)}; film more, or lower train.watch.ticks"
        )
    pixels = torch.from_numpy(np.stack(episodes))
    scalars = torch.zeros(len(pixels), ticks + 1, sensors.scalars.size)
    still = torch.zeros(len(pixels), ticks, commands)
    return Dataset(scalars, still, Images(pixels, torch.arange(len(pixels))))


def videos(folder: Path) -> list[Path]:
    """Return the videos in a folder, by name. Raises InputError if there is none."""
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in ENDINGS)
    if not found:
        raise InputError(
            f"watch: expected videos ({', '.join(ENDINGS)}) in {folder}, found none;"
            f" name a folder in train.watch.videos"
        )
    return found


def film(path: Path, size: int, rate_hz: float) -> Frames:
    """Return the frames [T size size] of a video, grey, at `rate_hz`.

    Raises InputError if it cannot be read.
    """
    scaled = f"{CROP},scale={size}:{size}:flags=area,fps={rate_hz:g}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-vf", scaled]
    command += ["-f", "rawvideo", "-pix_fmt", "gray", "-"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        reason = " ".join(done.stderr.decode(errors="replace").split())[-160:]
        raise InputError(f"watch: {path} cannot be read ({reason}); remove it")
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, size, size)


def _camera(sensors: Layout) -> tuple[int, int, int]:
    shapes = [c.shape for c in sensors.channels if c.shape]
    if len(shapes) != 1 or len(shapes[0]) != 3:
        raise InputError(
            f"watch: expected a world with one camera, came {sensors.names}; use reach_pixels"
        )
    depth, height, width = shapes[0]
    return depth, height, width


def _history(frames: Frames, depth: int) -> Frames:
    """Return frames [T S S] with those before them, oldest first, flat: [T depth*S*S]."""
    padded = np.concatenate((np.repeat(frames[:1], depth - 1, axis=0), frames))
    stacked = np.stack([padded[i : i + len(frames)] for i in range(depth)], axis=1)
    return stacked.reshape(len(frames), -1)
