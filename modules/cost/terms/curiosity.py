"""Intrinsic term: curiosity, the boredom with what the model already knows."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from agent.core.disagreement import disagreement
from agent.core.hardwired import hardwired
from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


@hardwired
class Curiosity:
    """Boredom: 1 where the model's networks agree, 1/2 where they disagree by `usual`, towards 0.

    Minus what disagreement is worth, D / (D + usual), plus 1, so that it is no less than 0; bounded
    on both sides, so that no curiosity outweighs every pain. The opposite of `uncertainty`; draws
    of a latent variable do not count: what nobody can know is not worth finding out.
    Source: intrinsic drive, LeCun (2022) sec. 3.2; Pathak et al. (2019), exploration via
    disagreement; Sekar et al. (2020), Plan2Explore.
    """

    class Config(Settings):
        """`usual` disagreement, in latent deviations; `bench known` shows what is usual."""

        name: str = "curiosity"
        usual: float = Field(default=0.1, gt=0)
        weight: float = Field(default=0.1, ge=0)

    kind = "intrinsic"

    def __init__(self, config: Config, site: Site) -> None:
        """Look for disagreement in units of `config.usual`."""
        self.name, self.weight, self._usual = config.name, config.weight, config.usual

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return the boredom of every imagined step, the same for all futures [1 B K H], in (0, 1].

        Raises InputError if the world model does not say how many networks it has.
        """
        return self._usual / (self._usual + disagreement(rollout)[None])
