"""A configurator that lets an agent deliberate where that pays, and learns where it does.

Source: LeCun (2022) sec. 3.1.3: there is one world model for Mode-2 to occupy, so deliberating is
for where it is needed; Daw, Niv, Dayan (2005); Russell, Wefald (1991).
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import (
    Appraisal,
    Directive,
    Mode,
    Percept,
    Plan,
    Recollection,
    Ruling,
    Verdict,
)
from agent.core.protocols import Inbox, Ports, Site
from modules.configurator.headway import FOLLOW, Headway
from modules.configurator.subgoal import SubGoal
from modules.configurator.task_graph import TaskGraphConfigurator
from modules.configurator.tracking import TrackingConfigurator
from modules.configurator.worth import Worth

SITUATIONS = ("stalled", "far", "unsure")
"""What a situation is told by, each yes or no: bits of its number, the first the lowest."""
BRIEF = 2
"""Ticks up to which an episode is none: wiring tries so many, on zeros."""


class AdaptiveConfigurator:
    """Asks for Mode-2 where deliberating is worth its price, and for Mode-1 elsewhere.

    It decides for a spell of ticks. What a spell gained is the energy that plans expect less at its
    end, as a share of what the goal takes in all. What either mode gains is learned by situation:
    whether the last spell gained nothing (`stalled`), much energy is still expected (`far`), and
    the percept is `unsure`, by surprise or uncertainty. An agent deliberates where that gains more
    for what it costs; as a deadline nears, costs count for less. A new goal, and a plan that was
    vetoed, are always thought over; after a tick that came too late the agent reacts.
    In between the last plan may `carry` on without another look, while nothing is in doubt.

    All this from messages, before anything is imagined. The actor is asked as always, and `habit`
    may still find that its proposal will do.
    """

    class Config(TrackingConfigurator.Config):
        """`mode` 1 never deliberates; `task` as for `task_graph`, or none; and when to deliberate.

        A `spell` is in ticks; for up to `carry` ticks in a row within one the last plan goes on and
        nothing is imagined, unless the percept is unsure, a spell of deliberating begins, or the
        gate did not let the last plan out as it was. Deliberating has to gain `cost` times as much
        as reacting, and `price` more. That, the `hope` of what it gains before there is evidence,
        as firm as `prior` spells, `progress`, below which nothing was gained, and `far` are shares
        of what a goal takes. A surprise above `surprise`, or an uncertainty so many times the
        usual, is much. `deadline` is in ticks since the goal was set, 0 none; a sub-goal's
        `timeout` is one too. With `lasting`, what was learned outlives the episode; the share
        `kept` of it every further one.
        """

        task: dict[str, SubGoal] = {}
        spell: int = Field(default=6, ge=1)
        carry: int = Field(default=0, ge=0)
        cost: float = Field(default=2.0, ge=1)
        price: float = Field(default=0.02, ge=0)
        hope: float = Field(default=0.1, ge=0)
        prior: float = Field(default=2.0, gt=0)
        progress: float = Field(default=0.03, gt=0)
        far: float = Field(default=0.15, ge=0)
        surprise: float = Field(default=3.0, gt=1)
        deadline: int = Field(default=0, ge=0)
        lasting: bool = False
        kept: float = Field(default=0.98, ge=0, le=1)

    reads: ClassVar[tuple[type, ...]] = TaskGraphConfigurator.reads
    recalls: ClassVar[tuple[type, ...]] = (Percept, Plan, Verdict, Appraisal, Recollection)
    posts: ClassVar[type] = Directive

    def __init__(self, config: Config, site: Site) -> None:
        """Prepare; raises InputError as `fixed` and `task_graph` do."""
        self.config = config
        usual = config.model_dump(include=set(TrackingConfigurator.Config.model_fields))
        self._asking: TrackingConfigurator = (
            TaskGraphConfigurator(TaskGraphConfigurator.Config(**usual, task=config.task), site)
            if config.task
            else TrackingConfigurator(TrackingConfigurator.Config(**usual), site)
        )
        times = [one.timeout or config.deadline for one in config.task.values()]
        self._deadlines = torch.tensor(times or [config.deadline], dtype=torch.float32)
        self.forget()

    def ports(self) -> Ports:
        """Return the sizes of goal, terms and sensors."""
        return self._asking.ports()

    def forget(self) -> None:
        """Start a new life: what deliberating gained is forgotten."""
        config = self.config
        self.worth = Worth(2 ** len(SITUATIONS), config.hope, config.prior, config.kept)
        self._headway = Headway()
        self._begin(1)

    def reset(self, batch: int) -> None:
        """Start an episode; keep what the last one taught, or forget it."""
        if not self.config.lasting:
            self.forget()
        elif self._ticks > BRIEF:
            self.worth.keep()
            self._headway.keep()
        self._begin(batch)

    def _begin(self, batch: int) -> None:
        self._asking.reset(batch)
        self.worth.begin(batch)
        self._headway.begin(batch)
        self._ticks = 0
        self._asked: Directive | None = None
        self._thinking = torch.zeros(batch, dtype=torch.bool)
        self._situation, self._left, self._spent, self._carried = torch.zeros(
            4, batch, dtype=torch.int64
        )
        self._from, self._usual = torch.full((2, batch), torch.nan)

    def tick(self, inbox: Inbox) -> Directive:
        """Return the directive of this tick, of the mode that pays for each agent."""
        asked, plan, percept = self._asking.tick(inbox), inbox.last(Plan), inbox.last(Percept)
        if len(self._spent) != len(asked.goal):
            self._begin(len(asked.goal))
        self._ticks += 1
        new = self._renewed(asked)
        unsure = torch.zeros_like(new) if percept is None else self._unsure(percept)
        if plan is not None:
            self._headway.take(plan.energy)
        over = (self._left <= 0) | new
        if bool(over.any()):
            self._headway.renew(new)
            self._decide(asked, unsure, new, over)
        self._left = self._left - 1
        thinking, verdict = self._thinking | new, inbox.last(Verdict)
        if verdict is not None:
            thinking = thinking | (verdict.ruling == Ruling.VETOED)
            thinking = thinking & ~torch.tensor(_late(verdict, len(new)))
        thinking = thinking & (asked.mode == Mode.DELIBERATE)
        carry = None
        if self.config.carry and verdict is not None:
            begins = new | (over & thinking)
            carry = self._carry(begins | unsure | (verdict.ruling != Ruling.ALLOWED))
            thinking = thinking & ~carry
        mode = torch.where(thinking, int(Mode.DELIBERATE), int(Mode.REACTIVE))
        self._asked = replace(asked, mode=mode, carry=carry)
        return self._asked

    def _carry(self, look: Tensor) -> Tensor:
        """Say who goes on with the last plan, [B]: not who is to `look`, nor where a spell ends."""
        carry: Tensor = ~look & (self._carried < self.config.carry) & (self._left > 0)
        self._carried = torch.where(carry, self._carried + 1, 0)
        return carry

    def _renewed(self, asked: Directive) -> Tensor:
        """Say for whom there is a new goal or sub-goal, or none before, [B]; count ticks since."""
        before = self._asked
        if before is None:
            new = torch.ones(len(asked.goal), dtype=torch.bool)
        else:
            new = (asked.goal != before.goal).any(dim=1)
            if asked.subgoals is not None and before.subgoals is not None:
                new = new | (asked.subgoals.active != before.subgoals.active)
        self._spent = torch.where(new, 0, self._spent + 1)
        return new

    def _unsure(self, percept: Percept) -> Tensor:
        """Say whose percept is much more surprising or uncertain than usual, [B]."""
        much, sense = self.config.surprise, percept.uncertainty
        usual = torch.where(self._usual.isnan(), sense, self._usual)
        self._usual = usual + FOLLOW * (sense - usual)
        return (percept.surprise > much) | (sense > much * usual)

    def _decide(self, asked: Directive, unsure: Tensor, new: Tensor, over: Tensor) -> None:
        """Where a spell is `over`, learn from it, and choose the mode of the next one."""
        config, share = self.config, self._headway.share
        gain = self._from - share
        counts = over & gain.isfinite() & (asked.mode == Mode.DELIBERATE)
        self.worth.learn(self._thinking, self._situation, gain, counts.nonzero()[:, 0])
        bits = torch.stack((gain < config.progress, share > config.far, unsure)).long()
        situation = (bits * torch.tensor([[1], [2], [4]])).sum(dim=0)
        reacted, thought = (
            believed.gather(1, situation[:, None])[:, 0] for believed in self.worth.table()
        )
        slack = self._slack(asked)
        cost = 1.0 + (config.cost - 1.0) * slack
        thinking = thought > cost * reacted.clamp(min=0.0) + config.price * slack
        self._situation = torch.where(over, situation, self._situation)
        self._thinking = torch.where(over, thinking & ~new, self._thinking)
        self._from = torch.where(over, share, self._from)
        self._left = torch.where(over, torch.where(new, 1, config.spell), self._left)

    def _slack(self, asked: Directive) -> Tensor:
        """Return how much time is left until the deadline, as a share, [B]; 1 without one."""
        active = 0 if asked.subgoals is None else asked.subgoals.active
        ends = self._deadlines[active]
        slack = torch.where(ends > 0, 1.0 - self._spent / ends, 1.0)
        return slack.clamp(min=0.0)


def _late(verdict: Verdict, batch: int) -> list[bool]:
    """Say for whom the last tick came too late."""
    said = [reason.startswith("late") for reason in verdict.reasons]
    return said if len(said) == batch else [any(said)] * batch
