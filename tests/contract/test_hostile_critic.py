"""A critic orders the plans that guardrails allow; it can never change which these are.

Every planner plans through the real cost and the runtime's objective, with a critic that lies,
breaks, or bends gradients. The same objective without it says what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.config.resolve import resolve
from agent.core.guardrails import Guardrails
from agent.core.messages import Bill, Directive, Mode, Plan, Rollout
from agent.core.objective import GuardedObjective
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.cost.composite import CompositeCost
from modules.cost.terms.distance import Distance
from tests.contract.fuzz import planners
from tests.toys import ACTUATORS, Adding, Below, Place

PLACE = Layout((Channel("place", 2, "m"),))
STARTS, GOALS = [[0.0, 0.0], [0.2, -0.1], [-0.3, 0.2]], [[2.0, 0.3], [0.3, -0.5], [-1.0, -2.0]]
WALL, H = 0.4, 6


class Bomb(torch.autograd.Function):
    """Zero, whose slopes are as large as asked for."""

    @staticmethod
    def forward(ctx: Any, latents: Tensor, size: float) -> Tensor:
        ctx.size, ctx.shape = size, latents.shape
        return latents.new_zeros(latents.shape[:-1])

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        return slopes[0].unsqueeze(-1).expand(ctx.shape) * 0.0 + ctx.size, None


def beyond(latents: Tensor) -> Tensor:
    """Say which latents are beyond the wall."""
    return latents[..., 0] > WALL


def spoil(latents: Tensor) -> Tensor:
    """Write over what was imagined."""
    with torch.no_grad():
        latents.fill_(-9.0)
    return latents.sum(dim=-1) * 0.0


CRITICS: dict[str, Callable[[Tensor], Tensor]] = {
    "much": lambda z: torch.full(z.shape[:-1], 1e9),
    "less than nothing": lambda z: torch.full(z.shape[:-1], -1e9),
    "praises what is forbidden": lambda z: torch.where(beyond(z), -1e9, 1e9),
    "no number": lambda z: torch.full(z.shape[:-1], torch.nan),
    "infinite": lambda z: torch.full(z.shape[:-1], torch.inf),
    "minus infinite": lambda z: torch.full(z.shape[:-1], -torch.inf),
    "no number for what is allowed": lambda z: torch.where(beyond(z), 0.0, torch.nan),
    "infinite for what is allowed": lambda z: torch.where(beyond(z), 0.0, torch.inf),
    "overflows": lambda z: torch.where(beyond(z), -3e38, 3e38),
    "steep": lambda z: Bomb.apply(z, -1e30),  # type: ignore[no-untyped-call]
    "steepest": lambda z: Bomb.apply(z, -torch.inf),  # type: ignore[no-untyped-call]
    "slopes that are no number": lambda z: Bomb.apply(z, torch.nan),  # type: ignore[no-untyped-call]
    "drags over the wall": lambda z: 1e6 * (9.0 - z[..., 0]),
    "writes over what was imagined": spoil,
}
EVERY = pytest.mark.parametrize("name", planners())
HOSTILE = pytest.mark.parametrize("critic", CRITICS)


class Critic:
    """A critic that answers as told, differentiable or not."""

    def __init__(self, answer: Callable[[Tensor], Tensor]) -> None:
        self.anticipate = answer


class Watched:
    """The runtime's objective, and everything that was asked of it."""

    def __init__(self, critic: Any, wall: float, raw: bool = False) -> None:
        site = Site(PLACE, ACTUATORS, 20.0, 2, PLACE)
        rails = Guardrails((Below(wall),), Place().requires_grad_(False))
        term = Distance(Distance.Config(quantity="place"), site)
        cost = CompositeCost(CompositeCost.Config(anticipation=1.0), site, [term], Place(), critic)
        if raw:
            cost._anticipate = critic.anticipate  # type: ignore[method-assign]
        self.terms = cost.terms
        self.real = GuardedObjective(Adding(), cost, rails)  # type: ignore[arg-type]
        self.asked: list[tuple[Tensor, Tensor]] = []

    def __call__(
        self, state: Tensor, actions: Tensor, directive: Directive
    ) -> tuple[Rollout, Bill]:
        rollout, bill = self.real(state, actions, directive)
        self.asked.append((state.clone(), actions.detach().clone()))
        return rollout, bill


def planned(name: str, objective: Watched, mode: Mode = Mode.DELIBERATE, ticks: int = 2) -> Plan:
    """Return the second plan, made with the first as a warm start; only its questions are kept."""
    kind = resolve("actor", name)
    site = Site(PLACE, ACTUATORS, 20.0, 2, PLACE, objective.terms, ("below",), objective)
    torch.manual_seed(1)
    made = kind(kind.Config(chunk=8), site)
    b, latent = len(STARTS), torch.tensor(STARTS)
    ones, modes = torch.ones(b, len(objective.terms)), torch.full((b,), int(mode))
    asked = Directive(torch.tensor(GOALS), ones, torch.ones(b, 1), modes, H)
    for _ in range(ticks):
        objective.asked = []
        plan: Plan = made.plan(latent, asked)
    return plan


