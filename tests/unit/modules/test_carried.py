"""Going on with a plan unexamined: what moves up by a tick, who may, and at what price."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.core.messages import Directive, Mode
from modules.actor.carried import carried_on, carrying, later
from modules.actor.sampling import Pool
from tests.contract.test_planners import H, ask

REST = torch.zeros(1)


def held(ticks: int = 4, energy: float = 10.0, violation: float = 0.0) -> Pool:
    """Return one plan for each of two agents, whose numbers say which tick they are about."""
    steps = torch.arange(1.0, ticks + 1).expand(2, 1, ticks)
    terms = torch.stack((steps, torch.zeros_like(steps)), dim=2)
    two = torch.tensor([[energy], [energy]]), torch.tensor([[violation], [violation]])
    latents = steps[:, :, None, :, None]
    return Pool(steps[..., None], latents, *two, terms, terms[:, :, :1] - 9.0)


def told(rows: int = 2, mode: Any = Mode.REACTIVE, carry: Tensor | None = None) -> Directive:
    carry = torch.ones(rows, dtype=torch.bool) if carry is None else carry
    return replace(ask(torch.zeros(rows, 2), mode), carry=carry)


def test_what_was_imagined_and_billed_moves_up_and_the_end_stays_the_end() -> None:
    moved = later(held(), REST)
    assert moved.actions[0, 0, :, 0].tolist() == [2.0, 3.0, 4.0, 0.0]
    assert moved.latents[1, 0, 0, :, 0].tolist() == [2.0, 3.0, 4.0, 4.0]
    assert moved.terms[0, 0, 0].tolist() == [2.0, 3.0, 3.0, 4.0]
    assert moved.guardrails[0, 0, 0].tolist() == [-7.0, -6.0, -5.0, -5.0]
    assert moved.energy.tolist() == [[12.0], [12.0]], "1 is paid, the new tick takes 3"
    assert later(moved, REST).terms[0, 0, 0].tolist() == [3.0, 3.0, 3.0, 4.0]


@pytest.mark.parametrize("ticks", [1, 2])
def test_the_shortest_plans_keep_their_bill(ticks: int) -> None:
    before = held(ticks)
    moved = later(before, REST)
    assert torch.equal(moved.terms, before.terms)
    assert torch.equal(moved.energy, before.energy)
    assert moved.actions[0, 0, -1].tolist() == [0.0]


def test_nothing_is_tried_and_nothing_stands_beside_it() -> None:
    found = carried_on(held(), REST)
    assert found.tried == 0
    assert found.complete
    assert not bool(torch.isfinite(found.rival.energy).any())
    assert torch.equal(found.tempting.actions, found.best.actions)


def test_only_who_is_asked_to_carry_on_does_in_either_mode() -> None:
    mixed = torch.tensor([True, False])
    assert carrying(held(H), told(carry=mixed)).tolist() == [True, False]
    assert carrying(held(H), told(mode=[2, 1])).tolist() == [True, True]
    assert not bool(carrying(held(H), replace(told(), carry=None)).any())


@pytest.mark.parametrize(
    ("last", "rows"),
    [
        (None, 2),
        (held(H), 3),
        (held(H + 1), 2),
        (held(H, energy=torch.inf), 2),
        (held(H, violation=0.1), 2),
    ],
    ids=["none", "other agents", "other horizon", "no energy", "not allowed"],
)
def test_a_plan_that_will_not_do_is_not_carried_on(last: Pool | None, rows: int) -> None:
    assert carrying(last, told(rows)).tolist() == [False] * rows
