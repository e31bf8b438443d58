"""What the level below can do in one step of a level above: tried out there, said in its terms.

Source: LeCun (2022) sec. 4.7: an action of a higher level is a condition that the level below must
be able to meet; macro-actions as codes of commands: Zhang et al. (2026), HWM.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agent.core.messages import Directive
from agent.core.protocols import Above, Site
from modules.actor.noise import Noise

REMEMBERED = 0.75
"""Share of a step over which the noise of what is tried below has a memory."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Macro-actions [P A] that the level below tried in imagination; the first is rest.

    What it did in each is `done` [P n Ab]. Where it foresees them to end, `ends` [B P G] in the
    goal's quantity (None where that is not read out). Whether its guardrails hold all the while,
    or where not even rest would keep them, break no more than that, `allowed` [B P].
    """

    actions: Tensor
    done: Tensor
    ends: Tensor | None
    allowed: Tensor

    def of(self, actions: Tensor) -> Tensor:
        """Return what is done below [B n Ab] in macro-actions [B A]; if not of these, in rest."""
        index = (actions[:, None] == self.actions).all(dim=-1).int().argmax(dim=1)
        return self.done[index]


def offered(
    place: Above,
    below: Site,
    latent: Tensor,
    directive: Directive,
    shares: Tensor,
    generator: torch.Generator,
) -> Offer:
    """Return what `below` can do in a step of `place`, from its latents [B Z] as they are now.

    So many sequences of its actions are drawn as there are `shares` [P], each of a deviation of
    that share of half its actuators' range. `directive` is one that it can be judged by.
    """
    assert below.objective is not None, "levels are judged before they are planned at"
    low, high = below.actuators.bounds()
    centre, half = (low + high) / 2, (high - low) / 2
    stride = place.level.stride
    noise = Noise(correlation=max(1.0, REMEMBERED * stride))
    drawn = noise.draw(len(shares), stride, len(low), generator)
    done = (centre + shares[:, None, None] * half * drawn).clamp(low, high)
    rollout, bill = below.objective(latent, done.expand(len(latent), *done.shape), directive)
    there = rollout.quantities.get(next(iter(below.goal.names), ""))
    return Offer(
        place.level.compress(done),
        done,
        None if there is None else there.mean(dim=0)[:, :, -1],
        torch.isfinite(bill.energy) & (bill.violation <= bill.violation[:, :1].clamp(min=0.0)),
    )
