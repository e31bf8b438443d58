"""A tree of states that can be reached, kept sparse: search that does not stop before walls.

Source: Li, Littlefield, Bekris (2016), stable sparse RRT: of states close to each other only the
cheapest is kept; here layer by layer, through a learned model.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Directive, Mode, Plan
from agent.core.protocols import Above, Site
from modules.actor.cem import CEM
from modules.actor.offers import Offer, offered
from modules.actor.planner import MIX
from modules.actor.policy import Policy
from modules.actor.search import Found
from modules.actor.tree import Grown, Step

SHARE = 0.25
"""Of the budget, what growing a tree may take."""


class SparseTree(CEM):
    """Grows a tree from the present, then refines the best of its branches as `cem` does.

    From every state `branches` actions are imagined, for one step. What breaks a guardrail is left
    out (at first, what breaks them more than rest), and so is what comes close, in the goal's
    quantity (in latents, if that is not read out), to where it was before, or cheaper. So a tree
    covers the places that can be reached at all, also where every way there begins by going away
    from the goal. It suits a level whose plans are a few long steps; what a body does for a tenth
    of a second it would follow step by step.
    """

    class Config(CEM.Config):
        """As `cem`, and the tree.

        All `branches` are tried as first steps, and `deeper` of them after that, at every depth
        others; 0: all. Places closer than the share `near` of a step's mean length count as one; at
        most `width` of a layer are followed. The best `routes` are handed on: remaining at the end
        of one counts for `patience` steps, and rest follows it, which may itself break a guardrail;
        then another route does. `spread` is the deviation of the boldest actions tried, in
        units of half the actuator range; the gentlest are a fifth of it. Steps of a plan that was
        left farther than `wary`, in the goal's unit, from where it was foreseen to be are not tried
        again in the next `kept` plans of the episode, nor ones that begin and end within that of
        one of them; 0: all are. Who never forgot would in the end try nothing. With `grounded`,
        actions are codes of what the level below tried; a first step that it would not be allowed,
        or foresees to end farther than `trust` from there, is left out.
        """

        branches: int = Field(default=16, ge=2)
        near: float = Field(default=0.8, gt=0)
        width: int = Field(default=48, ge=1)
        routes: int = Field(default=4, ge=1)
        patience: float = Field(default=50.0, ge=0)
        spread: float = Field(default=0.6, gt=0)
        wary: float = Field(default=0.0, ge=0)
        kept: int = Field(default=8, ge=1)
        grounded: bool = False
        trust: float = Field(default=0.0, ge=0)
        iterations: int = Field(default=3, ge=0)
        deeper: int = Field(default=0, ge=0)

    posts: ClassVar[type] = Plan
    config: Config

    def __init__(self, config: Config, site: Site) -> None:
        """Build the planner. Raises ValueError as `cem` does."""
        super().__init__(config, site)
        self.config = config
        self._quantity = next(iter(site.goal.names), "")
        self._routes = torch.zeros(0)
        self._awaited: Tensor | None = None
        self._vainly: list[Tensor] = []  # of every plan kept, [B f 2 G]
        self._offer: Offer | None = None

    def ground(self, place: Above, below: Site, latent: Tensor, directive: Directive) -> None:
        """Ask the level below, at latents [B Z], what it can do in the step planned next."""
        if self.config.grounded:
            shares = torch.cat((torch.zeros(1), self._shares_tried()))
            self._offer = offered(place, below, latent, directive, shares, self._generator())

    def handed(self, plan: Plan) -> Tensor | None:
        """Return what the level below tried for a plan's first step, [B n A]; None if nothing."""
        return None if self._offer is None else self._offer.of(plan.actions[:, 0])

    def reset(self, batch: int) -> None:
        """Forget the episode, and what was tried in vain in it."""
        super().reset(batch)
        self._awaited, self._vainly, self._offer = None, [], None

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
            vain = torch.cat(self._vainly, dim=1)[rows] if self._vainly else None
            first = self._allowed(rows)
            trees = self._grown(latent[rows], directive.rows(rows), until, vain, first)
            for row, tree in zip(rows.tolist(), trees, strict=True):
                for index, route in enumerate(tree.routes(config.routes, config.patience)):
                    self._routes[row, index, : len(route)] = route
                tried += tree.tried
        found = super()._think(latent, directive, begin)
        if self.config.wary:
            here = self._ends(latent, rest.expand(len(latent), 1, 1, -1), directive)
            there = self._ends(latent, found.best.actions[:, :1, : self.site.follow], directive)
            self._awaited = torch.cat((here, there), dim=1)
        return replace(found, tried=found.tried + tried)

    def _ends(self, latent: Tensor, actions: Tensor, directive: Directive) -> Tensor:
        """Return where steps end [B h G], in the goal's quantity, of `actions` [B 1 h A]."""
        rollout, _ = self._objective(latent, actions, directive)
        return rollout.quantities.get(self._quantity, rollout.latents).mean(dim=0)[:, 0]

    def _compare(self, latent: Tensor, directive: Directive) -> None:
        """Remember the steps of plans that did not lead where they should have, and stop there."""
        awaited, self._awaited = self._awaited, None
        if awaited is None or len(awaited) != len(latent):
            return
        here = self._ends(latent, self.policy.rest.expand(len(latent), 1, 1, -1), directive)
        missed = (here[:, 0] - awaited[:, -1]).norm(dim=-1) > self.config.wary
        vain = awaited.masked_fill(~missed[:, None, None], torch.inf).unfold(1, 2, 1).mT
        self._vainly = [*self._vainly, vain][-self.config.kept :]
        if self._last is not None:
            self._last[missed] = self.policy.rest

    def _like(self, there: Tensor, steps: Tensor) -> Tensor:
        """Say which steps [f P], ending `there` [f P G], are about ones tried in vain [f n 2 G].

        A step begins where resting, the first of the P, would lead.
        """
        begin = (there[:, :1] - steps[:, :, 0]).norm(dim=-1)[:, None]
        end = (there[:, :, None] - steps[:, None, :, 1]).norm(dim=-1)
        return (torch.maximum(begin, end) <= self.config.wary).any(dim=-1)

    def _seeds(self, latent: Tensor, directive: Directive, policy: Policy) -> Tensor:
        if self._offer is not None:  # nothing else has been tried out below
            return self._routes
        return super()._seeds(latent, directive, policy)

    def _warm(self, batch: int, horizon: int) -> Tensor:
        return torch.cat((super()._warm(batch, horizon), self._routes), dim=1)

    def _allowed(self, rows: Tensor) -> tuple[Tensor, Tensor | None] | None:
        """Return which first steps the level below allows, [b P], and where it ends, [b P G]."""
        if self._offer is None:
            return None
        ends = self._offer.ends
        return self._offer.allowed[rows], None if ends is None else ends[rows]

    def _grown(
        self,
        latent: Tensor,
        directive: Directive,
        until: float,
        vain: Tensor | None = None,
        first: tuple[Tensor, Tensor | None] | None = None,
    ) -> list[Grown]:
        """Return a tree for every agent; their layers are imagined together, `until` it is time.

        Steps like those in `vain` [B n 2 G] are left out, and `first` ones not allowed.
        """
        choices = self._choices()
        trees = [Grown(start, choices) for start in latent]
        for depth in range(directive.horizon):
            counts = [len(tree.frontier) for tree in trees]
            if not sum(counts) or time.perf_counter() > until:
                break
            owners = torch.arange(len(trees)).repeat_interleave(torch.tensor(counts))
            states = torch.cat([tree.states[tree.frontier] for tree in trees])
            which = self._which(depth, len(choices))
            tried = choices[None, which, None].expand(len(states), -1, -1, -1)
            rollout, bill = self._objective(states, tried, directive.rows(owners))
            bound = 0.0 if depth else bill.violation[:, :1].clamp(min=0.0)  # rest comes first
            good = torch.isfinite(bill.energy) & (bill.violation <= bound)
            there = rollout.quantities.get(self._quantity, rollout.latents).mean(dim=0)[:, :, 0]
            if vain is not None:
                good &= ~self._like(there, vain[owners])
            if depth == 0 and first is not None:
                good &= first[0]
                if first[1] is not None and self.config.trust:
                    good &= (there - first[1]).norm(dim=-1) <= self.config.trust
            told = Step(rollout.latents.mean(dim=0)[:, :, 0], there, bill.energy, good)
            for tree, part in zip(trees, told.split(counts), strict=True):
                tree.grow(part, self.config.near, self.config.width, which)
        return trees

    def _which(self, depth: int, count: int) -> Tensor:
        """Return which of `count` actions are tried at a depth: all, or rest and `deeper` more."""
        some = self.config.deeper
        if not depth or not some or some >= count - 1:
            return torch.arange(count)
        spread = torch.arange(some) * (count - 1) // some
        return torch.cat((torch.zeros(1, dtype=torch.int64), 1 + (spread + depth) % (count - 1)))

    def _choices(self) -> Tensor:
        """Return this tick's actions [P A], rest first, the same for all agents."""
        if self._offer is not None:
            return self._offer.actions
        policy, share = self.policy, self._shares_tried()[:, None]
        noise = torch.randn(len(share), len(policy.rest), generator=self._generator())
        moves = policy.rest + share * self.extent * noise
        return torch.cat((policy.rest[None], moves.clamp(policy.low, policy.high)))

    def _shares_tried(self) -> Tensor:
        """Return the deviations of all actions tried but rest, in shares of half their range."""
        return self.config.spread * torch.linspace(0.2, 1.0, self.config.branches - 1)

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.site.seed * MIX + self._tick)
