"""Does everything fit? Unify the specs of every producer and consumer before the first tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from agent.core.errors import HousecatError, WiringError
from agent.core.gate import Gate
from agent.core.loop import Agent
from agent.core.messages import Action, Observation, Task
from agent.core.protocols import Module, Ports, World
from agent.core.schedule import GATE_POSTS, schedule
from agent.core.spec import Layout, Spec, compile_check, specs_of


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One disagreement: about what, who says what."""

    about: str
    claims: tuple[tuple[str, str], ...]

    def describe(self) -> str:
        """Return `about: who says this; who says that`."""
        return f"{self.about}: " + "; ".join(f"{who} says {what}" for who, what in self.claims)


def wire(modules: Mapping[str, Module], gate: Gate, world: World, goal: Layout) -> Agent:
    """Return the agent, wired and tried once on zeros.

    Raises WiringError listing *all* mismatches, one per line: symbolic axes that two parts want
    in different sizes, dtypes, units or channels that differ between producer and consumer,
    cycles, kinds nobody posts, and whatever the dry tick trips over.
    """
    plan = schedule(modules)
    ports = {name: module.ports() for name, module in modules.items()}
    ports["world"] = Ports(
        axes={
            "O": world.sensors.size,
            "S": len(world.sensors.channels),
            "A": world.actuators.size,
        },
        fields={
            (Observation, "values"): Spec(("B", "O"), layout=world.sensors),
            (Action, "command"): Spec(("B", "A"), layout=world.actuators),
        },
    )
    ports["task"] = Ports(axes={"G": goal.size})
    faults = _sizes(ports) + _specs(ports)
    if faults:
        raise WiringError(_table(faults))

    sizes = {axis: size for port in ports.values() for axis, size in port.axes.items()}
    posters = {m.posts: n for n, m in modules.items()} | dict.fromkeys(GATE_POSTS, "gate")
    posters |= {Observation: "world", Task: "the task"}
    checks = {k: compile_check(k, specs_of(k), sizes, who) for k, who in posters.items()}
    agent = Agent(modules, gate, plan, checks)
    _dry_tick(agent, world, goal, sizes.get("Z", 0))
    return agent


def _sizes(ports: Mapping[str, Ports]) -> list[Mismatch]:
    wanted: dict[str, list[tuple[str, int]]] = {}
    for name, port in ports.items():
        for axis, size in port.axes.items():
            wanted.setdefault(axis, []).append((name, size))
    return [
        Mismatch(f"axis {axis}", tuple((who, str(size)) for who, size in claims))
        for axis, claims in sorted(wanted.items())
        if len({size for _, size in claims}) > 1
    ]


def _specs(ports: Mapping[str, Ports]) -> list[Mismatch]:
    faults = []
    keys = sorted(
        {k for p in ports.values() for k in p.fields}, key=lambda k: (k[0].__name__, k[1])
    )
    for kind, name in keys:
        declared = specs_of(kind).get(name)
        about = f"{kind.__name__}.{name}"
        claims = [
            (who, p.fields[kind, name]) for who, p in ports.items() if (kind, name) in p.fields
        ]
        if declared is None:
            faults.append(Mismatch(about, tuple((who, "it exists") for who, _ in claims)))
            continue
        parts = [("message", declared), *claims]
        for aspect in ("axes", "dtype", "unit"):
            said = [(who, getattr(s, aspect)) for who, s in parts if getattr(s, aspect)]
            if len({v for _, v in said}) > 1:
                shown = tuple((w, s.describe()) for w, s in parts)
                faults.append(Mismatch(f"{about} ({aspect})", shown))
        layouts = [(who, s.layout) for who, s in claims if s.layout is not None]
        if len({layout for _, layout in layouts}) > 1:
            shown = tuple((who, layout.describe()) for who, layout in layouts)
            faults.append(Mismatch(f"{about} (channels)", shown))
    return faults


def _dry_tick(agent: Agent, world: World, goal: Layout, latent: int) -> None:
    """Tick twice on zeros, so that recalled messages are tried too."""
    agent.reset(Task(torch.zeros(1, goal.size), torch.zeros(1, latent)))
    for first in (True, False):
        blank = Observation(
            values=torch.zeros(1, world.sensors.size),
            valid=torch.ones(1, len(world.sensors.channels), dtype=torch.bool),
            time_s=torch.zeros(1),
            first=torch.tensor([first]),
        )
        try:
            faults = agent.tick(blank).faults
        except HousecatError as fault:
            faults = (str(fault),)
        if faults:
            raise WiringError("wiring: the dry tick failed:\n  " + "\n  ".join(faults))
    agent.gate.reset()


def _table(faults: list[Mismatch]) -> str:
    lines = [f"wiring: {len(faults)} mismatch{'es' if len(faults) > 1 else ''}, nothing started"]
    return "\n  ".join([*lines, *(f.describe() for f in faults)])
