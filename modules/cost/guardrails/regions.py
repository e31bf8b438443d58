"""Boxes and balls: what the guardrails about regions share."""

from __future__ import annotations

import math
from operator import sub

import torch
from pydantic import Field
from torch import Tensor

from agent.core.errors import InputError
from agent.core.protocols import Site
from agent.core.settings import Settings


class Box(Settings):
    """The corners of a box, a number for each component; null leaves a side open."""

    min: list[float | None]
    max: list[float | None]


class Ball(Settings):
    """A ball (a disc, an interval) of all points within `radius` of `centre`."""

    centre: list[float]
    radius: float = Field(gt=0)


class Region:
    """A box or a ball in the space of a vector quantity, such as a fingertip's position."""

    class Config(Settings):
        """A `box` or a `ball` in the unit of `quantity`.

        `tolerance` is the readout's held-out 90 % error that the region can stand: half its width,
        if not given.
        """

        name: str
        quantity: str
        box: Box | None = None
        ball: Ball | None = None
        tolerance: float | None = Field(default=None, gt=0)

    def __init__(self, config: Config, site: Site) -> None:
        """Hold the region. Raises InputError if it is none, or does not fit the quantity."""
        self.name, self.quantity = config.name, config.quantity
        box, ball = config.box, config.ball
        if (box is None) == (ball is None):
            came = "neither" if box is None else "both"
            raise InputError(f"guardrail {self.name}: expected a box or a ball, came {came}")
        known = config.quantity in site.sensors.names
        self.unit = site.sensors.unit(config.quantity)
        self._low = () if box is None else _side(box.min, -math.inf)
        self._high = () if box is None else _side(box.max, math.inf)
        self._centre, self._radius = (
            ((), 0.0) if ball is None else (tuple(ball.centre), ball.radius)
        )
        self._fit(site.sensors.channel(config.quantity).size if known else None)
        half = self._radius if box is None else min(map(sub, self._high, self._low)) / 2
        self.room = half if config.tolerance is None else config.tolerance
        place = f"ball {list(self._centre)} of radius {self._radius:g}"
        if box is not None:
            place = f"box {list(self._low)} to {list(self._high)}"
        self.where = f"{place} {self.unit}".strip()

    def _fit(self, size: int | None) -> None:
        """Raise InputError if the region is empty, or not of the quantity's `size`, if known."""
        given = {"min": self._low, "max": self._high, "centre": self._centre}
        size = size or max(map(len, given.values()))
        for what, numbers in given.items():
            if len(numbers) != size and (what == "centre") == bool(self._centre):
                raise InputError(
                    f"guardrail {self.name}: expected {what} of {size} numbers, one for each"
                    f" component of {self.quantity}, came {len(numbers)}: {list(numbers)}"
                )
        for low, high in zip(self._low, self._high, strict=True):
            if low > high:
                raise InputError(
                    f"guardrail {self.name}: expected a region with min below max, came min {low:g}"
                    f" above max {high:g}; swap them"
                )

    def beyond(self, place: Tensor) -> Tensor:
        """Return how far places [..., n] lie outside the region, [...]; negative inside.

        Of a box, along the component that lies farthest out: never more than the true distance.
        """
        if self._centre:
            gap = place - place.new_tensor(self._centre)
            away: Tensor = torch.linalg.vector_norm(gap, dim=-1)
            return away - self._radius
        low, high = place.new_tensor(self._low), place.new_tensor(self._high)
        return torch.maximum(low - place, place - high).amax(dim=-1)


def _side(bounds: list[float | None], otherwise: float) -> tuple[float, ...]:
    return tuple(otherwise if bound is None else bound for bound in bounds)