def truth(actions: Tensor, wall: float) -> Tensor:
    """Return the violation [B K] of actions [B K H A], worked out without objective or critic."""
    places = torch.tensor(STARTS)[:, None, None] + actions.cumsum(dim=2)
    excess = places[..., 0] - wall
    return excess.nan_to_num(torch.inf, torch.inf, torch.inf).clamp(min=0.0).sum(dim=-1)


def considered(objective: Watched, wall: float) -> Tensor:
    """Return the violation of every whole plan that was asked about, [B K]."""
    whole = [a for state, a in objective.asked if len(state) == len(STARTS)]
    longest = max(actions.shape[2] for actions in whole)
    whole = [actions for actions in whole if actions.shape[2] == longest]
    return torch.cat([truth(actions, wall) for actions in whole], dim=1)


@EVERY
@HOSTILE
@pytest.mark.parametrize("mode", [Mode.DELIBERATE, Mode.REACTIVE])
def test_a_hostile_critic_never_makes_a_planner_prefer_what_is_forbidden(
    name: str, critic: str, mode: Mode
) -> None:
    for wall in (WALL, -0.1, -2.0):
        objective = Watched(Critic(CRITICS[critic]), wall)
        plan = planned(name, objective, mode)
        own, found = truth(plan.actions[:, None], wall)[:, 0], considered(objective, wall)
        torch.testing.assert_close(plan.violation, own, msg="it says what the guardrails say")
        able = (found <= 0).any(dim=1)
        assert bool((own[able] <= 0).all()), "something was allowed, and something else chosen"
        close = own <= found.amin(dim=1) + 1e-4
        assert bool(close.all()), "where nothing is allowed, the least violation comes first"
        assert bool(torch.isfinite(plan.energy).all())
        assert plan.reasons == ()


@EVERY
def test_a_critic_without_bounds_is_refused_rather_than_obeyed(name: str) -> None:
    """The bound of the built-in cost aside: the planner's own ranking puts guardrails first."""
    for critic in ("no number for what is allowed", "infinite for what is allowed", "no number"):
        objective = Watched(Critic(CRITICS[critic]), WALL, raw=True)
        plan = planned(name, objective)
        assert bool((truth(plan.actions[:, None], WALL) <= 0).all())
        assert bool((plan.violation <= 0).all())
        assert all(bool(reason) != ok for reason, ok in zip(
            plan.reasons or [""] * 3, torch.isfinite(plan.energy).tolist(), strict=True
        ))  # fmt: skip


@EVERY
@HOSTILE
def test_the_guardrails_say_the_same_of_a_plan_whatever_the_critic_says(
    name: str, critic: str
) -> None:
    hostile, none = Watched(Critic(CRITICS[critic]), WALL), Watched(None, WALL)
    for objective in (hostile, none):
        planned(name, objective, ticks=1)
    ones = torch.ones(len(STARTS), len(none.terms))
    mode = torch.full((len(STARTS),), 2)
    ask = Directive(torch.tensor(GOALS), ones, torch.ones(len(STARTS), 1), mode, H)
    whole = [a for _, a in none.asked if len(a) == len(STARTS) and a.shape[2] == H]
    actions = torch.cat(whole, dim=1)
    state = torch.tensor(STARTS)
    one, other = (o(state, actions, ask)[1] for o in (hostile, none))
    assert torch.equal(one.guardrails, other.guardrails)
    assert torch.equal(one.violation, other.violation)
    assert bool(torch.isfinite(one.energy).all())
    assert bool((one.violation > 0).any())
    assert bool((one.violation <= 0).any())


@EVERY
def test_a_critic_does_order_what_is_allowed(name: str) -> None:
    """So the tests above could fail: it is listened to, among plans that are allowed."""
    ends = {}
    for sign in (-1.0, 1.0):
        objective = Watched(Critic(lambda z, s=sign: 100.0 + 20.0 * s * z[..., 1]), 1e9)
        ends[sign] = planned(name, objective).latents[:, -1, 1]
    assert bool((ends[-1.0] > ends[1.0] + 0.1).all())


def test_the_old_ranking_would_have_been_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a cost that is no number makes a plan count as forbidden, the test above fails."""
    from modules.actor.sampling import Pool

    real = Pool.of

    def worse(rollout: Rollout, bill: Bill) -> Pool:
        pool = real(rollout, bill)
        bad = ~torch.isfinite(bill.energy)
        return pool.without(bad)

    monkeypatch.setattr(Pool, "of", staticmethod(worse))
    with pytest.raises(AssertionError):
        test_a_critic_without_bounds_is_refused_rather_than_obeyed("cem")
