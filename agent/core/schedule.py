"""The order of a tick, derived from what the modules declare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx

from agent.core.errors import WiringError
from agent.core.messages import Action, Directive, Observation, Percept, Plan, Task, Verdict

OUTSIDE: tuple[type, ...] = (Observation, Task)
"""Kinds that come from outside the agent: from the world, and from whoever sets the task."""

GATE = "gate"
GATE_READS: tuple[type, ...] = (Percept, Directive, Plan)
GATE_POSTS: tuple[type, ...] = (Verdict, Action)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Module names (and the gate) in the order they tick, and the wiring graph behind it."""

    order: tuple[str, ...]
    graph: nx.MultiDiGraph[str]

    def describe(self) -> str:
        """Return the order in one line."""
        return " → ".join(self.order)


Kinds = tuple[type, ...]


def kinds(name: str, modules: Mapping[str, Any]) -> tuple[Kinds, Kinds, Kinds]:
    """Return what a module, or the gate, reads, recalls and posts."""
    if name == GATE:
        return GATE_READS, (), GATE_POSTS
    module = modules[name]
    return tuple(module.reads), tuple(module.recalls), (module.posts,)


def schedule(modules: Mapping[str, Any]) -> Schedule:
    """Sort modules and gate so that every message is posted before it is read.

    `modules` maps names to objects with `reads`, `recalls` and `posts`. Ties are broken by name,
    so the order is a function of the declarations alone.

    Raises WiringError if two modules post one kind, if a module reads a kind that nobody posts,
    or if there is a cycle: it must then pass through a `recalls`.
    """
    names = [*sorted(modules), GATE]
    poster: dict[type, str] = {}
    faults: list[str] = []
    for name in names:
        for kind in kinds(name, modules)[2]:
            if kind in poster or kind in OUTSIDE:
                other = poster.get(kind, "the outside")
                faults.append(f"{name} posts {kind.__name__}, which {other} already posts")
            poster.setdefault(kind, name)

    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    graph.add_nodes_from(names)
    for name in names:
        reads, recalls, _ = kinds(name, modules)
        for kind in reads:
            if kind in OUTSIDE:
                continue
            if kind not in poster:
                faults.append(f"{name} reads {kind.__name__}, which nobody posts")
                continue
            graph.add_edge(poster[kind], name, kind=kind.__name__, recalled=False)
        for kind in recalls:
            if kind in OUTSIDE:
                continue
            if kind not in poster:
                faults.append(f"{name} recalls {kind.__name__}, which nobody posts")
                continue
            graph.add_edge(poster[kind], name, kind=kind.__name__, recalled=True)
    if faults:
        raise WiringError("wiring: " + "; ".join(faults) + "; change what the modules declare")

    now = nx.DiGraph((a, b) for a, b, d in graph.edges(data=True) if not d["recalled"])
    now.add_nodes_from(names)
    try:
        order = tuple(nx.lexicographical_topological_sort(now))
    except nx.NetworkXUnfeasible:
        cycle = [a for a, _ in nx.find_cycle(now)]
        path = " → ".join([*cycle, cycle[0]])
        raise WiringError(
            f"wiring: the modules read each other in a circle: {path};"
            f" let one of them take the message by `recalls` instead of `reads`"
        ) from None
    return Schedule(order, graph)
