"""What may go out in place of a plan that breaks a guardrail: a handful, imagined all at once.

Source: Wabersich, Zeilinger (2021), "A predictive safety filter for learning-based control of
constrained nonlinear dynamical systems": change the next command as little as possible, such that
a way on is known that keeps every constraint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, auto

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agent.core.messages import Ruling

CUTS = (0.75, 0.5, 0.25, 0.0)
"""Shares of the plan that are followed before the fallback is held; one command at least."""
BENDS = (0.25, 0.5, 0.75)
"""How far commands are moved towards those of a plan that is thought safer."""
RAMPS = (1 / 3, 2 / 3)
"""Shares of the horizon that a soft braking manoeuvre takes."""


class Repair(IntEnum):
    """What was done to a plan, or in its place, in the order of preference."""

    NONE = auto()
    CUT = auto()
    BENT = auto()
    KEPT = auto()
    BRAKE = auto()


TIERS = ((Repair.NONE, Repair.CUT, Repair.BENT), (Repair.KEPT,), (Repair.BRAKE,))
"""What is made of the plan competes for the smallest change; the others stand behind."""
TIER = {kind: tier for tier, kinds in enumerate(TIERS) for kind in kinds}
WORDS = {
    Repair.CUT: "cut short",
    Repair.BENT: "bent",
    Repair.KEPT: "kept plan",
    Repair.BRAKE: "braking",
}
LESSER = "less than the fallback would"
CLAMPED = "clamped"
FALLBACK = "fallback"
REPAIRS = (CLAMPED, *WORDS.values(), LESSER)
"""Every kind of repair by the words that end a verdict's reason."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Plans that may go out, [B K H A], and what each is; the first is the actor's own plan."""

    actions: Tensor
    kinds: tuple[Repair, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Of each agent: the index of its candidate, whether it is feasible, whether it may go out.

    What may go out without being feasible breaks guardrails less than holding the fallback would.
    """

    index: NDArray[np.int64]
    feasible: NDArray[np.bool_]
    lesser: NDArray[np.bool_]


def candidates(plan: Tensor, kept: Tensor | None, fallback: Tensor) -> Candidates:
    """Return what may go out in place of `plan` [B H A], itself first.

    `kept` is what went out as a plan at the last tick (None: nothing of that length), `fallback`
    [A] the declared command. The second candidate holds the fallback all along; other braking
    manoeuvres let the last command fade into it.
    """
    horizon = plan.shape[1]
    held = fallback.expand_as(plan)
    found = [(Repair.NONE, plan), (Repair.BRAKE, held)]
    for length in dict.fromkeys(max(1, round(share * horizon)) for share in CUTS):
        found.append((Repair.CUT, torch.cat([plan[:, :length], held[:, length:]], dim=1)))
    anchors = [held]
    if kept is not None:
        backup = torch.cat([kept[:, 1:], held[:, :1]], dim=1)
        anchors.append(backup)
        found.append((Repair.KEPT, backup))
        ticks = torch.arange(1, horizon + 1)[:, None]
        for share in RAMPS:
            left = (1.0 - ticks / max(2.0, share * horizon)).clamp(min=0.0)
            found.append((Repair.BRAKE, held + left * (kept[:, :1] - held)))
    found += [(Repair.BENT, plan + share * (a - plan)) for a in anchors for share in BENDS]
    return Candidates(torch.stack([a for _, a in found], dim=1), tuple(k for k, _ in found))


def choose(given: Candidates, values: Tensor, span: Tensor) -> Choice:
    """Return the best candidate of each agent under guardrail values [B K R H], margin included.

    Feasible ones first; of these the plan, then what is made of it, then the kept plan, then
    braking; within each, what changes the next command least (and of equal ones the whole plan
    least) in shares of the actuators' `span` [A]. Where none is feasible, the one whose
    violation is smallest.
    """
    moved = ((given.actions - given.actions[:, :1]) / span).abs()
    first, whole = moved[:, :, 0].amax(dim=-1).numpy(), moved.mean(dim=(2, 3)).numpy()
    tier = np.broadcast_to([TIER[k] for k in given.kinds], first.shape)
    flat = values.flatten(2).numpy()
    feasible = np.asarray((flat <= 0.0).all(axis=2))
    best = np.lexsort((whole, first, tier, ~feasible))[:, 0]
    total = flat.clip(min=0.0).sum(axis=2)
    least, rows = total.argmin(axis=1), np.arange(len(flat))
    found = feasible[rows, best]
    held = total[:, given.kinds.index(Repair.BRAKE)]
    return Choice(np.where(found, best, least), found, ~found & (total[rows, least] < held))


def reasons(
    ruling: Sequence[int],
    blamed: Sequence[str],
    done: Sequence[str],
    sane: Sequence[bool],
    refused: Sequence[str],
) -> tuple[str, ...]:
    """Return why each plan did not go out as it was ("": it did), and what went out instead.

    `blamed` names the guardrail that the plan breaks ("": none), `done` the repair. A plan that is
    not `sane` could not be judged at all, be it that it was `refused` before ("": it was not).
    """
    told = []
    for ruled, name, repair, ok, why in zip(ruling, blamed, done, sane, refused, strict=True):
        fault = "" if ok else why or "plan or percept not finite"
        if ruled == Ruling.ALLOWED:
            told.append("")
        elif fault or name:
            told.append(f"{fault or name}; {repair if ruled == Ruling.REPAIRED else FALLBACK}")
        else:
            told.append(f"outside actuator limits; {repair}")
    return tuple(told)
