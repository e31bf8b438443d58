"""What the planners' own parts promise beyond the contract."""

from __future__ import annotations

import pytest
import torch

from agent.core.messages import Mode
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.actor.cem import CEM
from modules.actor.policy import Policy
from modules.actor.still import Still
from tests.contract.test_planners import H, Slide, ask
from tests.toys import ACTUATORS

PLACE = Layout((Channel("place", 2, "m"),))


def planner(settle: int) -> CEM:
    site = Site(PLACE, ACTUATORS, 20.0, 2, PLACE, ("away",), ("wall",), Slide())  # type: ignore[arg-type]
    torch.manual_seed(0)
    made = CEM(CEM.Config(policy=Policy.Config(settle=settle)), site)
    torch.nn.init.normal_(made.policy.net[-1].bias, std=1.0)
    return made


@pytest.mark.parametrize("mode", [Mode.REACTIVE, Mode.DELIBERATE])
def test_plans_end_at_rest(mode: Mode) -> None:
    starts, goals = torch.zeros(3, 2), torch.tensor([[0.9, 0.2], [-0.5, -0.9], [0.1, 0.3]])
    settled = planner(settle=3)
    for _ in range(3):
        plan = settled.plan(starts, ask(goals, mode))
        assert bool((plan.actions[:, -3:] == settled.policy.rest).all())
        assert not bool((plan.actions[:, :-3] == settled.policy.rest).all())
    free = planner(settle=0).plan(starts, ask(goals, mode))
    assert not bool((free.actions[:, -3:] == settled.policy.rest).all())


def test_a_plan_that_would_settle_for_longer_than_it_lasts_still_moves_once() -> None:
    plan = planner(settle=H + 5).plan(torch.zeros(1, 2), ask([[0.9, 0.2]]))
    assert bool((plan.actions[:, 1:] == 0).all())
    assert not bool((plan.actions[:, 0] == 0).all())


def test_an_agents_noise_does_not_depend_on_when_others_deliberate() -> None:
    goals = torch.tensor([[0.9, 0.2], [-0.5, -0.9]])
    here = torch.zeros(2, 2)
    early, late = planner(0), planner(0)
    early.plan(here, ask(goals, [int(Mode.DELIBERATE)] * 2))
    late.plan(here, ask(goals, [int(Mode.REACTIVE)] * 2))
    early._last = late._last = None
    modes = [int(Mode.DELIBERATE)] * 2
    assert torch.equal(
        early.plan(here, ask(goals, modes)).actions, late.plan(here, ask(goals, modes)).actions
    )


def test_a_watcher_rests_within_the_limits_and_says_what_it_costs() -> None:
    body = Layout((Channel("push", 2, "m/s", (0.25, -2.0), (1.0, 0.5)),))
    site = Site(PLACE, body, 20.0, 2, PLACE, ("away",), ("wall",), Slide())  # type: ignore[arg-type]
    plan = Still(Still.Config(), site).plan(torch.zeros(2, 2), ask([[0.9, 0.2], [0.0, 0.0]]))
    assert plan.actions.shape == (2, H, 2)
    assert bool((plan.actions == torch.tensor([0.25, 0.0])).all())
    _, bill = Slide()(torch.zeros(2, 2), plan.actions[:, None], ask([[0.9, 0.2], [0.0, 0.0]]))
    torch.testing.assert_close(plan.energy, bill.energy[:, 0])


def test_a_watcher_copes_without_a_body() -> None:
    site = Site(PLACE, Layout(()), 20.0, 2, PLACE, ("away",), ("wall",), Slide())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="objective"):
        Still(Still.Config(), Site(PLACE, Layout(()), 20.0, 2, PLACE))
    assert Still(Still.Config(), site).ports().axes["A"] == 0
