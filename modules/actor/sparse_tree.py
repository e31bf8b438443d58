"""A tree of states that can be reached, kept sparse: search that does not stop before walls.

Source: Li, Littlefield, Bekris (2016), stable sparse RRT: of states close to each other only the
cheapest is kept; here layer by layer, through a learned model.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Directive, Mode, Plan
from agent.core.protocols import Site
from modules.actor.cem import CEM
from modules.actor.planner import MIX
from modules.actor.search import Found

SHARE = 0.25
"""Of the budget, what growing a tree may take."""


class SparseTree(CEM):
    """Grows a tree from the present, then refines the best of its branches as `cem` does.

    From every state `branches` actions are imagined, for one step. What breaks a guardrail is left
    out, and so is what comes close, in the goal's quantity (in latents, if that is not read out),
    to where it was before, or cheaper. So a tree covers the places that can be reached at all, also
    where every way there begins by going away from the goal. It suits a level whose plans are a few
    long steps; what a body does for a tenth of a second it would follow step by step.
    """

    class Config(CEM.Config):
        """As `cem`, and the tree.

        Places closer than the share `near` of a step's mean length count as one; at most `width` of
        a layer are followed. The best `routes` are handed on: remaining at the end of one counts
        for `patience` steps. `spread` is the deviation of the boldest actions tried, in
        units of half the actuator range; the gentlest are a fifth of it. A step that ended farther
        than `wary`, in the goal's unit, from where it was foreseen is not tried again in the same
        episode, nor one that begins and ends within twice that of it; 0: all are.
        """

        branches: int = Field(default=16, ge=2)
        near: float = Field(default=0.8, gt=0)
        width: int = Field(default=48, ge=1)
        routes: int = Field(default=4, ge=1)
        patience: float = Field(default=50.0, ge=0)
        spread: float = Field(default=0.6, gt=0)
        wary: float = Field(default=0.0, ge=0)

    posts: ClassVar[type] = Plan
    config: Config

    def __init__(self, config: Config, site: Site) -> None:
        """Build the planner. Raises ValueError as `cem` does."""
        super().__init__(config, site)
        self.config = config
        self._quantity = next(iter(site.goal.names), "")
        self._routes = torch.zeros(0)
        self._awaited: Tensor | None = None
        self._vainly: list[Tensor] = []

    def reset(self, batch: int) -> None:
        """Forget the episode, and what was tried in vain in it."""
        super().reset(batch)
        self._awaited, self._vainly = None, []

    def _think(self, latent: Tensor, directive: Directive, begin: float) -> Found:
        """Return what was found for all agents, with their routes among the candidates."""
        config, rest = self.config, self.policy.rest
        rows = (directive.mode == Mode.DELIBERATE).nonzero()[:, 0]
        self._routes = rest.expand(len(latent), config.routes, directive.horizon, -1).clone()
        tried = 0
        if self.config.wary:
            self._compare(latent, directive)
        if len(rows):
            until = begin + SHARE * directive.budget_ms / 1e3
            vain = [steps[rows] for steps in self._vainly]
            trees = self._grown(latent[rows], directive.rows(rows), until, vain)
            for row, tree in zip(rows.tolist(), trees, strict=True):
                for index, route in enumerate(tree.routes(config.routes, config.patience)):
                    self._routes[row, index, : len(route)] = route
                tried += tree.tried
        found = super()._think(latent, directive, begin)
        if self.config.wary:
            here = self._ends(latent, rest.expand(len(latent), 1, 1, -1), directive)
            there = self._ends(latent, found.best.actions[:, :1, :1], directive)
            self._awaited = torch.stack((here, there), dim=1)
        return replace(found, tried=found.tried + tried)

    def _ends(self, latent: Tensor, actions: Tensor, directive: Directive) -> Tensor:
        """Return where one step ends [B G], in the goal's quantity, of `actions` [B 1 1 A]."""
        rollout, _ = self._objective(latent, actions, directive)
        return rollout.quantities.get(self._quantity, rollout.latents).mean(dim=0)[:, 0, 0]

    def _compare(self, latent: Tensor, directive: Directive) -> None:
        """Remember the steps [B 2 G] that did not lead where they should have, and stop there."""
        awaited, self._awaited = self._awaited, None
        if awaited is None or len(awaited) != len(latent):
            return
        here = self._ends(latent, self.policy.rest.expand(len(latent), 1, 1, -1), directive)
        missed = (here - awaited[:, 1]).norm(dim=-1) > self.config.wary
        self._vainly.append(awaited.masked_fill(~missed[:, None, None], torch.inf))
        if self._last is not None:
            self._last[missed] = self.policy.rest

    def _like(self, there: Tensor, steps: Tensor) -> Tensor:
        """Say which steps [f P], ending `there` [f P G], are about those tried in vain [f 2 G].

        A step begins where resting, the first of the P, would lead.
        """
        begin = (there[:, :1] - steps[:, :1]).norm(dim=-1)
        end = (there - steps[:, 1:]).norm(dim=-1)
        return torch.maximum(begin, end) <= 2 * self.config.wary

    def _warm(self, batch: int, horizon: int) -> Tensor:
        return torch.cat((super()._warm(batch, horizon), self._routes), dim=1)

    def _grown(
        self, latent: Tensor, directive: Directive, until: float, vain: Sequence[Tensor] = ()
    ) -> list[Grown]:
        """Return a tree for every agent; their layers are imagined together, `until` it is time.

        Steps like those in `vain`, each [B 2 G], are left out.
        """
        choices = self._choices()
        trees = [Grown(start, choices) for start in latent]
        for _ in range(directive.horizon):
            counts = [len(tree.frontier) for tree in trees]
            if not sum(counts) or time.perf_counter() > until:
                break
            owners = torch.arange(len(trees)).repeat_interleave(torch.tensor(counts))
            states = torch.cat([tree.states[tree.frontier] for tree in trees])
            tried = choices[None, :, None].expand(len(states), -1, -1, -1)
            rollout, bill = self._objective(states, tried, directive.rows(owners))
            good = torch.isfinite(bill.energy) & (bill.violation <= 0)
            there = rollout.quantities.get(self._quantity, rollout.latents).mean(dim=0)[:, :, 0]
            for steps in vain:
                good &= ~self._like(there, steps[owners])
            told = Step(rollout.latents.mean(dim=0)[:, :, 0], there, bill.energy, good)
            for tree, part in zip(trees, told.split(counts), strict=True):
                tree.grow(part, self.config.near, self.config.width)
        return trees

    def _choices(self) -> Tensor:
        """Return this tick's actions [P A], rest first, the same for all agents."""
        policy, count = self.policy, self.config.branches - 1
        generator = torch.Generator().manual_seed(self.site.seed * MIX + self._tick)
        noise = torch.randn(count, len(policy.rest), generator=generator)
        share = torch.linspace(0.2, 1.0, count)[:, None]
        moves = policy.rest + self.config.spread * share * self.extent * noise
        return torch.cat((policy.rest[None], moves.clamp(policy.low, policy.high)))


