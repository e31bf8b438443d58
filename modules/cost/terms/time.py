"""Task term: every tick until the goal is reached."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


class Time:
    """What a tick costs until the goal is reached: 1 far away, 1/2 at distance `near`, then 0.

    Once a plan has been there, later ticks cost no more than that one did, wherever they lead: it
    prices arriving late, not leaving again. To stay, add `distance` or `to_go`.
    Source: minimum-time cost, Bryson & Ho (1975) sec. 3.9, smoothed: d^2 / (d^2 + near^2).
    """

    class Config(Settings):
        """`quantity` is a readout with as many components as the goal, `near` in its unit."""

        name: str = "time"
        quantity: str
        near: float = Field(default=0.03, gt=0)
        weight: float = Field(default=1.0, ge=0)

    kind = "task"

    def __init__(self, config: Config, site: Site) -> None:
        """Watch `config.quantity` arrive."""
        self.name, self.weight, self.quantity = config.name, config.weight, config.quantity
        self._near = config.near**2

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return what each imagined tick costs, [E B K H], in [0, 1]: falling along a plan."""
        error = rollout.quantities[self.quantity] - directive.goal[:, None, None, :]
        squared = error.square().sum(dim=-1)
        return (squared / (squared + self._near)).cummin(dim=-1).values
