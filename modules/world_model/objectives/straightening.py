"""Temporal straightening: latents that move on straight lines, which are easy to plan along."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from agent.core.protocols import Site
from agent.core.settings import Settings
from modules.world_model.views import Views


class Straightening:
    """One minus the cosine between successive changes of the latent: 0 straight on, 2 reversed.

    Steps at which the latent moves less than `epsilon` have no direction and are left out; windows
    of a single step cost nothing. Source: Henaff, Goris, Simoncelli (2019), on the perceptual
    straightening of natural videos, eq. 1: the curvature whose cosine this is.
    """

    class Config(Settings):
        """Its `weight`, and the change of the latent below which there is no direction."""

        weight: float = Field(default=0.1, gt=0)
        epsilon: float = Field(default=1e-3, gt=0)

    predicts: ClassVar[bool] = False

    def __init__(self, config: Config, site: Site) -> None:
        """Keep the settings."""
        self.config = config

    def __call__(self, views: Views) -> tuple[Tensor, dict[str, float]]:
        """Return the mean over pairs of steps that both move."""
        velocity = views.latents.diff(dim=1)
        speed = velocity.norm(dim=-1)
        ways = velocity / speed.clamp(min=self.config.epsilon).unsqueeze(-1)
        turns = 1 - (ways[:, 1:] * ways[:, :-1]).sum(dim=-1)
        moving = speed > self.config.epsilon
        both = (moving[:, 1:] & moving[:, :-1]).to(turns)
        penalty = (turns * both).sum() / both.sum().clamp(min=1)
        return penalty, {"straightening": float(penalty.detach())}
