"""Task term: one place after another."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


class Waypoints:
    """The way still to go through a sequence of places, as the crow flies, in their unit.

    A place is done once the quantity has come within `near` of it, in this order, in what was
    lived (`directive.stage`, which the configurator `tracking` keeps) or in what is imagined; the
    last is held, so it never is. So a plan may finish one place and head for the next.
    Source: sub-goals, LeCun (2022) sec. 4.6; a sequence with completion as in a task automaton,
    Icarte et al. (2018).
    """

    class Config(Settings):
        """`points` are places of `quantity`, a readout; `near` is in its unit."""

        name: str = "waypoints"
        quantity: str
        points: list[list[float]] = Field(min_length=1)
        near: float = Field(default=0.05, gt=0)
        weight: float = Field(default=1.0, ge=0)

    kind = "task"

    def __init__(self, config: Config, site: Site) -> None:
        """Visit `config.points`. Raises ValueError if they are not places of the quantity."""
        self.name, self.weight, self.quantity = config.name, config.weight, config.quantity
        size = next((c.size for c in site.sensors.channels if c.name == config.quantity), None)
        if size is not None and {len(p) for p in config.points} != {size}:
            raise ValueError(
                f"expected points of {size} numbers, as {config.quantity} has, came {config.points}"
            )
        self.subgoals = tuple(
            f"{config.quantity} at ({', '.join(f'{x:g}' for x in p)})" for p in config.points
        )
        self._points, self._near = torch.tensor(config.points), config.near
        self._legs = (self._points[1:] - self._points[:-1]).norm(dim=-1).tolist()

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return the way to go at every imagined step, [E B K H]."""
        gaps = self._gaps(rollout)
        arrived = self._arrived(gaps, directive)
        left = torch.where(arrived[0], 0.0, gaps[0]) if len(arrived) else gaps[0]
        for index, leg in enumerate(self._legs):
            going = torch.where(arrived[index], gaps[index + 1], leg)
            last = index + 1 == len(arrived)
            left = left + (going if last else torch.where(arrived[index + 1], 0.0, going))
        return left

    def stage(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return how many places are done, [B], in what is seen (E = K = H = 1)."""
        done = self._arrived(self._gaps(rollout), directive)
        return done.sum(dim=0)[0, :, 0, 0]

    def _gaps(self, rollout: Rollout) -> Tensor:
        """Return distances to all points, [n E B K H]."""
        there = rollout.quantities[self.quantity]
        points = self._points.to(there.dtype)
        gaps: Tensor = torch.linalg.vector_norm(
            there - points.view(len(points), 1, 1, 1, 1, -1), dim=-1
        )
        return gaps

    def _arrived(self, gaps: Tensor, directive: Directive) -> Tensor:
        """Return which points but the last are done by which step, [n-1 E B K H]."""
        found = torch.empty_like(gaps[:-1], dtype=torch.bool)
        done = directive.stage
        for index in range(len(found)):
            close = gaps[index] <= self._near
            if index:
                close = close & found[index - 1]
            if done is not None:
                close = close | (done > index)[:, None, None]
            found[index] = close.cummax(dim=-1).values
        return found
