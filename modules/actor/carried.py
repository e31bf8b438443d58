"""Plans that go on as they are: the third and cheapest degree of thought, no thought at all.

Source: Gawthrop et al. (2011), intermittent control: act open loop until there is reason to look.
"""

from __future__ import annotations

import torch
from torch import Tensor

from agent.core.messages import Directive
from modules.actor.sampling import Pool
from modules.actor.search import FAN, Found


def carrying(held: Pool | None, directive: Directive) -> Tensor:
    """Say who goes on with the plan that is `held` [B C], unexamined, [B].

    Who is asked to `carry` on, in either mode, and has a plan of this horizon that was allowed and
    of finite energy when it was last looked at.
    """
    rows, carry = len(directive.goal), directive.carry
    shape = None if held is None else (len(held.actions), held.actions.shape[2])
    if carry is None or held is None or shape != (rows, directive.horizon):
        return torch.zeros(rows, dtype=torch.bool)
    sound = torch.isfinite(held.energy[:, 0]) & (held.violation[:, 0] <= 0)
    return carry & sound


def carried_on(held: Pool, rest: Tensor) -> Found:
    """Return plans a tick later, as what was found; nothing was tried, there is nothing beside."""
    best = later(held, rest)
    first = best.first(1).bare()
    none = first.without(torch.ones_like(first.energy, dtype=torch.bool))
    return Found(best, first, none, first.sample(FAN), 0)


def later(pool: Pool, rest: Tensor) -> Pool:
    """Return candidates a tick later, continued with the action `rest` [A], and not judged anew.

    What was imagined and billed moves up by a tick. The end, with what is priced there alone, stays
    the end; the tick that is new passes before it, and is taken to be like the one before. An
    energy changes by what that makes of the terms, as if by the mean over futures.
    """
    ticks = pool.actions.shape[2]
    moved = torch.arange(1, ticks + 1).clamp(max=ticks - 1)
    terms = pool.terms[..., torch.cat((moved[:-2], torch.arange(ticks)[-2:]))]
    return Pool(
        torch.cat((pool.actions[:, :, 1:], rest.expand_as(pool.actions[:, :, :1])), dim=2),
        pool.latents[..., moved, :],
        pool.energy + (terms - pool.terms).sum(dim=(2, 3)),
        pool.violation,
        terms,
        pool.guardrails[..., moved],
    )
