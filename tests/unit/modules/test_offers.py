"""A level's first step is one that the level below has tried out in imagination."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from agent.core.messages import Bill, Directive, Rollout
from agent.core.protocols import Above, Site
from modules.actor.cem import CEM
from modules.actor.offers import Offer, offered
from modules.actor.sparse_tree import SparseTree
from tests.contract.test_planners import Slide, ask
from tests.unit.modules.test_discrete import PLACE
from tests.unit.modules.test_sparse_tree import BODY

STRIDE, GOAL = 4, [[2.5, 0.0]]


class Seen(Slide):
    """Sliding; where it is, is read out."""

    def __call__(
        self, state: Tensor, actions: Tensor, directive: Directive
    ) -> tuple[Rollout, Bill]:
        seen, bill = super().__call__(state, actions, directive)
        return replace(seen, quantities={PLACE.names[0]: seen.latents}), bill


FENCED = Seen(wall=0.5)


class Sums:
    """A level whose action is how far the ones below lead; so much more than they do it `hopes`."""

    ticks, horizon, stride = STRIDE, 6, STRIDE

    def __init__(self, hopes: float = 1.0) -> None:
        self.hopes = hopes

    def compress(self, actions: Tensor) -> Tensor:
        return self.hopes * actions.sum(dim=-2)


def site(objective: Any) -> Site:
    return Site(PLACE, BODY, 20.0, 2, PLACE, ("away",), ("wall",), objective)


def grounded(hopes: float = 1.0) -> tuple[SparseTree, Above]:
    upper = site(Seen())
    config = SparseTree.Config(
        branches=48, spread=0.5, iterations=0, trust=0.2, grounded=True, near=0.1
    )
    return SparseTree(config, upper), Above(upper, Sums(hopes), lambda _: {})  # type: ignore[arg-type]


def first_of(tree: SparseTree, place: Above, below: Any) -> Tensor:
    here, asked = torch.zeros(1, 2), replace(ask(GOAL), horizon=6)
    tree.ground(place, site(below), here, asked)
    return tree.plan(here, asked).actions[0, 0]


def test_a_first_step_ends_where_the_level_below_may_go() -> None:
    assert first_of(*grounded(), Seen())[0] > 0.6
    step = first_of(*grounded(), FENCED)
    assert step[0] <= 0.5


def test_a_step_that_the_level_below_sees_end_elsewhere_is_left_out() -> None:
    step = first_of(*grounded(hopes=1.5), Seen())
    assert float(step.norm()) / 3 <= 0.2 + 1e-5, "it hopes for at most 0.2 m more"
    assert float(step.norm()) > 0


def test_an_offer_begins_with_rest_and_says_what_is_allowed() -> None:
    _, place = grounded()
    shares = torch.tensor([0.0, 0.3, 0.9, 0.9])
    here = torch.tensor([[0.0, 0.0], [0.49, 0.0]])
    both = replace(ask(GOAL * 2), horizon=6)

    def of(rows: slice) -> Offer:
        draws = torch.Generator().manual_seed(0)
        return offered(place, site(FENCED), here[rows], both.rows(rows), shares, draws)

    found = of(slice(0, 2))
    assert torch.equal(found.actions[0], torch.zeros(2))
    assert found.ends is not None and found.ends.shape == (2, 4, 2)
    assert torch.allclose(found.ends - here[:, None], found.actions.expand(2, -1, -1), atol=1e-6)
    assert torch.equal(found.allowed[:, 0], torch.ones(2, dtype=torch.bool))
    alone = of(slice(1, 2))
    assert torch.equal(alone.allowed, found.allowed[1:]), (
        "an agent's offer does not depend on others"
    )


def test_without_a_level_below_that_says_so_it_plans_as_ever() -> None:
    plain = SparseTree(SparseTree.Config(branches=48, iterations=0), site(Seen()))
    _, place = grounded()
    first = first_of(plain, place, FENCED)
    plain.reset(1)
    assert torch.equal(
        plain.plan(torch.zeros(1, 2), replace(ask(GOAL), horizon=6)).actions[0, 0], first
    )


def test_the_level_below_starts_from_what_it_tried() -> None:
    tree, place = grounded()
    here, asked = torch.zeros(1, 2), replace(ask(GOAL), horizon=6)
    assert tree.handed(tree.plan(here, asked)) is None
    tree.reset(1)
    tree.ground(place, site(Seen()), here, asked)
    plan = tree.plan(here, asked)
    done = tree.handed(plan)
    assert done is not None and done.shape == (1, STRIDE, 2)
    assert torch.allclose(done.sum(dim=1), plan.actions[:, 0])
    lower = CEM(CEM.Config(samples=2, iterations=1, elites=1), site(Seen()))
    lower.suggest(done)
    warm = lower._warm(1, 6)
    assert torch.equal(warm[:, 0, :STRIDE], done)
    assert torch.equal(warm[:, 0, STRIDE:], torch.zeros(1, 2, 2))
