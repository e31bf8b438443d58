"""Images of episodes: one byte a pixel, in a file that is mapped into memory, not read."""

from __future__ import annotations

import ctypes
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Parameters of mallopt, by the numbers of glibc's malloc.h."""


def reuse_memory() -> bool:
    """Let the C library keep freed memory for the next step, up to 2 GB; say whether it does.

    Minibatches of images are so large that glibc maps memory anew for each and gives it back, and
    writing to every page for the first time took a quarter of a step. Other libraries are left as
    they are.
    Source: mallopt(3), M_MMAP_MAX and M_TRIM_THRESHOLD.
    """
    try:
        told = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return False
    return bool(told(MMAP_MAX, 0)) and bool(told(TRIM_THRESHOLD, 2**31 - 1))


@dataclass(frozen=True, slots=True)
class Images:
    """Packed image sensors of episodes: `pixels` [M T+1 P], uint8, of which `rows` [N] belong.

    Drawing ticks copies those ticks only; `pixels` may be larger than memory.
    """

    pixels: Tensor
    rows: Tensor

    def beside(self, scalars: Tensor, episode: Tensor, tick: Tensor) -> Tensor:
        """Return scalars [... S] and, behind them, these ticks' pixels: float32 [... S+P]."""
        drawn, size = self.pixels[self.rows[episode], tick], scalars.shape[-1]
        whole = scalars.new_empty(*scalars.shape[:-1], size + drawn.shape[-1])
        whole[..., :size], whole[..., size:] = scalars, drawn
        return whole

    def only(self, which: Tensor | slice) -> Images:
        """Return the images of some episodes, by a mask [N] or a slice; nothing is copied."""
        return Images(self.pixels, self.rows[which])


class Album:
    """Where images are put down while exploring: a file, or memory if there is no `path`.

    The file is whole or not there: it gets its name in `close`.
    """

    def __init__(self, path: Path | None, episodes: int, ticks: int, size: int) -> None:
        """Make room for the ticks of `episodes`, each of `ticks` + 1 images of `size` pixels."""
        shape = (episodes, ticks + 1, size)
        self._path = path
        self._pixels = (
            np.zeros(shape, np.uint8)
            if path is None
            else np.lib.format.open_memmap(_part(path), mode="w+", dtype=np.uint8, shape=shape)
        )

    def put(self, first: int, tick: int, pixels: Tensor) -> None:
        """Keep images [B P], whole numbers from 0 to 255, of episodes from `first` on."""
        rows = self._pixels[first : first + len(pixels), tick]
        rows[:] = pixels[: len(rows)].to(torch.uint8).numpy()

    def close(self) -> Images:
        """Return what was put down; nothing can be added any more."""
        if self._path is None:
            return _images(self._pixels)
        assert isinstance(self._pixels, np.memmap)
        self._pixels.flush()
        os.replace(_part(self._path), self._path)
        return open_images(self._path)


def open_images(path: Path) -> Images:
    """Map the images in `path`, written by an `Album`. Raises ValueError if it is not whole."""
    return _images(np.load(path, mmap_mode="c"))


def checksum(images: Images) -> int:
    """Return the CRC-32 of all pixels, to know them again."""
    found = 0
    for episode in images.pixels:
        found = zlib.crc32(episode.numpy().data, found)
    return found


def _part(path: Path) -> Path:
    return path.with_suffix(".part")


def _images(pixels: np.ndarray) -> Images:
    return Images(torch.from_numpy(pixels), torch.arange(len(pixels)))
