"""The tree that covers what can be reached, and the planner that grows it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from agent.core.messages import Bill, Directive, Rollout
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.actor.cem import CEM
from modules.actor.policy import Policy
from modules.actor.sparse_tree import SparseTree
from modules.actor.tree import Grown, Step
from tests.contract.test_planners import Slide, ask
from tests.unit.modules.test_discrete import PLACE

BODY = Layout((Channel("push", 2, "m/s", (-1.0, -1.0), (1.0, 1.0)),))


class Trap(Slide):
    """Sliding, with a pocket between start and goal: its ways out lead away from the goal.

    Where a plan ends counts most.
    """

    def __call__(
        self, state: Tensor, actions: Tensor, directive: Directive
    ) -> tuple[Rollout, Bill]:
        seen, bill = super().__call__(state, actions, directive)
        x, y = seen.latents[0, ..., 0], seen.latents[0, ..., 1]
        back = torch.maximum((x - 1.25).abs() - 0.3, y.abs() - 2.0)
        sides = torch.maximum((y.abs() - 1.75).abs() - 0.3, (x - 0.5).abs() - 1.0)
        rail = -torch.minimum(back, sides)
        broken = rail.clamp(min=0.0).sum(dim=-1)
        end = seen.latents[0, :, :, -1] - directive.goal[:, None]
        return seen, Bill(
            bill.energy + 9.0 * end.square().sum(dim=-1), bill.terms, rail[:, :, None], broken
        )


def left(kind: Any, **more: Any) -> float:
    """Return how far an agent that starts in the pocket is from its goal after 24 steps."""
    place = Site(PLACE, BODY, 20.0, 2, PLACE, ("away",), ("wall",), Trap())  # type: ignore[arg-type]
    settings = kind.Config(policy=Policy.Config(span=0.5), **more)
    made, here = kind(settings, place), torch.tensor([[0.5, 0.0]])
    goal = torch.tensor([[2.5, 0.0]])
    for _ in range(24):
        asked = replace(ask(goal.tolist()), horizon=20)
        here = here + made.plan(here, asked).actions[:, 0]
    return float((here - goal).norm())


def test_it_leaves_a_pocket_where_sampling_around_a_plan_stays() -> None:
    assert left(CEM, samples=64, iterations=2) > 0.8
    assert left(SparseTree, width=96, branches=24) < 0.4


def test_states_of_a_tree_keep_their_distance_and_the_cheapest_stays() -> None:
    choices = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.9, 0.0]])
    tree = Grown(torch.zeros(2), choices)
    energy = torch.tensor([[5.0, 3.0, 2.0, 1.0]])
    every = torch.ones(1, 4, dtype=torch.bool)
    tree.grow(
        Step(choices[None], choices[None], energy, every), near=0.4, width=9, these=torch.arange(4)
    )
    assert torch.equal(tree.states, choices[[0, 3, 2]])
    ends = tree.states[tree.frontier][:, None] + choices
    more = torch.full((2, 4), 1.0)
    allowed = torch.tensor([[True, False, True, True], [True, True, True, True]])
    tree.grow(Step(ends, ends, more, allowed), near=0.4, width=2, these=torch.arange(4))
    assert len(tree.states) == 5
    gaps = torch.cdist(tree.states, tree.states) + 9.0 * torch.eye(5)
    assert float(gaps.min()) > 0.2
    routes = tree.routes(count=1, patience=1.0)
    assert routes[0].tolist()[0] == choices[3].tolist(), "by way of the cheapest"


def test_a_tree_remembers_which_of_all_actions_it_took() -> None:
    choices = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    tree, some = Grown(torch.zeros(2), choices), torch.tensor([0, 2])
    ends, every = choices[None, some], torch.ones(1, 2, dtype=torch.bool)
    tree.grow(Step(ends, ends, torch.tensor([[5.0, 1.0]]), every), near=0.4, width=9, these=some)
    assert torch.equal(tree.routes(count=1, patience=1.0)[0], choices[[2]])


def test_deeper_down_some_of_the_first_steps_are_tried_and_others_at_every_depth() -> None:
    place = Site(PLACE, BODY, 20.0, 2, PLACE, ("away",), ("wall",), Trap())  # type: ignore[arg-type]
    made = SparseTree(SparseTree.Config(branches=13, deeper=4), place)
    assert made._which(0, 13).tolist() == list(range(13))
    second, third = made._which(1, 13), made._which(2, 13)
    assert second.tolist() == [0, 2, 5, 8, 11], "rest, and others evenly spread"
    assert third[0] == 0
    assert not set(second[1:].tolist()) & set(third[1:].tolist())
    for depth in range(40):
        tried = made._which(depth, 13).tolist()
        assert len(set(tried)) == len(tried)
        assert max(tried) < 13
    for deeper in (0, 12, 99):
        every = SparseTree(SparseTree.Config(branches=13, deeper=deeper), place)
        assert every._which(3, 13).tolist() == list(range(13))
    assert left(SparseTree, width=96, branches=48, deeper=16) < 0.4


def test_what_was_tried_in_vain_is_not_tried_again_in_the_episode() -> None:
    place = Site(PLACE, BODY, 20.0, 2, PLACE, ("away",), ("wall",), Trap())  # type: ignore[arg-type]
    asked, here = replace(ask([[2.5, 0.0]]), horizon=20), torch.tensor([[0.5, 0.0]])
    made = SparseTree(SparseTree.Config(width=96, branches=24, wary=0.1), place)
    told = []
    for _ in range(3):  # glued to the spot, whatever is planned
        plan = made.plan(here, asked)
        told.append(here + plan.actions[:, 0])
    moves = [float((step - here).norm()) for step in told]
    assert min(moves[:2]) > 0.1, "it was foreseen to move"
    for later, earlier in ((1, 0), (2, 0), (2, 1)):
        assert float((told[later] - told[earlier]).norm()) > 0.1
    made.reset(1)
    assert torch.equal(made.plan(here, asked).actions[:, 0] + here, told[0])


def test_who_was_in_vain_somewhere_tries_again_in_time() -> None:
    place = Site(PLACE, BODY, 20.0, 2, PLACE, ("away",), ("wall",), Trap())  # type: ignore[arg-type]
    asked, here = replace(ask([[2.5, 0.0]]), horizon=20), torch.tensor([[0.5, 0.0]])
    made = SparseTree(SparseTree.Config(width=96, branches=24, wary=0.1, kept=2), place)
    for _ in range(5):
        made.plan(here, asked)
    assert len(made._vainly) == 2


def test_of_a_plan_that_was_followed_for_several_steps_all_are_in_vain() -> None:
    place = Site(PLACE, BODY, 20.0, 2, PLACE, ("away",), ("wall",), Trap(), follow=2)  # type: ignore[arg-type]
    asked, here = replace(ask([[2.5, 0.0]]), horizon=20), torch.tensor([[0.5, 0.0]])
    made = SparseTree(SparseTree.Config(width=96, branches=24, wary=0.1, kept=2), place)
    plan = made.plan(here, asked)
    first, second = here + plan.actions[:, 0], here + plan.actions[:, :2].sum(dim=1)
    made.plan(here, asked)
    (told,) = made._vainly[0]
    torch.testing.assert_close(told[:, 1], torch.cat((first, second)))
    torch.testing.assert_close(told[1:, 0], first)
    made.plan(second, asked)
    for _ in range(3):
        made.plan(here, asked)
    assert len(made._vainly) == 2, "of so many plans"
    there = SparseTree(SparseTree.Config(width=96, branches=24, wary=0.1), place)
    plan = there.plan(here, asked)
    there.plan(here + plan.actions[:, :2].sum(dim=1), asked)
    assert not torch.isfinite(torch.stack(there._vainly)).any(), "it came where it was to come"


def test_the_budget_ends_its_growth() -> None:
    slow = Trap(slow_s=0.02)
    place = Site(PLACE, BODY, 20.0, 2, PLACE, ("away",), ("wall",), slow)  # type: ignore[arg-type]
    made = SparseTree(SparseTree.Config(), place)
    grown = made._grown(torch.zeros(1, 2), replace(ask([[2.5, 0.0]]), horizon=40), until=0.0)
    assert len(grown[0].states) == 1
    found = made.plan(torch.zeros(1, 2), replace(ask([[2.5, 0.0]]), horizon=40, budget_ms=100.0))
    assert torch.isfinite(found.energy).all()
