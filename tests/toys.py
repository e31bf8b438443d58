"""Toy parts for tests of the kernel: a point that moves as it is told, and a limit on where it is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from agent.core.gate import Gate
from agent.core.guardrails import Guardrails
from agent.core.messages import Bill, Directive, Percept, Plan, Rollout
from agent.core.objective import GuardedObjective
from agent.core.spec import Channel, Layout

ACTUATORS = Layout((Channel("push", 2, "m/s", (-1.0, -2.0), (1.0, 0.5)),))


class Adding:
    """A world model: the state is the sum of the actions so far. Exact, one member."""

    members = 1

    def imagine(self, state: Tensor, actions: Tensor, latent: Tensor | None = None) -> Rollout:
        """Return states [1 B K H 2] of actions [B K H 2]."""
        ahead = state[:, None, None] + actions.cumsum(dim=2)
        return Rollout(state, actions, ahead[None], {})


class Place(nn.Module):
    """Readouts: the place is the latent, through weights that can be tampered with."""

    def __init__(self) -> None:
        """Start as the identity."""
        super().__init__()
        self.weight = nn.Parameter(torch.eye(2))
        self.after = nn.Sequential(nn.Identity())
        self.shift = [0.0]
        self.register_buffer("hidden", torch.zeros(2), persistent=False)
        self.layout = Layout((Channel("place", 2, "m"),))

    def read(self, latents: Tensor) -> dict[str, Tensor]:
        """Return the place."""
        return {"place": self.after(self.scaled(latents)) + self.shift[0] + self.hidden}

    def scaled(self, latents: Tensor) -> Tensor:
        """Return latents through the weights."""
        return latents @ self.weight

    def error(self) -> dict[str, float]:
        """Return that it never errs."""
        return {"place": 0.0}


class Below:
    """A guardrail: the first coordinate of the place stays below a limit."""

    def __init__(self, limit: float = 1.0, name: str = "below") -> None:
        """Keep the limit, once as a number and once as a tensor."""
        self.name, self.limit, self.scale = name, limit, torch.ones(1)

    def value(self, rollout: Rollout) -> Tensor:
        """Return place - limit."""
        return (rollout.quantities["place"][..., 0] - self.limit) * self.scale


class Free:
    """A cost: everything is free."""

    def energy(self, rollout: Rollout, directive: Directive) -> Bill:
        """Return zeros."""
        b, k, h, _ = rollout.actions.shape
        zero = torch.zeros(b, k)
        return Bill(zero, torch.zeros(b, k, 1, h), torch.zeros(b, k, 0, h), zero)


def gate(
    *terms: Any,
    margins: Tensor | None = None,
    fallback: tuple[float, float] = (0.0, 0.0),
    **more: Any,
) -> Gate:
    """Return a gate over the toy parts, guarded by `terms` (one `Below(1)` if none are given)."""
    rails = Guardrails(terms or (Below(),), Place(), margins)
    objective = GuardedObjective(Adding(), Free(), rails)  # type: ignore[arg-type]
    return Gate(rails, objective, ACTUATORS, torch.tensor(fallback), **more)


def percept(*places: tuple[float, float]) -> Percept:
    """Return a percept of agents at `places`."""
    b = len(places)
    return Percept(torch.tensor(places), torch.zeros(b), torch.zeros(b))


def plan(actions: Any) -> Plan:
    """Return a plan of `actions` [B H A]; what the gate does not look at is empty."""
    none = torch.zeros(0)
    return Plan(actions, none, none, none, none, none, none, none, none)


def steps(*moves: tuple[float, float]) -> Tensor:
    """Return one agent's actions [1 H 2]."""
    return torch.tensor(moves)[None]
