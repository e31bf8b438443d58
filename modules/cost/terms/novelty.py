"""Intrinsic term: novelty, the boredom with where one has just been."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from agent.core.hardwired import hardwired
from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


@hardwired
class Novelty:
    """Boredom: 1 at a remembered state, 1/2 at distance `near` from the nearest one, towards 0.

    States are remembered as latents, not counted, by the short-term memory; what it recollected
    last tick is in `directive.past`, put there by the configurator `tracking`. Without memories
    everything is new, and costs nothing.
    Source: intrinsic drive, LeCun (2022) sec. 3.2; novelty as distance to an episodic memory:
    Savinov et al. (2019), Badia et al. (2020), Never Give Up, sec. 2.
    """

    class Config(Settings):
        """`near` is an rms distance per dimension, in latent deviations."""

        name: str = "novelty"
        near: float = Field(default=0.3, gt=0)
        weight: float = Field(default=0.1, ge=0)

    kind = "intrinsic"

    def __init__(self, config: Config, site: Site) -> None:
        """Measure latents of `site`'s size."""
        self.name, self.weight = config.name, config.weight
        self._near = config.near * site.latent**0.5

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return the boredom of every imagined step, [E B K H], in [0, 1]."""
        past, latents = directive.past, rollout.latents
        if past is None:
            return latents.new_zeros(latents.shape[:-1])
        e, b, k, h, z = latents.shape
        flat = latents.transpose(0, 1).reshape(b, -1, z)
        exact = "donot_use_mm_for_euclid_dist"
        gaps = torch.cdist(flat, past.latents.to(flat.dtype), compute_mode=exact)
        nearest = gaps.masked_fill(~past.known[:, None], torch.inf).amin(dim=-1)
        known: Tensor = self._near / (self._near + nearest)
        return known.view(b, e, k, h).transpose(0, 1)
