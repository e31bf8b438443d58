"""Intrinsic term: discomfort of jerky motion, and of joints near their limits."""

from __future__ import annotations

import math

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from agent.core.hardwired import hardwired
from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


@hardwired
class Comfort:
    """Jerk, squared, in units of `jerk`, plus how deep joints are in the last part of their range.

    Jerk is the second difference of joint speeds over the tick squared; an imagined step that has
    not two others before it has none. A joint costs nothing up to the share `ease` of its limit, 1
    at the limit, and grows with the square between. Both are means over joints.
    Source: intrinsic cost, LeCun (2022) sec. 3.2; jerk as what smooth motion minimises: Flash,
    Hogan (1985).
    """

    class Config(Settings):
        """`quantity` are joint angles (rad) with their `limit`s; `speed` joint speeds (rad/s).

        `jerk_rad_s3` is the jerk of a joint that costs 1.
        """

        name: str = "comfort"
        quantity: str = "joint_angle"
        speed: str = "joint_speed"
        limit: list[float] = Field(default=[math.pi], min_length=1)
        ease: float = Field(default=0.8, ge=0, lt=1)
        jerk_rad_s3: float = Field(default=1000.0, gt=0)
        weight: float = Field(default=0.1, ge=0)

    kind = "intrinsic"

    def __init__(self, config: Config, site: Site) -> None:
        """Feel jerk and stretch. Raises ValueError for a limit not above 0, or an unknown speed."""
        if min(config.limit) <= 0:
            raise ValueError(f"expected limits above 0, came {config.limit}")
        if config.speed not in site.sensors.names:
            raise ValueError(
                f"expected `speed` to name a sensor ({', '.join(site.sensors.names)}), came"
                f" {config.speed}"
            )
        self.name, self.weight, self.quantity = config.name, config.weight, config.quantity
        self._speed, self._limit, self._ease = config.speed, tuple(config.limit), config.ease
        self._scale = site.rate_hz**2 / config.jerk_rad_s3

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return the discomfort of every imagined step, [E B K H]."""
        speed, angle = rollout.quantities[self._speed], rollout.quantities[self.quantity]
        jerk = F.pad(speed.diff(n=2, dim=3), (0, 0, 2, 0))[:, :, :, -speed.shape[3] :]
        share = angle.abs() / angle.new_tensor(self._limit)
        stretch = (share - self._ease).clamp_min(0.0) / (1.0 - self._ease)
        felt: Tensor = (jerk * self._scale).square().mean(dim=-1)
        return felt + stretch.square().mean(dim=-1)
