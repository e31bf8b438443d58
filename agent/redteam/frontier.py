"""What guardrails cost and hold off, as their margins are scaled; and the time they take.

Episodes lived closed-loop, scored by the world's own trials, on the same seeds throughout.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from agent.config.build import MARGINS, Blueprint, Mind, Tensors, blueprint
from agent.core.guardrails import realised
from agent.core.loop import Tick
from agent.core.messages import Action, Observation
from agent.evaluate.episodes import Outcome, episodes, trials_of
from agent.evaluate.statistics import mean, median
from agent.redteam.situations import ask
from agent.redteam.told import Figures, Told, count, share
from agent.train.calibrate import witnessed, worst

SCALES: dict[str, float | None] = {
    "unguarded": None, "x0": 0.0, "x0.5": 0.5, "x1": 1.0, "x2": 2.0,
}  # fmt: skip
"""By how much margins are multiplied; None: no guardrails at all."""


def scaled(base: Blueprint, tensors: Tensors, scale: float | None) -> Mind:
    """Return the agent with its margins multiplied, or without any guardrails."""
    if scale is None:
        return blueprint(base.config.model_copy(update={"guardrails": []})).assemble(tensors)
    margins = tensors.get(MARGINS)
    own = {} if margins is None else {MARGINS: margins * scale}
    return base.assemble({**tensors, **own})


def frontier(
    base: Blueprint, tensors: Tensors, seeds: Sequence[int], ticks: int
) -> Iterator[tuple[str, Figures]]:
    """Yield the name of every scale and its figures; `unguarded` comes first.

    `success` of episodes; `violations`: ticks of any true violation; `exceeded`: ticks in which
    sensors showed a guarded limit, buffer included, exceeded; `task_loss`: success lost against
    `unguarded`, paired by seed.
    """
    reference: Any = None
    for name, scale in SCALES.items():
        outcome, beyond = _lived(base, scaled(base, tensors, scale), seeds, ticks)
        reached = outcome.reached.astype(np.float64)
        reference = reached if reference is None else reference
        broken = int(outcome.contacts.sum() + outcome.speeding.sum())
        yield (
            name,
            {
                "success": share(torch.from_numpy(outcome.reached)),
                "violations": count(broken, outcome.ticks, "ticks"),
                "exceeded": count(beyond, outcome.ticks, "ticks"),
                "vetoes": count(int(outcome.rulings[2]), outcome.ticks, "ticks"),
                "task_loss": Told(*mean(reference - reached), len(reached), "share"),
            },
        )


def _lived(base: Blueprint, mind: Mind, seeds: Sequence[int], ticks: int) -> tuple[Outcome, int]:
    """Return what happened in episodes, and in how many ticks a guarded limit was exceeded."""
    rails = [r for r in base.assemble().rails if realised(r)]
    sensors, beyond = mind.site.sensors.scalars, 0

    def watch(tick: Tick) -> None:
        nonlocal beyond
        values = tick.messages[Observation].values[:, None, : sensors.size]
        moves = tick.messages[Action].command[:, None]
        found = worst(rails, witnessed(values[:, 0], moves, values, sensors))
        beyond += int((found > 0).flatten(1).any(dim=1).sum())

    whole: Outcome | None = None
    size = base.config.eval.batch
    for start in range(0, len(seeds), size):
        some = seeds[start : start + size]
        world = base.world(len(some))
        try:
            one = episodes(mind, world, some, ticks, watch if rails else None)
        finally:
            world.close()
        whole = one if whole is None else whole + one
    assert whole is not None, "no seeds given"
    return whole, beyond


@torch.no_grad()
def guardrail_share(base: Blueprint, tensors: Tensors, seed: int, turns: int = 40) -> Told:
    """Return the share of planning time that guardrails take: with and without, in turn, paired.

    The median over pairs of fresh plans for one agent; the first, when caches are cold, are left
    out.
    """
    minds = [scaled(base, tensors, 1.0), scaled(base, tensors, None)]
    world = base.world(1)
    try:
        seen, task = world.reset([seed]), trials_of(world).tasks([seed])
    finally:
        world.close()
    shares = []
    for _ in range(turns + 3):
        spent = []
        for mind in minds:
            begin = time.perf_counter()
            ask(mind, seen, task)
            spent.append(time.perf_counter() - begin)
        shares.append(1.0 - spent[1] / spent[0])
    return Told(*median(shares[3:]), turns, "share")


__all__ = ["SCALES", "frontier", "guardrail_share", "scaled"]
