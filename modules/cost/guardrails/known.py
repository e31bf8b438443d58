"""Guardrail: do not plan into what you do not know."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from agent.core.disagreement import disagreement
from agent.core.messages import Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


class Known:
    """The model's networks agree about every imagined step: value = disagreement - limit <= 0.

    Disagreement is the error the model itself expects, per dimension of the latent, in which a
    deviation is about 1 (`agent.core.disagreement`); `bench risk` shows what is usual. The limit is
    absolute, with no margin to calibrate: no sensor ever shows how far networks disagree.
    Source: LeCun (2022) sec. 4.4 and 7, uncertainty of the model; Chua et al. (2018), PETS.
    """

    realised = False

    class Config(Settings):
        """`limit` in latent deviations: 0.1 allows an expected error of a tenth of one."""

        name: str = "known"
        limit: float = Field(gt=0)

    def __init__(self, config: Config, site: Site) -> None:
        """Hold disagreement below `config.limit`."""
        self.name, self.limit = config.name, config.limit
        self.unit, self.text = "", f"disagreement <= {self.limit:g}"

    def value(self, rollout: Rollout) -> Tensor:
        """Return disagreement - limit at every imagined step, the same for all futures [E B K H].

        Raises InputError if the world model does not say how many networks it has.
        """
        return (disagreement(rollout) - self.limit).expand(len(rollout.latents), -1, -1, -1)
