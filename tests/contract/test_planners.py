"""What every planner promises: bounds, warm starts, guardrails first, deadlines, rows alone."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from agent.config.resolve import resolve
from agent.core.messages import (
    Appraisal,
    Bill,
    Directive,
    Mode,
    Observation,
    Percept,
    Plan,
    Recollection,
    Rollout,
    Task,
)
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from tests.contract.stand import cases, part, same, tensors
from tests.toys import ACTUATORS

WATCHERS = {"still", "hierarchical"}
"""Actors that do not plan to get anywhere, or only through planners of their own."""

EVERY = pytest.mark.parametrize(
    ("slot", "name"), [c for c in cases("actor") if c.values[1] not in WATCHERS]
)
H = 6
LIMIT = 0.4


class Slide:
    """A point slides as it is pushed; energy is the squared distance to the goal, step by step.

    Where the first coordinate exceeds `wall` a guardrail is violated.
    """

    def __init__(self, wall: float = 1e9, slow_s: float = 0.0) -> None:
        self.wall, self.slow_s, self.tried = wall, slow_s, 0

    def __call__(
        self, state: Tensor, actions: Tensor, directive: Directive
    ) -> tuple[Rollout, Bill]:
        time.sleep(self.slow_s)
        b, k, h, _ = actions.shape
        self.tried += b * k
        places = state[:, None, None] + actions.cumsum(dim=2)
        away = (places - directive.goal[:, None, None]).square().sum(dim=-1)
        rail = places[..., 0] - self.wall
        bill = Bill(
            away.mean(dim=-1),
            away[:, :, None] / h,
            rail[:, :, None],
            rail.clamp_min(0.0).sum(dim=-1),
        )
        return Rollout(state, actions, places[None], {}), bill


class Holes(Slide):
    """Sliding, but whatever first moves right has an energy that is no number."""

    def __call__(
        self, state: Tensor, actions: Tensor, directive: Directive
    ) -> tuple[Rollout, Bill]:
        seen, bill = super().__call__(state, actions, directive)
        return seen, replace(
            bill, energy=bill.energy.masked_fill(actions[:, :, 0, 0] > 0, torch.nan)
        )


class Nothing(Slide):
    """Nothing has an energy."""

    def __call__(
        self, state: Tensor, actions: Tensor, directive: Directive
    ) -> tuple[Rollout, Bill]:
        seen, bill = super().__call__(state, actions, directive)
        return seen, replace(bill, energy=bill.energy * torch.nan)


def actor(
    slot: str, name: str, objective: Any, actuators: Layout = ACTUATORS, seed: int = 0
) -> Any:
    place = Layout((Channel("place", 2, "m"),))
    site = Site(place, actuators, 20.0, 2, place, ("away",), ("wall",), objective, seed)
    kind = resolve(slot, name)
    raw = {k: v for k, v in part(slot, name).items() if k != "use"}
    torch.manual_seed(1)
    made = kind(kind.Config(**raw), site)
    made.reset(1)
    return made


def ask(goals: Any, mode: Any = Mode.DELIBERATE, budget_ms: float = torch.inf) -> Directive:
    goal = torch.as_tensor(goals, dtype=torch.float32)
    b = len(goal)
    modes = torch.full((b,), int(mode)) if isinstance(mode, Mode) else torch.tensor(mode)
    return Directive(goal, torch.ones(b, 1), torch.ones(b, 1), modes, H, budget_ms)


def think(made: Any, places: Any, directive: Directive) -> Plan:
    latent = torch.as_tensor(places, dtype=torch.float32)
    b = len(latent)
    one = torch.zeros(b)
    said: dict[type, Any] = {
        Percept: Percept(latent, one, one),
        Directive: directive,
        Task: Task(directive.goal),
        Appraisal: Appraisal(torch.zeros(b, 1), one, one, one),
        Observation: Observation(latent, torch.ones(b, 1, dtype=torch.bool), one, one > 0),
        Recollection: Recollection(
            torch.zeros(b, 1, 2),
            torch.zeros(b, 1),
            torch.zeros(b, 1),
            torch.zeros(b, 1, dtype=torch.bool),
        ),
    }
    plan: Plan = made.tick(said)
    return plan


def energy(objective: Any, places: Any, plan: Tensor, directive: Directive) -> Tensor:
    _, bill = objective(torch.as_tensor(places, dtype=torch.float32), plan[:, None], directive)
    found: Tensor = bill.energy[:, 0]
    return found


GOALS = [[0.5, 0.3], [-3.0, -5.0], [9.0, 9.0]]
PLACES = [[0.0, 0.0], [0.2, -0.1], [1.0, 1.0]]


@EVERY
def test_the_bill_is_that_of_the_plan(slot: str, name: str) -> None:
    objective = Slide()
    plan = think(actor(slot, name, objective), PLACES, ask(GOALS))
    assert plan.actions.shape == (3, H, 2)
    torch.testing.assert_close(plan.energy, energy(objective, PLACES, plan.actions, ask(GOALS)))
    ends = torch.tensor(PLACES)[:, None] + plan.actions.cumsum(dim=1)
    torch.testing.assert_close(plan.latents, ends)
    torch.testing.assert_close(plan.terms.sum(dim=(1, 2)), plan.energy)


@EVERY
@settings(deadline=None, derandomize=True, max_examples=15)
@given(
    low=st.tuples(st.floats(-5, -0.125, width=32), st.floats(0.0, 3, width=32)),
    extent=st.floats(0.0625, 4, width=32),
    goal=st.tuples(st.floats(-50, 50, width=32), st.floats(-50, 50, width=32)),
)
def test_bounds_are_kept_however_they_lie(
    slot: str, name: str, low: tuple[float, float], extent: float, goal: tuple[float, float]
) -> None:
    high = (low[0] + extent, low[1] + extent)
    body = Layout((Channel("push", 2, "m/s", low, high),))
    least, most = body.bounds()
    made = actor(slot, name, Slide(), body)
    for mode in (Mode.DELIBERATE, Mode.REACTIVE, Mode.DELIBERATE):
        plan = think(made, [[0.0, 0.0]], ask([goal], mode))
        for actions in (plan.actions, plan.temptation):
            assert bool(((actions >= least) & (actions <= most)).all())


@EVERY
def test_a_plan_is_never_worse_than_the_last_one_carried_on(slot: str, name: str) -> None:
    objective = Slide()
    made = actor(slot, name, objective)
    places = torch.tensor(PLACES)
    before = think(made, places, ask(GOALS))
    for _ in range(5):
        places = places + before.actions[:, 0]
        rest = torch.zeros_like(before.actions[:, :1])
        warm = torch.cat((before.actions[:, 1:], rest), dim=1)
        after = think(made, places, ask(GOALS))
        assert bool((after.energy <= energy(objective, places, warm, ask(GOALS)) + 1e-5).all())
        before = after


@EVERY
def test_deliberating_is_never_worse_than_reacting_or_resting(slot: str, name: str) -> None:
    objective = Slide()
    made = actor(slot, name, objective)
    quick = think(made, PLACES, ask(GOALS, Mode.REACTIVE))
    made.reset(3)
    slow = think(made, PLACES, ask(GOALS))
    still = energy(objective, PLACES, torch.zeros_like(slow.actions), ask(GOALS))
    assert bool((slow.energy <= quick.energy + 1e-5).all())
    assert bool((slow.energy <= still + 1e-5).all())
    assert float(slow.energy[0]) < 0.5 * float(still[0])


@EVERY
def test_the_same_seed_makes_the_same_plans_and_another_does_not(slot: str, name: str) -> None:
    one, other = (actor(slot, name, Slide()) for _ in range(2))
    for _ in range(3):
        a, b = think(one, PLACES, ask(GOALS)), think(other, PLACES, ask(GOALS))
        assert all(same(v, tensors(b)[k]) for k, v in tensors(a).items())
    one.reset(3)
    other.reset(3)
    assert same(think(one, PLACES, ask(GOALS)).actions, think(other, PLACES, ask(GOALS)).actions)
    assert not same(
        a.actions, think(actor(slot, name, Slide(), seed=9), PLACES, ask(GOALS)).actions
    )


@pytest.mark.parametrize(
    ("slot", "name"), [c for c in cases("actor") if c.values[1] not in WATCHERS | {"habit"}]
)
@pytest.mark.parametrize("first_mode", [Mode.REACTIVE, Mode.DELIBERATE])
def test_told_to_carry_on_it_does_not_look_again(slot: str, name: str, first_mode: Mode) -> None:
    world = Slide()
    made, alone = actor(slot, name, world), actor(slot, name, Slide())
    modes = [int(first_mode), int(Mode.REACTIVE), int(Mode.DELIBERATE)]
    asked = ask(GOALS, modes)
    carry = replace(asked, carry=torch.tensor([True, False, False]))
    first = think(made, PLACES, asked)
    think(alone, PLACES[:1], asked.rows(slice(0, 1)))
    second = think(made, [[90.0, 90.0]] * 3, carry)
    again = think(alone, [[90.0, 90.0]], carry.rows(slice(0, 1)))
    assert same(second.actions[0, :-1], first.actions[0, 1:])
    assert all(same(v[:1], tensors(again)[k]) for k, v in tensors(second).items())
    assert float(second.energy[0]) < 1e3 < float(second.energy[1:].min()), "who is not to, looks"
    assert again.evaluations == 0
    assert second.mode.tolist() == [int(Mode.CARRIED), *modes[1:]]
    tried = world.tried
    made.reset(3)
    think(made, PLACES, carry)
    assert world.tried > tried, "after a reset there is nothing to carry on"


@EVERY
def test_an_agents_plan_does_not_depend_on_the_others(slot: str, name: str) -> None:
    one, other = (actor(slot, name, Slide()) for _ in range(2))
    five = [*PLACES, [0.1, 0.2], [0.4, 0.0]]
    goals = [*GOALS, [1.0, -1.0], [0.0, 0.0]]
    elsewhere = [[7.0, 7.0], five[1], [-7.0, 7.0], [3.0, 3.0], five[4]]
    aims = [[1.0, 1.0], goals[1], [2.0, 2.0], [0.0, 0.0], goals[4]]
    for _ in range(3):
        a, b = think(one, five, ask(goals)), think(other, elsewhere, ask(aims))
        for row in (1, 4):
            assert all(same(v[row], tensors(b)[k][row]) for k, v in tensors(a).items())
    assert not same(a.actions[0], b.actions[0])


@EVERY
def test_modes_are_each_agents_own(slot: str, name: str) -> None:
    made = actor(slot, name, Slide())
    mixed = think(made, PLACES, ask(GOALS, mode=[2, 1, 2]))
    assert mixed.mode.tolist() == [2, 1, 2]
    made.reset(3)
    quick = think(made, PLACES, ask(GOALS, Mode.REACTIVE))
    torch.testing.assert_close(mixed.actions[1], quick.actions[1])


@EVERY
def test_guardrails_come_before_energy(slot: str, name: str) -> None:
    objective = Slide(wall=LIMIT)
    made = actor(slot, name, objective)
    plan = think(made, [[0.0, 0.0]], ask([[2.0, 0.3]]))
    places = plan.actions.cumsum(dim=1)[0, :, 0]
    assert float(places.max()) <= LIMIT + 1e-6
    assert plan.violation.item() == 0.0
    assert plan.temptation_violation.item() > 0.0
    tempting = energy(objective, [[0.0, 0.0]], plan.temptation, ask([[2.0, 0.3]]))
    assert tempting.item() < plan.energy.item()


@EVERY
def test_where_nothing_is_allowed_the_least_violation_is_shown(slot: str, name: str) -> None:
    objective = Slide(wall=-2.0)
    plan = think(actor(slot, name, objective), [[0.0, 0.0]], ask([[2.0, 0.3]]))
    still = 2.0 * H
    assert 0.0 < plan.violation.item() < still


@EVERY
def test_what_is_no_number_is_never_chosen(slot: str, name: str) -> None:
    plan = think(actor(slot, name, Holes()), [[0.0, 0.0]], ask([[2.0, 0.3]]))
    assert bool(torch.isfinite(plan.energy).all())
    assert plan.actions[0, 0, 0].item() <= 0.0
    assert plan.temptation[0, 0, 0].item() <= 0.0


@EVERY
def test_where_everything_is_no_number_the_plan_says_so(slot: str, name: str) -> None:
    plan = think(actor(slot, name, Nothing()), [[0.0, 0.0]], ask([[2.0, 0.3]]))
    assert plan.energy.item() == torch.inf
    assert plan.violation.item() == 0.0, "what a plan costs does not say whether it is allowed"
    low, high = ACTUATORS.bounds()
    assert bool(((plan.actions >= low) & (plan.actions <= high)).all())


@EVERY
def test_a_deadline_cuts_thinking_short_not_out(slot: str, name: str) -> None:
    slow, free = Slide(slow_s=0.02), Slide()
    hasty, calm = actor(slot, name, slow), actor(slot, name, free)
    for made, objective in ((hasty, slow), (calm, free)):
        think(made, [[0.0, 0.0]], ask([[0.5, 0.3]], Mode.REACTIVE))
        objective.tried = 0
    begin = time.perf_counter()
    hurried = think(hasty, [[0.0, 0.0]], ask([[0.5, 0.3]], budget_ms=30.0))
    took_s = time.perf_counter() - begin
    patient = think(calm, [[0.0, 0.0]], ask([[0.5, 0.3]]))
    assert not hurried.complete
    assert patient.complete
    assert hurried.evaluations == slow.tried < patient.evaluations == free.tried
    assert took_s < 0.2
    assert hurried.elapsed_ms >= 20.0
    assert bool(torch.isfinite(hurried.energy).all())


@EVERY
def test_horizons_may_change_from_tick_to_tick(slot: str, name: str) -> None:
    made = actor(slot, name, Slide())
    for horizon in (3, 9, 1, 6):
        plan = think(made, PLACES, replace(ask(GOALS), horizon=horizon))
        assert plan.actions.shape == plan.temptation.shape == (3, horizon, 2)


@EVERY
def test_an_unlimited_actuator_or_no_objective_is_refused(slot: str, name: str) -> None:
    with pytest.raises(ValueError, match=r"limits|objective"):
        actor(slot, name, Slide(), Layout((Channel("push", 2, "m/s"),)))
    with pytest.raises(ValueError, match="objective"):
        actor(slot, name, None)
