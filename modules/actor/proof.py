"""The first question a planner asks: is what it is given of any use? Asked when it is wired."""

from __future__ import annotations

import time

from torch import Tensor

from agent.core.errors import InputError
from agent.core.messages import Directive
from agent.core.protocols import Objective, Site
from modules.actor.search import Wave, judge

TRIES = 3
"""Times that the smallest question is timed; the shortest counts."""


def prove(
    objective: Objective,
    site: Site,
    latent: Tensor,
    plans: Tensor,
    directive: Directive,
    name: str,
    descends: bool,
) -> None:
    """Ask for the bills of `plans` [1 K H A] from `latent` [1 Z], the smallest question there is.

    Raises InputError, on behalf of the planner `name`, if the answer has the wrong shape, takes
    longer than `directive.budget_ms`, or has no gradients where the planner `descends`.
    """
    who, took_ms = f"actor ({name})", float("inf")
    for _ in range(TRIES if directive.budget_ms < float("inf") else 1):
        begin = time.perf_counter()
        _, bill = objective(latent, plans, directive)
        took_ms = min(took_ms, (time.perf_counter() - begin) * 1e3)
    batch, count, horizon, _ = plans.shape
    shapes: dict[str, tuple[int, ...]] = {
        "energy": (batch, count),
        "violation": (batch, count),
        "terms": (batch, count, len(site.terms), horizon),
        "guardrails": (batch, count, len(site.guardrails), horizon),
    }
    for field, wanted in shapes.items():
        came = tuple(getattr(bill, field).shape)
        if came != wanted:
            raise InputError(
                f"{who}: expected Bill.{field} of shape {list(wanted)} for 1 agent and {count}"
                f" candidates, came {list(came)}; correct the cost's `energy`"
            )
    if directive.budget_ms < took_ms:
        raise InputError(
            f"{who}: expected a budget of at least {took_ms:.1f} ms, which the smallest question to"
            f" the world model takes, came {directive.budget_ms:g} ms; raise"
            f" configurator.budget_ms or shorten the horizon"
        )
    if descends:
        try:
            judge(objective, latent, directive, Wave(plans, lambda bill: bill.energy))
        except ValueError as fault:
            raise InputError(f"{who}: {fault}") from fault
