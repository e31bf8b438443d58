"""Intrinsic term: dislike of what the model does not know."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from agent.core.disagreement import disagreement
from agent.core.hardwired import hardwired
from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


@hardwired
class Uncertainty:
    """How far the model's networks disagree about a step, over what is usual: 1 is usual.

    It keeps plans where the model is sure of itself. Draws of a latent variable do not count: what
    nobody can know is the business of the attitude to risk. A price, not a limit: that is `known`.
    Source: LeCun (2022) sec. 3.2, intrinsic cost; Chua et al. (2018), PETS.
    """

    class Config(Settings):
        """`usual` disagreement, in latent deviations, costs 1; `bench risk` shows what is usual."""

        name: str = "uncertainty"
        usual: float = Field(default=0.1, gt=0)
        weight: float = Field(default=0.1, ge=0)

    kind = "intrinsic"

    def __init__(self, config: Config, site: Site) -> None:
        """Price disagreement in units of `config.usual`."""
        self.name, self.weight, self._usual = config.name, config.weight, config.usual

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return the disagreement of every imagined step, the same for all futures [1 B K H].

        Raises InputError if the world model does not say how many networks it has.
        """
        return disagreement(rollout)[None] / self._usual
