"""What every plan tells of itself: the runner-up, why it lost, and a fan of what was considered."""

from __future__ import annotations

import torch

from agent.core.spec import Channel, Layout
from tests.contract.test_planners import GOALS, LIMIT, PLACES, Slide, ask
from tests.contract.test_planners_hard import EVERY, planner, starts


@EVERY
def test_the_runner_up_is_unlike_the_plan_and_says_why_it_lost(name: str) -> None:
    made = planner(name, Slide(wall=LIMIT))
    plan = made.plan(starts(), ask([[2.0, 0.3], [0.0, 0.0], [-3.0, -1.0]]))
    rival = plan.rival
    assert rival is not None
    gap = ((rival.actions - plan.actions).abs() / made.extent).mean(dim=(1, 2))
    assert bool((gap > 0.1).all())
    assert bool(torch.isfinite(rival.energy).all())
    torch.testing.assert_close(rival.terms.sum(dim=1), rival.energy)
    for row in range(3):
        broken = rival.violation[row] > plan.violation[row]
        assert broken or rival.energy[row] >= plan.energy[row]
        assert (rival.guardrail[row] == 0) == bool(rival.violation[row] > 0)


@EVERY
def test_the_fan_is_a_sample_of_what_was_judged(name: str) -> None:
    """Its first is the first seed, every bill in it is the model's, and it holds no other plan."""
    objective = Slide(wall=LIMIT)
    made, asked = planner(name, objective), ask([[2.0, 0.3], [0.0, 0.0], [-3.0, -1.0]])
    fan = made.plan(starts(), asked).fan
    assert fan is not None
    _, bill = objective(starts(), fan.actions, asked)
    torch.testing.assert_close(fan.energy, bill.energy)
    torch.testing.assert_close(fan.violation, bill.violation)
    assert len(fan.actions[0].flatten(1).unique(dim=0)) > 2


def test_the_runner_up_that_broke_a_guardrail_is_blamed_on_it() -> None:
    """The goal is right behind a wall that rest already touches: nothing else is allowed."""
    made = planner("cem", Slide(wall=0.0), Layout((Channel("p", 2, "m", (0.0, 0.0), (1.0, 0.1)),)))
    plan = made.plan(torch.zeros(1, 2), ask([[2.0, 0.3]]))
    assert plan.rival is not None
    assert plan.rival.guardrail.tolist() == [0]
    assert plan.rival.violation.item() > 0.0


@EVERY
def test_an_agents_rival_does_not_depend_on_the_others(name: str) -> None:
    one, other = planner(name, Slide()), planner(name, Slide())
    a = one.plan(starts(), ask(GOALS)).rival
    b = other.plan(starts([[5.0, 5.0], PLACES[1], [0.0, 1.0]]), ask([[1.0, 1.0], GOALS[1], [2, 2]]))
    assert a is not None
    assert b.rival is not None
    for field in ("actions", "energy", "terms", "violation", "guardrail"):
        assert torch.equal(getattr(a, field)[1], getattr(b.rival, field)[1]), field
