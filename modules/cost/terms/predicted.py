"""Task term: an energy that others define, as the latent foretells it."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from agent.core.errors import InputError
from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings

TOLERANCE = 1e-4
"""So far below the best is rounding."""


class Predicted:
    """How much a read-out energy, such as minus a benchmark's reward, is above the best there is.

    A sensor shows it in training alone; readouts learn it by regression, from latents that were
    encoded and from imagined ones, and the agent plans on what they say.
    Source: LeCun (2022) sec. 3.2, a trainable cost read from the state of the world.
    """

    class Config(Settings):
        """`quantity` is a readout, `best` its least value; none: the sensor's lower limit, or 0.

        What is below `best` is no better: where a benchmark pays more than 0 and no limit is known,
        `best` has to be told, minus the most it pays in a tick.

        As a `drive` it counts as intrinsic, so that the critic anticipates it: what a benchmark
        pays is then wanted for its own sake, and plans see beyond their horizon.
        """

        name: str = "predicted"
        quantity: str
        best: float | None = None
        weight: float = Field(default=1.0, ge=0)
        drive: bool = False

    kind = "task"

    def __init__(self, config: Config, site: Site) -> None:
        """Mind `config.quantity`."""
        self.name, self.weight, self.quantity = config.name, config.weight, config.quantity
        self.kind = "intrinsic" if config.drive else "task"
        limits = {c.name: c.low for c in site.sensors.scalars.channels}
        least = sum(limits.get(config.quantity) or (0.0,))
        self._best, self._told = least if config.best is None else config.best, config.best

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return what every imagined step costs above the best, [E B K H]."""
        above: Tensor = rollout.quantities[self.quantity].sum(dim=-1) - self._best
        return above.clamp_min(0.0)

    def compare(self, seen: Tensor) -> str:
        """Return what to know about energies [...] that were explored; "" if they are as expected.

        Raises InputError if some are below a `best` that nobody told: they would all count alike.
        """
        below = (seen < self._best - TOLERANCE).float().mean()
        if not below:
            return ""
        found = (
            f"term '{self.name}': expected {self.quantity} of {self._best:g} at least, came"
            f" {float(seen.min()):.3g}; {float(below):.1%} of explored ticks are below and count"
            f" alike; set its `best` to minus the most that is ever paid in a tick"
        )
        if self._told is None:
            raise InputError(found)
        return found
