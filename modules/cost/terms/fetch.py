"""Task term: an errand first, then to a thing."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


class Fetch:
    """The way still to go, as the crow flies: to the goal, and from there to a thing.

    The goal is done once the quantity has come within `near` of it, in what was lived
    (`directive.stage`, which the configurator `tracking` keeps) or in what is imagined. Where the
    thing is, nobody tells: it is read out of the latent, seen, remembered or mistaken.
    Source: sub-goals, LeCun (2022) sec. 4.6.
    """

    class Config(Settings):
        """`quantity` is to come to the goal and then to `thing`: readouts in one unit."""

        name: str = "fetch"
        quantity: str
        thing: str
        near: float = Field(default=0.1, gt=0)
        weight: float = Field(default=1.0, ge=0)

    kind = "task"

    def __init__(self, config: Config, site: Site) -> None:
        """Bring `config.quantity` to the goal and to `config.thing`.

        Raises ValueError if goal, quantity and thing are not of one size.
        """
        self.name, self.weight, self.config = config.name, config.weight, config
        self.quantities = config.quantity, config.thing
        sizes = {c.size for c in site.sensors.channels if c.name in self.quantities}
        if sizes and sizes != {site.goal.size}:
            raise ValueError(
                f"expected {config.quantity} and {config.thing} of {site.goal.size} numbers, as"
                f" the goal has, came {sorted(sizes)}"
            )

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return the way to go at every imagined step, [E B K H]."""
        goal = directive.goal[:, None, None, :]
        here, thing = (rollout.quantities[name] for name in self.quantities)
        outward = torch.linalg.vector_norm(here - goal, dim=-1)
        whole = outward + torch.linalg.vector_norm(thing - goal, dim=-1)
        back = torch.linalg.vector_norm(here - thing, dim=-1)
        return torch.where(self._done(outward, directive), back, whole)

    def stage(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return whether the errand is done, as 0 or 1, [B], in what is seen (E = K = H = 1)."""
        here, goal = rollout.quantities[self.config.quantity], directive.goal[:, None, None, :]
        outward = torch.linalg.vector_norm(here - goal, dim=-1)
        return self._done(outward, directive)[0, :, 0, 0].long()

    def _done(self, outward: Tensor, directive: Directive) -> Tensor:
        """Return whether the errand is done by each step, [E B K H], of distances to the goal."""
        close = outward <= self.config.near
        if directive.stage is not None:
            close = close | (directive.stage > 0)[:, None, None]
        return close.cummax(dim=-1).values
