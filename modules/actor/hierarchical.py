"""Planning at several time scales: what a level predicts is what the one below goes for.

Source: LeCun (2022) sec. 4.7, fig. 16, hierarchical planning, and 4.8, under uncertainty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from pydantic import Field
from torch import Tensor, nn

from agent.core.levels import Climb
from agent.core.messages import Appraisal, Directive, Mode, Percept, Plan, Recollection
from agent.core.protocols import Above, Inbox, Ports, Site
from agent.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Standing:
    """A plan of a level that is being followed: what it foresees of the goal's quantity [B F H G].

    F is how many futures it foresees, 1 where the level has no latent variable. It was made `age`
    ticks ago, and went for `wanted` then, [B F' h' G].
    """

    plan: Plan
    foreseen: Tensor
    wanted: Tensor
    age: int = 0


@runtime_checkable
class Grounded(Protocol):
    """A planner that begins with what the level below can do."""

    def ground(self, place: Above, below: Site, latent: Tensor, directive: Directive) -> None:
        """Ask the level below, at latents [B Z], what it can do in the step planned next."""
        ...

    def handed(self, plan: Plan) -> Tensor | None:
        """Return what the level below tried for the first step of a plan, [B n A]; or nothing."""
        ...


class Hierarchical(nn.Module):
    """A planner for every level. The highest goes for the goal; every other for what is foreseen.

    A level plans anew whenever `follow` of its steps are over, from how the present looks there.
    Where its plan foresees being nearest to what it goes for, the level below is given that itself,
    and before it, step by step, the predicted states. A level with a latent variable hands down all
    the futures that it foresees, each with a nearest step of its own; one without, the mean of its
    networks as the only one. A level above whose plan is refused still says so in `Plan.above`: the
    gate looks at every level.
    """

    class Config(Settings):
        """`planners` are parts of the slot `actor`, for each level one, the lowest first.

        A step foreseen to end farther from the goal than the nearest by no more than `arrive`, in
        the goal's unit, counts as being there: the level below is given the goal from then on.
        """

        planners: list[dict[str, Any]] = Field(min_length=1)
        arrive: float = Field(default=0.0, ge=0)

    reads: ClassVar[tuple[type, ...]] = (Percept, Directive, Appraisal, Recollection)
    recalls: ClassVar[tuple[type, ...]] = ()
    posts: ClassVar[type] = Plan
    holds: ClassVar[tuple[str, ...]] = ("planners",)
    climbs: ClassVar[bool] = True
    """It plans at every level of the world model, and the gate expects it to."""

    def __init__(self, config: Config, site: Site, planners: Sequence[Any]) -> None:
        """Join planners. Raises ValueError unless there is one for every level."""
        super().__init__()
        levels = 1 + len(site.above)
        if len(planners) != levels:
            raise ValueError(
                f"expected {levels} planners, one for each level of the world model, came"
                f" {len(planners)}"
            )
        self.config, self.site = config, site
        self.planners: Any = nn.ModuleList(planners)
        self._climb = Climb(site.above)
        self._standing: list[Standing | None] = [None] * len(site.above)

    @staticmethod
    def places(site: Site) -> tuple[Site, ...]:
        """Return where each of the planners is at home."""
        return (site, *(above.site for above in site.above))

    @property
    def lowest(self) -> Any:
        """The planner of the lowest level, which goes for the goal itself if asked alone."""
        return self.planners[0]

    @property
    def policy(self) -> Any:
        """The Mode-1 network of the lowest level."""
        return self.lowest.policy

    def ports(self) -> Ports:
        """Insist on what the lowest level's planner does."""
        found: Ports = self.lowest.ports()
        return found

    def reset(self, batch: int) -> None:
        """Forget all plans."""
        for planner in self.planners:
            planner.reset(batch)
        self._climb.reset()
        self._standing = [None] * len(self.site.above)

    @torch.no_grad()
    def tick(self, inbox: Inbox) -> Plan:
        """Return the plan of this tick, with those of the levels above."""
        return self.plan(inbox[Percept].latent, inbox[Directive])

    @torch.no_grad()
    def plan(self, latent: Tensor, directive: Directive) -> Plan:
        """Return plans from latents [B Z]; levels above plan anew when it is their time."""
        codes, above = [latent, *self._climb.see(latent)], None
        wanted, carry = directive.goal[:, None, None], directive.carry
        for index in reversed(range(len(self.site.above))):
            standing = self._stand(index, codes, directive, wanted, above)
            if above is not None:  # counted from when this level planned, as what it foresees is
                wanted = standing.wanted
            wanted, above = self._wanted(index, standing, wanted), standing.plan
            carry = carry if standing.age else None  # where to go is new
        asked = replace(directive, foreseen=wanted, carry=carry) if above else directive
        made: Plan = self.lowest.plan(latent, asked)
        return replace(made, above=above)

    def _stand(
        self,
        index: int,
        codes: Sequence[Tensor],
        directive: Directive,
        wanted: Tensor,
        above: Plan | None,
    ) -> Standing:
        """Return the plan that a level follows now: the last one, or a new one when it is time."""
        place, standing = self.site.above[index], self._standing[index]
        if standing is not None and len(standing.foreseen) == len(codes[0]):
            standing = replace(standing, age=standing.age + 1)
            if standing.age < place.level.ticks * place.level.follow:
                self._standing[index] = standing
                return standing
        asked, planner = self._asked(place, directive, wanted), self.planners[index + 1]
        if isinstance(planner, Grounded):
            self._ground(index, planner, codes, directive)
        made = replace(planner.plan(codes[index + 1], asked), above=above)
        if isinstance(planner, Grounded) and (done := planner.handed(made)) is not None:
            self.planners[index].suggest(done)
        foreseen = self._foreseen(place, codes[index + 1], made, asked)
        self._standing[index] = standing = Standing(made, foreseen, wanted)
        return standing

    def _foreseen(self, place: Above, code: Tensor, plan: Plan, asked: Directive) -> Tensor:
        """Return where a plan from `code` [B Z] leads in the goal's quantity, [B F H G]."""
        quantity = self.site.goal.names[0]
        if place.level.latent_variable is None:
            return place.read(plan.latents)[quantity][:, None]
        assert place.site.objective is not None, "levels are judged before they are planned at"
        rollout, _ = place.site.objective(code, plan.actions[:, None], asked)
        return place.read(rollout.latents[:, :, 0])[quantity].movedim(0, 1)

    def _ground(
        self, index: int, planner: Grounded, codes: Sequence[Tensor], directive: Directive
    ) -> None:
        """Let a level's planner ask the one below what it can do."""
        below, asked = self.site, directive
        if index:
            place = self.site.above[index - 1]
            below = place.site
            asked = self._asked(place, directive, directive.goal[:, None, None])
        planner.ground(self.site.above[index], below, codes[index], asked)

    def _asked(self, place: Above, directive: Directive, wanted: Tensor) -> Directive:
        """Return the directive of a level above: its own terms and horizon, deliberate."""
        site, rows = place.site, len(directive.goal)
        columns = [self.site.terms.index(name) for name in site.terms]
        return replace(
            directive,
            weights=directive.weights[:, columns],
            mode=torch.full((rows,), int(Mode.DELIBERATE)),
            horizon=place.level.horizon,
            budget_ms=directive.budget_ms / len(self.planners),
            foreseen=wanted,
            latent=None,
            past=None,
            carry=None,
        )

    def _wanted(self, index: int, standing: Standing, goal: Tensor) -> Tensor:
        """Return what the level below is to go for at each of its next steps, [B F h G].

        `goal` [B F' h' G] is what this level goes for, as it was told when it planned if by a level
        above; the futures handed down are every pair of one of those and one of its own. A step of
        the level below counts towards the step of this one in which it ends.
        """
        place = self.site.above[index]
        below = self.site.above[index - 1].level.ticks if index else 1
        steps = standing.foreseen.shape[2]
        aims = goal[:, None, :, torch.arange(steps).clamp(max=goal.shape[2] - 1)]
        own = standing.foreseen[:, :, None]
        gap = torch.linalg.vector_norm(own - aims, dim=-1)
        near = gap <= gap.amin(dim=-1, keepdim=True) + self.config.arrive
        arrived = torch.arange(steps) >= near.int().argmax(dim=-1, keepdim=True)
        states = torch.where(arrived.unsqueeze(-1), aims, own).flatten(1, 2)
        end = standing.age + below * torch.arange(1, steps * place.level.ticks // below + 1)
        step = ((end + place.level.ticks - 1) // place.level.ticks - 1).clamp(max=steps - 1)
        return states[:, :, step]
