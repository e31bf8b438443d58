"""A configurator for tasks of several sub-goals, which plans their order, and again when one fails.

Source: LeCun (2022) sec. 3, configurator: "configuring" perception, world model, cost and actor for
the task at hand; sub-goals as tasks of their own: Sutton, Precup, Singh (1999).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from agent.core.messages import Appraisal, Directive, Percept, Recollection, Ruling, Verdict
from agent.core.protocols import Inbox, Ports, Site
from agent.core.subgoals import Progress, Subgoals
from modules.configurator.compiled import Compiled
from modules.configurator.routes import Routes
from modules.configurator.subgoal import SubGoal
from modules.configurator.tracking import TrackingConfigurator


class TaskGraphConfigurator(TrackingConfigurator):
    """Has each agent do the sub-goals of a task one by one, on the cheapest route that is left.

    Whether a sub-goal is done, readouts of the last percept say. One that takes too long, or whose
    plans the gate keeps vetoing, has failed: the rest of the way is then planned without it. Where
    no way is left, everything that failed is tried again. Once all is done the last is held. Agents
    in lock-step go their own ways; the longest horizon and largest budget that any asks for count.
    """

    class Config(TrackingConfigurator.Config):
        """`task` holds sub-goals by name; the rest is what they leave unsaid, as for `fixed`."""

        task: dict[str, SubGoal]

    recalls: ClassVar[tuple[type, ...]] = (Percept, Verdict, Appraisal, Recollection)
    posts = Directive

    def __init__(self, config: Config, site: Site) -> None:
        """Lay out routes. Raises InputError, by name, for a task that cannot be told or done."""
        super().__init__(config, site)
        self._routes = Routes(config.task)
        self._compiled = Compiled(config.task, config, site, self._weights)
        self._names = tuple(config.task)
        self.reset(1)

    def ports(self) -> Ports:
        """Return the sizes of goal, terms, sensors and latent."""
        told = super().ports()
        return replace(told, axes={**told.axes, "Z": self._site.latent})

    def reset(self, batch: int) -> None:
        """Start an episode: nothing is done, nothing has failed."""
        super().reset(batch)
        count, size = len(self._names), self._site.sensors.scalars.size
        self._progress = torch.full((batch, count), int(Progress.WAITING))
        self._tries = torch.zeros(batch, count, dtype=torch.int64)
        self._active, self._held, self._spent, self._vetoed = torch.zeros(
            4, batch, dtype=torch.int64
        )
        self._over = torch.zeros(batch, dtype=torch.bool)
        self._start = torch.full((batch, size), torch.nan)
        for row in range(batch):
            self._take_up(row)

    def tick(self, inbox: Inbox) -> Directive:
        """Return the directive of this tick, by what each agent's sub-goal asks for."""
        asked, felt = super().tick(inbox), inbox.last(Percept)
        if len(self._active) != len(asked.goal):
            self.reset(len(asked.goal))
        told = self._compiled.told(asked.goal)
        seen = torch.full_like(told, torch.nan)
        if felt is not None:
            seen = self._compiled.read(felt.latent)
            self._start = torch.where(self._start.isnan(), seen, self._start)
            self._judge(seen, told, inbox.last(Verdict))
        return self._compiled.directive(asked, self._subgoals(told, seen))

    def _subgoals(self, told: Tensor, seen: Tensor) -> Subgoals:
        aim, aimed = self._compiled.aims(self._active, told, self._start, seen)
        return Subgoals(aim, aimed, self._active.clone(), self._progress.clone(), self._names)

    def _judge(self, seen: Tensor, told: Tensor, verdict: Verdict | None) -> None:
        """Take in what is `seen` [B Q], and go on where a sub-goal is done or has failed."""
        compiled, active = self._compiled, self._active
        met = compiled.met(active, seen, told, self._start)
        self._held = torch.where(met, self._held + 1, 0)
        self._spent = self._spent + 1
        vetoed = verdict is not None and verdict.ruling == Ruling.VETOED
        self._vetoed = torch.where(torch.as_tensor(vetoed), self._vetoed + 1, 0)
        done = (self._held >= compiled.ticks[active]) & ~self._over
        late = self._spent >= compiled.timeout[active]
        failed = (late | (self._vetoed >= compiled.vetoes[active])) & ~done & ~self._over
        for row in _where(done):
            self._progress[row, active[row]] = Progress.DONE
            self._take_up(row)
        for row in _where(failed):
            index = int(active[row])
            self._tries[row, index] += 1
            out = int(self._tries[row, index]) > self._compiled.listed[index].retries
            self._progress[row, index] = Progress.FAILED if out else Progress.WAITING
            self._take_up(row)

    def _take_up(self, row: int) -> None:
        """Let an agent go on with the next sub-goal of the cheapest route that is left."""
        names, progress = self._names, self._progress[row]
        done = frozenset(
            self._routes.role(n)
            for n, p in zip(names, progress.tolist(), strict=True)
            if p == Progress.DONE
        )
        failed = [n for n, p in zip(names, progress.tolist(), strict=True) if p == Progress.FAILED]
        route = self._routes.route(done, failed)
        if route is None:  # what failed once may succeed from where the agent is now
            progress[progress == Progress.FAILED] = int(Progress.WAITING)
            self._tries[row] = 0
            route = self._routes.route(done)
        assert route is not None, "a way there is, or it had been refused"
        self._held[row] = self._spent[row] = self._vetoed[row] = 0
        if not route:
            self._over[row] = True
            return
        self._active[row] = index = names.index(route[0])
        progress[index] = int(Progress.ACTIVE)


def _where(rows: Tensor) -> Iterable[int]:
    found: list[int] = rows.nonzero()[:, 0].tolist()
    return found
