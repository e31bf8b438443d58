"""What goes out where at least one plan may not go out as it is, decided agent by agent.

The second half of the gate's ruling. It keeps nothing from tick to tick.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agent.core.guardrails import Guardrails
from agent.core.messages import Ruling, Verdict
from agent.core.objective import GuardedObjective
from agent.core.repair import CLAMPED, LESSER, WORDS, candidates, choose, reasons

ALLOWED, REPAIRED, VETOED = (int(r) for r in Ruling)


@dataclass(frozen=True, slots=True)
class Body:
    """What can be sent at all: commands [A] from `low` to `high`, the declared `fallback` too."""

    low: Tensor
    high: Tensor
    fallback: Tensor


def mend(
    state: Tensor,
    plan: Tensor,
    refusals: tuple[str, ...],
    values: Tensor | None,
    kept: Tensor | None,
    body: Body,
    objective: GuardedObjective,
) -> tuple[Verdict, Tensor]:
    """Return the verdict on `plan` [B H A] from `state` [B Z], and what goes out as a plan.

    `refusals` are the actor's own reasons against its plan, one for each agent (empty: none);
    `values` [B R H] the guardrails' of plans that are known to be finite and within limits; `kept`
    what went out as a plan at the last tick.
    """
    batch, rails = state.shape[0], objective.guardrails
    refusals = refusals or ("",) * batch
    sane = torch.isfinite(plan).all(dim=2).all(dim=1) & torch.isfinite(state).all(dim=1)
    sane &= torch.tensor([not r for r in refusals])
    clamped = torch.minimum(torch.maximum(plan, body.low), body.high)
    clamped = torch.where(sane[:, None, None], clamped, body.fallback)
    state = torch.where(sane[:, None], state, torch.zeros_like(state))
    bent = (clamped != plan).any(dim=2).any(dim=1)
    if values is None:
        values = objective.guard(state, clamped[:, None])[:, 0]
    worst, which = worst_of(values)
    worst = torch.where(sane, worst, torch.inf)
    allowed = sane & (worst <= 0.0)
    chosen, ahead, done = clamped, values[:, :, 0], [CLAMPED] * batch
    ruling = torch.where(allowed, torch.where(bent, REPAIRED, ALLOWED), VETOED)
    if bool((sane & ~allowed).any()):
        goes, instead, first, words = _repairs(state, clamped, values, kept, body, objective)
        goes &= sane & ~allowed
        chosen = torch.where(goes[:, None, None], instead, chosen)
        ahead = torch.where(goes[:, None], first, ahead)
        ruling[goes] = REPAIRED
        done = [w if g else CLAMPED for w, g in zip(words, goes.tolist(), strict=True)]
    vetoed = ruling == VETOED
    chosen = torch.where(vetoed[:, None, None], body.fallback, chosen)
    ahead = torch.where(vetoed[:, None], torch.inf, ahead)
    blamed = torch.where(sane & (worst > 0.0), which, torch.full_like(which, -1))
    told: tuple[str, ...] = ()
    if bool(ruling.any()):
        named = [rails.names[g] if g >= 0 else "" for g in blamed.tolist()]
        told = reasons(ruling.tolist(), named, done, sane.tolist(), refusals)
    margin = margin_of(rails, which, values)
    return Verdict(ruling, blamed, worst, margin, ahead, told), chosen


def _repairs(
    state: Tensor,
    plan: Tensor,
    values: Tensor,
    kept: Tensor | None,
    body: Body,
    objective: GuardedObjective,
) -> tuple[Tensor, Tensor, Tensor, list[str]]:
    """Return of each agent whether its best repair may go out, its commands, values and words.

    [B], [B H A], [B R] of the first step. All candidates are imagined together: the one call that
    a repair costs.
    """
    if kept is not None and kept.shape != plan.shape:
        kept = None
    found = candidates(plan, kept, body.fallback)
    others = objective.guard(state, found.actions[:, 1:])
    every = torch.cat([values[:, None], others], dim=1)
    choice = choose(found, every, body.high - body.low)
    rows, taken = torch.arange(len(plan)), torch.from_numpy(choice.index)
    words = [
        LESSER if lesser else WORDS.get(found.kinds[index], CLAMPED)
        for index, lesser in zip(choice.index, choice.lesser, strict=True)
    ]
    goes = torch.from_numpy(choice.feasible | choice.lesser)
    return goes, found.actions[rows, taken], every[rows, taken, :, 0], words


def worst_of(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the worst of values [B R H] over guardrails and steps [B], and whose it is [B]."""
    if values.shape[1] == 0:
        none = values.new_full((values.shape[0],), -torch.inf)
        return none, torch.full_like(none, -1, dtype=torch.int64)
    each = values.detach().numpy().max(axis=2)  # for a few numbers faster than torch
    return torch.from_numpy(each.max(axis=1)), torch.from_numpy(each.argmax(axis=1))


def margin_of(rails: Guardrails, which: Tensor, values: Tensor) -> Tensor:
    """Return the margin [B] that the worst of values [B R H], guardrail `which` [B], includes."""
    if not len(rails):
        return torch.zeros(len(which))
    step = values.amax(dim=1).argmax(dim=1)
    return rails.margins(values.shape[-1])[which, step]
