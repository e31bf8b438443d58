"""Task term: how far an imagined state is from a goal that was shown."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from agent.core.errors import InputError
from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


class LatentDistance:
    """Rms distance, per dimension, of imagined latents to the latent of the goal that was shown.

    The goal is an observation, which perception encodes (`shown: true` in the config); it asks for
    the whole state that is seen there. In units in which latents deviate by about 1. Near in the
    latent is not near in ticks: `bench goals` compares it with a goal that is read out.
    Source: goal in representation space, LeCun (2022) sec. 4.8; image goals: Zhou et al. (2024).
    """

    class Config(Settings):
        """`weight` prices a distance of one deviation."""

        name: str = "latent_distance"
        weight: float = 1.0

    kind: ClassVar[str] = "task"
    shown: ClassVar[bool] = True
    """It needs goals that are shown."""

    def __init__(self, config: Config, site: Site) -> None:
        """Measure latents of `site`'s size."""
        self.name, self.weight, self._scale = config.name, config.weight, site.latent**-0.5

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return the distance at every imagined step, [E B K H].

        Raises InputError if the goal was told instead of shown.
        """
        if directive.latent is None:
            raise InputError(
                f"terms.{self.name}: expected a goal that was shown, came one that was told;"
                f" set `shown: true`, or use distance"
            )
        gap = rollout.latents - directive.latent[:, None, None]
        found: Tensor = torch.linalg.vector_norm(gap, dim=-1) * self._scale
        return found
