"""One agent's parts: what `build` puts together, a checkpoint fills and a world is wired to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from agent.config.isolate import HANG_S, START_S, Isolated
from agent.config.sound import check_errors
from agent.config.tiers import Tier
from agent.config.tiers import name as level_name
from agent.core.adaptive import AdaptiveMargins
from agent.core.errors import InputError
from agent.core.gate import Gate
from agent.core.guardrails import Guardrails
from agent.core.loop import Agent
from agent.core.objective import GuardedObjective
from agent.core.protocols import Site, World
from agent.core.watch import Watch
from agent.core.wiring import wire

if TYPE_CHECKING:
    from agent.config.build import Blueprint

Tensors = Mapping[str, Tensor]
MARGINS = "margins"


def margins_of(index: int) -> str:
    """Return the name of the margins of a level above in a checkpoint."""
    return f"{level_name(index)}.{MARGINS}"


@dataclass(frozen=True, slots=True)
class Mind:
    """Every part of one agent, built but not wired. `site` is the actor's, objective included.

    `origin` watches over what its gates ask, from when it was built; `fallback` is in their units.
    """

    blueprint: Blueprint
    site: Site
    perception: Any
    world_model: Any
    readouts: Any
    critic: Any
    terms: tuple[Any, ...]
    cost: Any
    memory: Any
    configurator: Any
    actor: Any
    rails: tuple[Any, ...]
    guardrails: Guardrails
    objective: GuardedObjective
    fallback: Tensor
    origin: Watch
    adaptive: AdaptiveMargins | None = None
    tiers: tuple[Tier, ...] = ()

    def trainable(self) -> dict[str, nn.Module]:
        """Return the parts that hold weights, by their prefix in a checkpoint."""
        named = {
            "perception": self.perception,
            "world_model": self.world_model,
            "readouts": self.readouts,
            "critic": self.critic,
            "actor": self.actor,
            **{f"terms.{t.name}": t for t in self.terms},
            **{f"{level_name(i)}.readouts": tier.readouts for i, tier in enumerate(self.tiers)},
        }
        return {k: v for k, v in named.items() if isinstance(v, nn.Module)}

    def tensors(self) -> dict[str, Tensor]:
        """Return all weights and the guardrails' margins, named as in a checkpoint."""
        found = {
            f"{prefix}.{name}": value.detach().clone()
            for prefix, part in self.trainable().items()
            for name, value in part.state_dict().items()
        }
        margins = {margins_of(i): t.guardrails.measured() for i, t in enumerate(self.tiers)}
        return {**found, MARGINS: self.guardrails.measured(), **margins}

    def modules(self) -> dict[str, Any]:
        """Return the six modules by slot name."""
        names = ("configurator", "perception", "memory", "cost", "actor", "world_model")
        return {n: getattr(self, n) for n in names}

    def agent(self, world: World, deadline: bool = False) -> Agent:
        """Return the wired agent.

        Raises WiringError listing all mismatches, InputError if a guardrail looks through a
        readout that errs by more than it can stand.
        """
        check_errors(self.rails, self.readouts)
        limit_ms = self.blueprint.config.gate.deadline_ms
        limit = limit_ms if deadline and limit_ms else float("inf")
        climbs = getattr(self.actor, "climbs", False)
        above = [(t.above, t.guardrails, t.objective) for t in self.tiers] if climbs else []
        body = world.actuators
        gate = Gate(self.guardrails, self.objective, body, self.fallback, limit, self.origin, above)
        apart = [m for m in self.modules().values() if isinstance(m, Isolated)]
        for module in apart:
            module.limit_s = START_S
        agent = wire(self.modules(), gate, world, self.site.goal)
        for module in apart:
            module.limit_s = min(limit / 1e3, HANG_S)
        if self.adaptive is not None:
            gate.adapt(self.adaptive)
        return agent


def fill(parts: Mapping[str, Any], tensors: Tensors | None) -> None:
    """Load weights by prefix. Raises InputError if the checkpoint was made for other sizes."""
    for prefix, part in parts.items():
        if tensors is None or not isinstance(part, nn.Module):
            continue
        own = {
            k.removeprefix(f"{prefix}."): v
            for k, v in tensors.items()
            if k.startswith(f"{prefix}.")
        }
        wanted = {k: tuple(v.shape) for k, v in part.state_dict().items()}
        came = {k: tuple(v.shape) for k, v in own.items()}
        for name in sorted(wanted.keys() | came.keys()):
            if wanted.get(name) != came.get(name):
                raise InputError(
                    f"checkpoint: {prefix}.{name} is {came.get(name, 'missing')}, the config wants"
                    f" {wanted.get(name, 'none')}; train again, or use the config it was made with"
                )
        part.load_state_dict(own)
        part.requires_grad_(False)
