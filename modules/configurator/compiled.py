"""Sub-goals as tensors: what a config tells in words, for agents that are each at another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from agent.core.errors import InputError, nearest
from agent.core.messages import Directive
from agent.core.protocols import Site
from agent.core.subgoals import Subgoals
from modules.configurator.fixed import FixedConfigurator
from modules.configurator.places import Places
from modules.configurator.subgoal import SubGoal

NEVER = 2**62


class Compiled:
    """Every sub-goal's settings, by its number, [U ...]."""

    def __init__(
        self,
        task: Mapping[str, SubGoal],
        usual: FixedConfigurator.Config,
        site: Site,
        weights: Tensor,
    ) -> None:
        """Compile `task`; `weights` [T] are those of terms that a sub-goal does not name.

        Raises InputError for a readout, sensor or term that is not there, or a place of another
        size.
        """
        if site.readouts is None:
            raise ValueError("expected site.readouts, came None; build readouts first")
        self._site, self._readouts, self.listed = site, site.readouts, tuple(task.values())
        self._goal = site.goal.names[0] if site.goal.channels else ""
        count, size = len(task), site.sensors.scalars.size
        self._weights = weights.repeat(count, 1)
        self._attention = torch.ones(count, len(site.sensors.channels))
        self._places = Places(count, site, self._readouts.layout)
        self._ends = Places(count, site, self._readouts.layout)
        self._within = torch.full((count,), torch.inf)
        self._low, self._high = (
            torch.full((count, size), -torch.inf),
            torch.full((count, size), torch.inf),
        )
        self._counts = torch.zeros(count, size, dtype=torch.bool)
        for index, (name, one) in enumerate(task.items()):
            where = f"configurator.task.{name}"
            self._modulate(index, one, where)
            for quantity, place in one.goal.items():
                self._places.put(index, quantity, place, f"{where}.goal")
            self._end(index, one, where)
        self.ticks = torch.tensor([one.done.ticks for one in self.listed])
        self.timeout = torch.tensor([one.timeout or NEVER for one in self.listed])
        self.vetoes = torch.tensor([one.vetoes or NEVER for one in self.listed])
        self._mode = torch.tensor([one.mode or usual.mode for one in self.listed])
        self._horizon = torch.tensor([one.horizon or usual.horizon for one in self.listed])
        budgets = [usual.budget_ms if o.budget_ms is None else o.budget_ms for o in self.listed]
        self._budget = torch.tensor([b or torch.inf for b in budgets])

    def read(self, latent: Tensor) -> Tensor:
        """Return what readouts say of latents [B Z], packed as sensors are, [B Q]."""
        read = self._readouts.read(latent)
        return torch.cat([read[c.name] for c in self._site.sensors.scalars.channels], dim=-1)

    def told(self, goal: Tensor) -> Tensor:
        """Return the task's goal [B G] in its place among the readouts, [B Q]."""
        told = goal.new_zeros(len(goal), self._site.sensors.scalars.size)
        if self._goal:
            told[:, self._site.sensors[self._goal]] = goal
        return told

    def aims(
        self, active: Tensor, told: Tensor, start: Tensor, seen: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return what sub-goals `active` [B] ask of readouts, and of which, both [B Q]."""
        aim = self._places.at(active, told, start, seen)
        aimed = aim.isfinite()
        return torch.where(aimed, aim, 0.0), aimed

    def met(self, active: Tensor, seen: Tensor, told: Tensor, start: Tensor) -> Tensor:
        """Say whether what is `seen` [B Q] is what sub-goals `active` [B] are to end in, [B]."""
        counts = self._counts[active]
        ends = self._ends.at(active, told, start, seen)
        near = counts & self._within[active].isfinite()[:, None]
        gap = torch.where(near, seen - ends, 0.0).square().sum(dim=-1).sqrt()
        inside = (seen >= self._low[active]) & (seen <= self._high[active])
        return (gap <= self._within[active]) & (inside | ~counts).all(dim=-1)

    def directive(self, asked: Directive, subgoals: Subgoals) -> Directive:
        """Return what is `asked` at each agent's sub-goal."""
        active, goal = subgoals.active, asked.goal
        if self._goal:
            where = self._site.sensors[self._goal]
            goal = torch.where(subgoals.aimed[:, where], subgoals.aim[:, where], goal)
        return replace(
            asked,
            goal=goal,
            weights=self._weights[active],
            attention=self._attention[active],
            mode=self._mode[active],
            horizon=int(self._horizon[active].max()),
            budget_ms=float(self._budget[active].max()),
            subgoals=subgoals,
        )

    def _modulate(self, index: int, one: SubGoal, where: str) -> None:
        site = self._site
        named = (("weights", one.weights, site.terms, self._weights),
                 ("attention", one.attention, site.sensors.names, self._attention))  # fmt: skip
        for key, given, known, table in named:
            for name, value in given.items():
                if name not in known:
                    what = "term" if key == "weights" else "sensor"
                    raise InputError(
                        f"{where}.{key}: unknown {what} '{name}'; {nearest(name, known)}"
                    )
                if value < 0:
                    raise InputError(f"{where}.{key}.{name}: expected 0 or more, came {value}")
                table[index, known.index(name)] = value

    def _end(self, index: int, one: SubGoal, where: str) -> None:
        """Compile when a sub-goal is done."""
        done, where = one.done, f"{where}.done"
        span = self._ends.span(done.quantity, where)
        self._counts[index, span] = True
        if done.within is None:
            self._low[index, span] = -torch.inf if done.above is None else done.above
            self._high[index, span] = torch.inf if done.below is None else done.below
            return
        place = one.goal.get(done.quantity) if done.near is None else done.near
        if place is None:
            raise InputError(
                f"{where}: expected a place that {done.quantity} is to be near, came none; add"
                f" `near`, or {done.quantity} to the sub-goal's `goal`"
            )
        self._within[index] = done.within
        self._ends.put(index, done.quantity, place, where)
