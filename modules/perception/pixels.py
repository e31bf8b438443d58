"""Perception from a camera: what its last frames show, how that moves, and what else is felt.

Source: LeCun (2022) sec. 3, "perception module"; patches as tokens: Dosovitskiy et al. (2021).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from agent.core.errors import nearest
from agent.core.messages import Directive, Forecast, Observation, Percept
from agent.core.protocols import Inbox, Ports, Site
from agent.core.settings import Settings
from agent.core.spec import Spec
from modules.perception.augment import Augment
from modules.perception.surprise import EPSILON, percept


class PixelsPerception(nn.Module):
    """Encodes the frames of one image sensor, and sensors `beside` it, into a latent [B Z].

    Every frame passes the same encoder of patches; the latent is a linear map plus a small network
    of what the latest frame shows, of how that changed from frame to frame, and of the scalars
    beside. Pixels are measured from their mean in exploration (`fit_normaliser`), so that a
    constant background is no signal, scalars by their mean and deviation. A sensor that is not
    valid shows that mean; a camera then adds 1 to the squared uncertainty, and so does each scalar.
    """

    class Config(Settings):
        """`width` of the hidden layers, `patch` in pixels, `channels` per patch, frame `features`.

        `beside` names the scalar sensors that are looked at, too: what a body feels of itself.
        `augment` changes frames in training only; see README.md beside it before using `shift`.
        """

        width: int = Field(default=128, ge=1)
        patch: int = Field(default=8, ge=1)
        channels: int = Field(default=16, ge=1)
        features: int = Field(default=32, ge=1)
        beside: list[str] = []
        augment: Augment.Config = Augment.Config()

    reads: ClassVar[tuple[type, ...]] = (Observation, Directive)
    recalls: ClassVar[tuple[type, ...]] = (Forecast,)
    posts: ClassVar[type] = Percept

    mean: Tensor
    scale: Tensor
    centre: Tensor
    extent: Tensor
    _felt: Tensor
    _owner: Tensor

    def __init__(self, config: Config, site: Site) -> None:
        """Build an untrained encoder.

        Raises ValueError without one camera of whole patches, and for what no scalar sensor is.
        """
        super().__init__()
        self.site, self._camera = site, _camera(site)
        names = site.sensors.scalars.lasting.names
        for name in config.beside:
            if name not in names:
                raise ValueError(f"beside: no scalar sensor '{name}'; {nearest(name, names)}")
        sizes = [c.size for c in site.sensors.channels]
        owner = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
        scalars = torch.arange(site.sensors.size)
        felt = torch.cat([scalars[:0], *(scalars[site.sensors[name]] for name in config.beside)])
        self.register_buffer("_felt", felt, persistent=False)
        self.register_buffer("_owner", owner[felt], persistent=False)
        depth, height, width = site.sensors.channels[self._camera].shape
        if height % config.patch or width % config.patch:
            raise ValueError(f"patch {config.patch} does not divide {height}x{width} pixels")
        self._where = site.sensors[site.sensors.names[self._camera]]
        self._shape = (depth, height, width)
        self._augment = Augment(config.augment)
        self.frames = Frames(config, height, width)
        told = depth * config.features + len(felt)
        self.linear = nn.Linear(told, site.latent, bias=False)
        self.network = nn.Sequential(
            nn.Linear(told, config.width),
            nn.SiLU(),
            nn.Linear(config.width, site.latent),
        )
        self.register_buffer("mean", torch.zeros(height, width))
        self.register_buffer("scale", torch.ones(()))
        if len(felt):
            self.register_buffer("centre", torch.zeros(len(felt)))
            self.register_buffer("extent", torch.ones(len(felt)))

    def ports(self) -> Ports:
        """Insist on the body's sensor layout and promise a latent of the site's size."""
        sensors = self.site.sensors
        return Ports(
            axes={"O": sensors.size, "S": len(sensors.channels), "Z": self.site.latent},
            fields={(Observation, "values"): Spec(("B", "O"), layout=sensors)},
        )

    def fit_normaliser(self, values: Tensor) -> None:
        """Take each pixel's mean, and one deviation for all, of sensor values [..., O]."""
        frames = self._frames(values).flatten(0, -3)
        self.mean.copy_(frames.mean(dim=0))
        self.scale.copy_((frames - self.mean).square().mean().sqrt().clamp(min=EPSILON))
        if len(self._felt):
            felt = values[..., self._felt].flatten(0, -2)
            deviation = felt.std(dim=0)
            self.centre.copy_(felt.mean(dim=0))
            self.extent.copy_(deviation.where(deviation > EPSILON, torch.ones_like(deviation)))

    def augment(self, values: Tensor, seed: int) -> Tensor:
        """Return sensor values [..., O] as training may see them: a function of `seed`."""
        if not self._augment.active:
            return values
        frames = self._frames(values)
        changed = values.clone()
        changed[..., self._where] = self._augment(frames, seed).flatten(-3)
        return changed

    def encode(self, values: Tensor) -> Tensor:
        """Return latents [..., Z] of packed sensor values [..., O]; differentiable."""
        return self.embed(self._frames(values), self._own(values))

    def reset(self, batch: int) -> None:
        """Nothing to forget: the frames carry their own past."""

    @torch.no_grad()
    def tick(self, inbox: Inbox) -> Percept:
        """Return the percept of this tick's frames and the surprise of the last forecast."""
        observation, attention = inbox[Observation], inbox[Directive].attention
        looked = attention[:, self._camera]
        valid = observation.valid[:, self._camera] & (looked > 0)
        share = (valid * looked).view(-1, 1, 1, 1)
        frames = self._frames(observation.values)
        known = observation.valid[:, self._owner] & (attention[:, self._owner] > 0)
        felt = (self._own(observation.values) * attention[:, self._owner]).where(
            known, torch.zeros(())
        )
        latent = self.embed(torch.lerp(self.mean.expand_as(frames), frames, share), felt)
        missing = (~valid).to(latent.dtype) + (~known).sum(dim=1)
        return percept(latent, missing, inbox.last(Forecast))

    def embed(self, frames: Tensor, felt: Tensor) -> Tensor:
        """Return latents [..., Z] of frames [..., D S S] as the camera gives them.

        `felt` [..., n] are the scalars beside it, over their deviations.
        """
        seen = self._seen(frames)
        moved = seen.diff(dim=-2)
        shown = torch.cat((seen[..., -1:, :], moved), dim=-2).flatten(-2)
        told = torch.cat((shown, felt), dim=-1)
        latents: Tensor = self.linear(told) + self.network(told)
        return latents

    def _frames(self, values: Tensor) -> Tensor:
        """Return the camera's frames [..., D S S] of sensor values [..., O]."""
        return values[..., self._where].reshape(*values.shape[:-1], *self._shape)

    def _own(self, values: Tensor) -> Tensor:
        """Return the scalars beside the camera [..., n] of sensor values [..., O], normalised."""
        felt = values[..., self._felt]
        return (felt - self.centre) / self.extent if len(self._felt) else felt

    def _seen(self, frames: Tensor) -> Tensor:
        """Return the features [..., D F] of frames [..., D S S].

        Where the ticks of a window share frames [n L D S S], each is encoded once.
        """
        if frames.ndim == 5 and torch.equal(frames[:, 1:, :-1], frames[:, :-1, 1:]):
            film = torch.cat((frames[:, 0], frames[:, 1:, -1]), dim=1)
            features: Tensor = self.frames((film - self.mean) / self.scale)
            return features.unfold(1, frames.shape[2], 1).transpose(-1, -2)
        whole: Tensor = self.frames((frames - self.mean) / self.scale)
        return whole


