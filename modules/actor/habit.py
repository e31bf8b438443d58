"""The more a situation is practised, the less it takes thinking about.

Source: LeCun (2022) sec. 3.1.3, from Mode-2 to Mode-1; Daw, Niv, Dayan (2005), arbitration between
a deliberating and a habitual controller; Zhang, Cho (2017), SafeDAgger, a pupil that calls for its
teacher, and learns from what it is then shown.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Directive, Mode, Plan
from agent.core.protocols import Site
from modules.actor.cem import CEM
from modules.actor.doubt import Doubt
from modules.actor.policy import Policy
from modules.actor.practice import Practice
from modules.actor.search import Found

BRIEF = 2
"""Ticks up to which an episode is none: wiring tries so many, on zeros."""


class Habit(CEM):
    """Does what its policy proposes where that will do, deliberates as `cem` where it will not.

    Where a directive asks for Mode-2, the policy's proposal is imagined and judged first. Where it
    breaks a guardrail, falls behind the last plan carried on, or energy has not fallen for a while,
    the agent thinks, as `cem` does; whenever that gains nothing over what was in hand, it
    waits longer before it thinks again, and goes by the better of proposal and last plan. Where a
    directive asks for Mode-1 it never thinks. `Plan.mode` says what was done.

    Plans that were better than the proposal are lessons. With `lasting` practice the policy
    imitates them between episodes, so that ticks take no longer for it; lessons and policy then
    survive `reset`. The weights that were loaded stay as they are: what is trained is a copy.
    Agents in lock-step share it.
    """

    class Config(CEM.Config):
        """As `cem`, and when to think, and how to practise.

        `tolerated` is the share of the energy by which a proposal may fall behind, and below
        which a gain is none; after `patience` ticks without progress there is doubt (0: always).
        The latest `lessons` are kept; `steps` of `batch` of them follow an episode, at Adam's
        `rate`. `fresh` forgets the skill that was loaded, to begin unpractised. With `asleep` those
        steps are left to `rehearse`, which a sleeping agent calls, and what habit did well is a
        lesson too: skill that is there already is not to be lost.
        """

        tolerated: float = Field(default=0.05, ge=0)
        patience: int = Field(default=4, ge=0)
        lasting: bool = False
        fresh: bool = False
        asleep: bool = False
        lessons: int = Field(default=8192, ge=1)
        steps: int = Field(default=100, ge=0)
        batch: int = Field(default=256, ge=1)
        rate: float = Field(default=1e-3, gt=0)

    posts: ClassVar[type] = Plan

    def __init__(self, config: Config, site: Site) -> None:
        """Build the planner. Raises ValueError as `cem` does."""
        super().__init__(config, site)
        self.config: Habit.Config = config
        self._practice: Practice | None = None
        self._episode: list[tuple[Tensor, Tensor, Tensor]] = []
        self._mode = torch.zeros(0, dtype=torch.int64)
        self._doubt: Doubt | None = None

    def reset(self, batch: int) -> None:
        """Begin an episode; practise what the last one taught, or forget it."""
        ticks = self._tick
        super().reset(batch)
        if not self.config.lasting:
            self._practice = None
        elif ticks > BRIEF and self._episode:
            self._take_lessons()
            if not self.config.asleep:
                self._practised().rehearse(self.config.steps)
        self._episode, self._doubt = [], None

    def rehearse(self) -> dict[str, float]:
        """Practise, unless proposals for the latest lessons get worse by it.

        Returns how many `lessons` there are, and whether what was practised is `taken` over.
        """
        if self._episode and self._tick > BRIEF:
            self._take_lessons()
        taken = self._practised().judged(self.config.steps)
        return {"lessons": float(self._practised().count), "taken": float(taken)}

    @property
    def practice(self) -> Practice:
        """The skill of this life, as practised as it is, and its lessons."""
        return self._practised()

    def forget(self) -> None:
        """Start a new life: nothing is practised but what the weights know."""
        self._practice, self._episode = None, []
        self.reset(1)

    @torch.no_grad()
    def plan(self, latent: Tensor, directive: Directive) -> Plan:
        """Return plans from latents [B Z], of the mode that each agent took to.

        It looks at every tick, told to carry on or not: to see whether the habit will do is cheap.
        """
        made = super().plan(latent, replace(directive, carry=None))
        return replace(made, mode=self._mode)

    def _take_lessons(self) -> None:
        """Lay the episode's lessons to those that are practised."""
        self._practised().learn(*map(torch.cat, zip(*self._episode, strict=True)))
        self._episode = []

    def _practised(self) -> Practice:
        """Return the skill of this life: at first a copy of the policy as it was loaded."""
        if self._practice is None:
            policy, config = copy.deepcopy(self.policy), self.config
            if config.fresh:
                with torch.random.fork_rng(devices=()):
                    torch.manual_seed(self.site.seed)
                    policy.net.load_state_dict(Policy(config.policy, self.site).net.state_dict())
            seed = self.site.seed
            self._practice = Practice(policy, config.lessons, config.rate, config.batch, seed)
        return self._practice

    def _think(self, latent: Tensor, directive: Directive, begin: float) -> Found:
        """Return what agents do by habit, or what they found where that will not do."""
        goals, config = directive.goal, self.config
        seeds = self._seeds(latent, directive, self._practised().policy)
        pool, count = self._versions(latent, directive, seeds), len(self._shares)
        habit, carried = pool.first(count).best(1), pool.after(count).best(1)
        if self._doubt is None or len(self._mode) != len(latent):
            ticks = directive.horizon
            self._doubt = Doubt(goals, config.tolerated, config.patience, ticks)
        asked = directive.mode == Mode.DELIBERATE
        doubtful, behind = self._doubt(habit, carried, goals)
        thinking = asked & doubtful
        calm, rows = (~thinking).nonzero()[:, 0], thinking.nonzero()[:, 0]
        parts = [self._picked(pool.agents(calm))] if len(calm) else []
        if len(rows):
            seeds = torch.cat((seeds[:, :-1], habit.actions), dim=1)
            parts.append(self._searched(latent, directive, seeds, rows, begin))
        found = Found.joined(parts, [some for some in (calm, rows) if len(some)])
        chosen, known = found.best.first(1), pool.best(1)
        energies = known.energy[:, 0], chosen.energy[:, 0]
        self._doubt.settle(asked, thinking, *energies, found.complete)
        self._mode = torch.where(thinking, int(Mode.DELIBERATE), int(Mode.REACTIVE))
        learned = torch.ones_like(asked) if config.asleep else thinking | behind
        good = asked & learned & (chosen.violation[:, 0] <= 0)
        if config.lasting and bool(good.any()):
            self._episode.append((latent[good], goals[good], chosen.actions[good, 0]))
        return replace(found, tried=found.tried + pool.energy[rows].numel())
