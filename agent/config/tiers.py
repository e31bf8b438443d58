"""The levels above the lowest, put together: each judges with its own readouts and guardrails.

Part of the composition root (`agent.config.build`).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from agent.config.choose import Chosen
from agent.core.errors import InputError, nearest
from agent.core.guardrails import Guardrails
from agent.core.objective import GuardedObjective
from agent.core.protocols import Above, Site


@dataclass(frozen=True, slots=True)
class Tier:
    """A level above: what it reads out of its latents, and what plans there are judged by."""

    above: Above
    level: Any
    readouts: Any
    guardrails: Guardrails
    objective: GuardedObjective


@dataclass(frozen=True, slots=True)
class Judges:
    """What a config says about judging, as the composition root has chosen it."""

    readouts: Chosen
    cost: Chosen
    guardrails: tuple[Chosen, ...]


def level_readouts(chosen: Chosen, site: Site, levels: Sequence[Any]) -> list[Any]:
    """Return untrained readouts for every level, measured over as many steps as it plans."""
    built = []
    for level in levels:
        settings = chosen.settings.model_copy(update={"horizon": level.horizon})
        place = replace(site, latent=level.site.latent, actuators=level.site.actuators)
        built.append(replace(chosen, settings=settings).build(place))
    return built


def tiers(
    judges: Judges,
    levels: Sequence[Any],
    readouts: Sequence[Any],
    terms: Sequence[Any],
    margins: Mapping[str, Tensor | None],
) -> tuple[Tier, ...]:
    """Return every level above, joined; `margins` by the level's name.

    Raises InputError if no term counts there, or a guardrail remembers: above the lowest level
    nothing is ever seen that it could keep.
    """
    if not levels:
        return ()
    chosen = _counting(judges.cost, terms)
    made = []
    for index, (level, probe) in enumerate(zip(levels, readouts, strict=True)):
        rails = tuple(c.build(level.site) for c in judges.guardrails)
        sealed = copy.deepcopy(probe).requires_grad_(False)
        guardrails = Guardrails(rails, sealed, margins.get(name(index)))
        if guardrails.remembers:
            raise InputError(
                "guardrails: expected none that remembers where a world model has levels, since"
                " nothing is seen above the lowest; use jepa, or leave out until, within and total"
            )
        cost = judges.cost.build(level.site, chosen, probe, None)
        site = replace(level.site, terms=tuple(cost.terms), guardrails=guardrails.names)
        objective = GuardedObjective(level, cost, guardrails)
        above = Above(replace(site, objective=objective), level, probe.read)
        made.append(Tier(above, level, probe, guardrails, objective))
    return tuple(made)


def name(index: int) -> str:
    """Return the prefix of a level's own tensors in a checkpoint; 0 is the nearest above."""
    return f"levels.{index}"


def _counting(cost: Chosen, terms: Sequence[Any]) -> tuple[Any, ...]:
    wanted, known = getattr(cost.settings, "above", []), [t.name for t in terms]
    for one in wanted:
        if one not in known:
            raise InputError(f"cost.above: there is no term '{one}'; {nearest(one, known)}")
    if not wanted:
        raise InputError(
            "cost.above: expected the terms that count at levels above, came none; name some of"
            f" {', '.join(known)}"
        )
    return tuple(t for t in terms if t.name in wanted)