class Frames(nn.Module):
    """What one frame shows: the same small map for every patch, then a network over all patches.

    Patches keep their places, unlike a pooled convolution's, so that a place can be read linearly.
    """

    def __init__(self, config: PixelsPerception.Config, height: int, width: int) -> None:
        """Build an untrained encoder for frames of `height` x `width` pixels."""
        super().__init__()
        self._patch = config.patch
        count = (height // config.patch) * (width // config.patch)
        self.patches = nn.Linear(config.patch**2, config.channels)
        self.network = nn.Sequential(
            nn.Linear(count * config.channels, config.width),
            nn.SiLU(),
            nn.Linear(config.width, config.features),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Return features [..., F] of frames [..., S S]."""
        p, (height, width) = self._patch, frames.shape[-2:]
        blocks = frames.reshape(*frames.shape[:-2], height // p, p, width // p, p)
        told = F.silu(self.patches(blocks.transpose(-2, -3).flatten(-2))).flatten(-3)
        features: Tensor = self.network(told)
        return features


def _camera(site: Site) -> int:
    """Return the index of the only image sensor. Raises ValueError if there is not one."""
    found = [i for i, c in enumerate(site.sensors.channels) if c.shape]
    if len(found) != 1:
        raise ValueError(f"expected one image sensor, came {len(found)}; use a world with a camera")
    return found[0]
