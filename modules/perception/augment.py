"""Changes of frames that training makes and perception shall not mind.

Source: Yarats, Kostrikov, Fergus (2021), DrQ, for shifts; DeVries, Taylor (2017), for cutout.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from agent.core.settings import Settings


class Augment:
    """Draws a change for every stack of frames, a function of the seed: all frames of it alike.

    Brightness, contrast, noise and cutout leave things where they are. A random shift does not: it
    makes places alike, so it buys recognition with localisation.
    """

    class Config(Settings):
        """Largest `shift` (pixels); `brightness`, `noise` (grey values); `contrast`; `cutout`.

        `brightness` and `noise` are deviations of what is added to all pixels alike, and to each;
        `contrast` that of the logarithm of a factor; `cutout` the side of a square (pixels) that is
        blackened. All are off at 0.
        """

        shift: int = Field(default=0, ge=0)
        brightness: float = Field(default=0.0, ge=0)
        contrast: float = Field(default=0.0, ge=0)
        noise: float = Field(default=0.0, ge=0)
        cutout: int = Field(default=0, ge=0)

    def __init__(self, config: Config) -> None:
        """Keep the settings; `active` says whether there is anything to do."""
        self.config, self.active = config, any(config.model_dump().values())

    def __call__(self, frames: Tensor, seed: int) -> Tensor:
        """Return changed frames [..., D S S], within 0 and 255."""
        config, generator = self.config, torch.Generator().manual_seed(seed)
        stacks = frames.reshape(-1, *frames.shape[-3:])
        each = (len(stacks), 1, 1, 1)
        if config.shift:
            stacks = _shifted(stacks, config.shift, generator)
        factor = (torch.randn(each, generator=generator) * config.contrast).exp()
        stacks = stacks * factor + torch.randn(each, generator=generator) * config.brightness
        if config.noise:
            stacks = stacks + torch.randn(stacks.shape, generator=generator) * config.noise
        if config.cutout:
            stacks = stacks * ~_squares(stacks, config.cutout, generator)
        return stacks.clamp(0.0, 255.0).reshape(frames.shape)


def _shifted(stacks: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Return stacks [n D S S] moved by up to `most` pixels either way, edges repeated."""
    height, width = stacks.shape[-2:]
    padded = F.pad(stacks, (most,) * 4, mode="replicate")
    down, right = torch.randint(2 * most + 1, (2, len(stacks), 1), generator=generator)
    rows = (down + torch.arange(height))[:, None, :, None]
    columns = (right + torch.arange(width))[:, None, None, :]
    index = torch.arange(len(stacks)).view(-1, 1, 1, 1)
    layer = torch.arange(stacks.shape[1]).view(1, -1, 1, 1)
    moved: Tensor = padded[index, layer, rows, columns]
    return moved


def _squares(stacks: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Return where a random square of each of stacks [n D S S] lies, [n 1 S S]."""
    height, width = stacks.shape[-2:]
    top = torch.randint(max(height - side, 0) + 1, (len(stacks), 1), generator=generator)
    left = torch.randint(max(width - side, 0) + 1, (len(stacks), 1), generator=generator)
    rows = (torch.arange(height) >= top) & (torch.arange(height) < top + side)
    columns = (torch.arange(width) >= left) & (torch.arange(width) < left + side)
    return (rows[:, :, None] & columns[:, None, :]).unsqueeze(1)
