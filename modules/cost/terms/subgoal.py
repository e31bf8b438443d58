"""What the level above wants: to be where its plan's predicted states are, when they are.

Source: LeCun (2022) sec. 4.7: the predicted states of a level define the costs of the one below;
4.8: where a level foresees several futures, they are a distribution.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Directive, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings


class Subgoal:
    """How far every imagined step is from the sub-goal of its time, and from the goal without one.

    The goal is a place in the quantity that `site.goal` names; the sub-goal is where readouts say
    that the predicted state is. Of a level above that foresees several futures there are as many
    sub-goals, and it is the expected distance, or the largest, at every step.
    """

    class Config(Settings):
        """The term's name and `weight`; over what futures of the level above the distance is taken.

        `under: mean` is a bet on what is likely there; `worst` keeps ready for whatever comes.
        How this level's own futures count is the directive's attitude to risk, as for every term.
        Where it goes for the goal itself, what remains at the last step counts for `beyond` more:
        else a way that leads away at first were dearer than to wait.
        """

        name: str = "subgoal"
        weight: float = 1.0
        beyond: float = Field(default=0.0, ge=0)
        under: Literal["mean", "worst"] = "mean"

    kind: ClassVar[Literal["task"]] = "task"

    def __init__(self, config: Config, site: Site) -> None:
        """Aim at the site's goal. Raises ValueError if there is none."""
        self.name, self.weight, self._beyond = config.name, config.weight, config.beyond
        self._worst = config.under == "worst"
        if len(site.goal.channels) != 1:
            raise ValueError("expected a goal of one sensor, came none; name it in `goal`")
        self.quantity = site.goal.names[0]

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return the distance at every imagined step, [E B K H], in the goal's unit."""
        there = rollout.quantities[self.quantity]
        aim = directive.goal[:, None, None] if directive.foreseen is None else directive.foreseen
        wanted = torch.arange(there.shape[3]).clamp(max=aim.shape[2] - 1)
        futures = aim[:, :, wanted].movedim(1, 0)[:, :, None]
        apart = torch.stack([torch.linalg.vector_norm(there - one, dim=-1) for one in futures])
        distance = apart.amax(dim=0) if self._worst else apart.mean(dim=0)
        if aim.shape[2] > 1 or not self._beyond:
            return distance
        later = torch.zeros(there.shape[3], dtype=distance.dtype)
        later[-1] = self._beyond
        return distance * (1.0 + later)
