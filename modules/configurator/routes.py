"""The order of sub-goals: what a task still takes, and the cheapest way through it.

What is done is a set; doing a sub-goal leads from one set to a larger one. These sets are the nodes
of a networkx graph, sub-goals its edges, and a route is a shortest path to where the task is done.
Source: AND/OR graphs, Nilsson (1982) ch. 1; Dijkstra (1959).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Any

import networkx as nx

from agent.core.errors import InputError, nearest
from modules.configurator.subgoal import SubGoal

Done = frozenset[str]
END = "the end"
MOST = 4096
"""Sets of sub-goals done that are gone through before a task is refused as too large."""


class Routes:
    """All routes through a task.

    A sub-goal is done once it or one that stands in for it has been; the task is, once those are
    that nothing comes after. So a sub-goal that only serves a way round is done on that way alone.
    """

    def __init__(self, task: Mapping[str, SubGoal]) -> None:
        """Lay out the routes. Raises InputError, by name, for what can never be done.

        That is a name nobody has, a cycle, a sub-goal that never comes up, or too large a task.
        """
        if not task:
            raise InputError("configurator.task: expected at least one sub-goal, came none")
        self._task = task
        for name, one in task.items():
            for key, wanted in (("after", one.after), ("instead", [one.instead or name])):
                for other in wanted:
                    if other not in task:
                        raise InputError(
                            f"configurator.task.{name}.{key}: unknown sub-goal '{other}';"
                            f" {nearest(other, task)}"
                        )
        self._roles = {name: self._role(name) for name in task}
        self.order = nx.DiGraph()
        self.order.add_nodes_from(task)
        self.order.add_edges_from((a, name) for name, one in task.items() for a in one.after)
        self._refuse_cycle(self.order)
        for name, role in self._roles.items():
            if role in {self._roles[a] for a in nx.ancestors(self.order, name)}:
                raise InputError(
                    f"configurator.task.{name}: can never be reached, as it comes after '{role}',"
                    f" which it stands in for; change its `after` or its `instead`"
                )
        self._states: Any = self._walked()

    def role(self, name: str) -> str:
        """Return the sub-goal that `name` stands in for: itself, if none."""
        return self._roles[name]

    def route(self, done: Done, failed: Collection[str] = ()) -> list[str] | None:
        """Return what is still to do, in the cheapest order without `failed`; None if no way is.

        `done` are roles. Of equally cheap orders it is that which the config tells first.
        """

        def price(_: Done, __: Done, choices: Mapping[str, Mapping[str, float]]) -> float | None:
            return min((c["cost"] for n, c in choices.items() if n not in failed), default=None)

        try:
            path = nx.dijkstra_path(self._states, done, END, weight=price)
        except nx.NetworkXNoPath:
            return None
        found = []
        for here, there in pairwise(path[:-1]):
            choices = {n: c["cost"] for n, c in self._states[here][there].items()}
            found.append(min((n for n in choices if n not in failed), key=choices.__getitem__))
        return found

    def _role(self, name: str) -> str:
        seen = [name]
        while (other := self._task[seen[-1]].instead) is not None:
            if other in seen:
                raise InputError(
                    f"configurator.task: a cycle of `instead`: {' → '.join([*seen, other])};"
                    f" let one of them stand for itself"
                )
            seen.append(other)
        return seen[-1]

    @staticmethod
    def _refuse_cycle(order: Any) -> None:
        try:
            found = [a for a, _ in nx.find_cycle(order)]
        except nx.NetworkXNoCycle:
            return
        raise InputError(
            f"configurator.task: a cycle of sub-goals: {' → '.join([*found, found[0]])};"
            f" each waits for the one before; remove one `after`"
        )

    def _walked(self) -> Any:
        """Return the graph of what can be done by when, from nothing to `END`."""
        task, roles = self._task, self._roles
        earlier = {roles[a] for one in task.values() for a in one.after}
        final = {role for role in roles.values() if role not in earlier}
        if not final:
            raise InputError(
                "configurator.task: expected a sub-goal that nothing comes after, which ends the"
                " task, came none; remove one `after`"
            )
        graph, nothing = nx.MultiDiGraph(), frozenset[str]()
        graph.add_node(nothing)
        ahead = deque([nothing])
        while ahead:
            done = ahead.popleft()
            if len(graph) > MOST:
                raise InputError(
                    f"configurator.task: expected at most {MOST} sets of sub-goals to go through,"
                    f" came more, of {len(task)} sub-goals; put some in order by `after`"
                )
            if final <= done:
                graph.add_edge(done, END, key=END, cost=0.0)
                continue
            for name, one in task.items():
                if roles[name] in done or not {roles[a] for a in one.after} <= done:
                    continue
                then = done | {roles[name]}
                if then not in graph:
                    ahead.append(then)
                graph.add_edge(done, then, key=name, cost=one.cost)
        return graph