@dataclass(frozen=True, slots=True)
class Step:
    """What is imagined of P actions from each of f states, for one step.

    Where they end: latents `ends` [f P Z], `places` [f P G] in the goal's quantity. What they cost:
    `energy` [f P]. Whether they are `good` [f P]: finite, and breaking no guardrail.
    """

    ends: Tensor
    places: Tensor
    energy: Tensor
    good: Tensor

    def split(self, counts: list[int]) -> list[Step]:
        """Return the steps from the first states, from the next, and so on."""
        parts = (torch.split(p, counts) for p in (self.ends, self.places, self.energy, self.good))
        return [Step(*some) for some in zip(*parts, strict=True)]


class Grown:
    """One agent's tree: `states` [m Z], their `places` [m G], what led there, what it cost.

    The root's place is taken to be where resting for a step leads.
    """

    def __init__(self, start: Tensor, choices: Tensor) -> None:
        """Plant it at latent `start` [Z]; `choices` [P A] are the actions tried at every state."""
        self.states, self.frontier = start[None], torch.zeros(1, dtype=torch.int64)
        self.places, self.tried = start.new_zeros(0), 0
        self._choices = choices
        self._paid, self._last = torch.zeros(1), torch.full((1,), torch.inf)
        self._parent = self._choice = torch.full((1,), -1)
        self._radius = 0.0

    def grow(self, step: Step, near: float, width: int) -> None:
        """Add what is new among the ends of a step from the frontier's states, cheapest first."""
        self.tried += step.energy.numel()
        if not self._radius:
            self.places = step.places[0, :1]
            self._radius = near * float((step.places[0] - self.places).norm(dim=-1).mean())
            self._last[0] = step.energy[0, 0]
        came, which = step.good.nonzero(as_tuple=True)
        parents, places = self.frontier[came], step.places[came, which]
        paid = self._paid[parents] + step.energy[came, which]
        chosen = self._sparse(places, paid, width)
        first = len(self.states)
        self.states = torch.cat((self.states, step.ends[came, which][chosen]))
        self.places = torch.cat((self.places, places[chosen]))
        self._paid = torch.cat((self._paid, paid[chosen]))
        self._last = torch.cat((self._last, step.energy[came, which][chosen]))
        self._parent = torch.cat((self._parent, parents[chosen]))
        self._choice = torch.cat((self._choice, which[chosen]))
        self.frontier = torch.arange(first, len(self.states))

    def _sparse(self, places: Tensor, paid: Tensor, width: int) -> Tensor:
        """Return which of `places` [n G] to keep: none near a known one, none near a cheaper."""
        order = paid.argsort()
        if not len(order):
            return order
        there = places[order]
        new = torch.cdist(there, self.places).amin(dim=1) > self._radius
        close = torch.cdist(there, there) <= self._radius
        kept: list[int] = []
        while len(kept) < width and bool(new.any()):
            index = int(new.int().argmax())
            kept.append(index)
            new &= ~close[index]
        return order[kept]

    def routes(self, count: int, patience: float) -> list[Tensor]:
        """Return the actions [k A] to the states where it is best to have come, the best first.

        Best is what costs least if one then stays there for `patience` steps.
        """
        score = self._paid + patience * self._last
        found = []
        for end in score.argsort()[:count].tolist():
            taken, here = [], end
            while self._parent[here] >= 0:
                taken.append(int(self._choice[here]))
                here = int(self._parent[here])
            found.append(self._choices[taken[::-1]])
        return found
