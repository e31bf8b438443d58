"""Thinking every few ticks: when the last plan goes on, and when there is reason to look."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from agent.core.errors import InputError
from agent.core.messages import Appraisal, Ruling, Task, Verdict
from modules.configurator.intermittent import IntermittentConfigurator
from tests.unit.modules.test_task_graph import SITE


def ruled(*rulings: Ruling) -> Verdict:
    kind, zero = torch.tensor([int(one) for one in rulings]), torch.zeros(len(rulings))
    return Verdict(kind, torch.full_like(kind, -1), zero, zero, torch.zeros(len(rulings), 0))


class Inbox:
    """A goal for each agent, what the gate said, and how far agents have come."""

    def __init__(
        self, goals: list[float], verdict: Verdict | None, stage: list[int] | None = None
    ) -> None:
        self._task = Task(torch.tensor(goals)[:, None].expand(-1, 2))
        felt = None if stage is None else SimpleNamespace(stage=torch.tensor(stage))
        said: dict[type, Any] = {Verdict: verdict, Appraisal: felt}
        self.last = said.get

    def __getitem__(self, kind: type) -> Any:
        return self._task


def configurator(carry: int = 2) -> IntermittentConfigurator:
    return IntermittentConfigurator(IntermittentConfigurator.Config(carry=carry), SITE)


ALLOWED = Ruling.ALLOWED


def test_the_last_plan_goes_on_for_so_many_ticks() -> None:
    one = configurator()
    first = one.tick(Inbox([1.0], None))
    assert (first.carry, first.mode.tolist()) == (None, [2])
    asked = [one.tick(Inbox([1.0], ruled(ALLOWED))) for _ in range(6)]
    assert [bool(tick.carry) for tick in asked] == [True, True, False, True, True, False]
    one.reset(1)
    assert one.tick(Inbox([1.0], None)).carry is None, "an episode begins without a plan"


@pytest.mark.parametrize("ruling", [Ruling.REPAIRED, Ruling.VETOED])
def test_who_was_not_let_out_as_planned_thinks_again_and_others_do_not(ruling: Ruling) -> None:
    one = configurator()
    one.tick(Inbox([1.0, 1.0], None))
    asked = one.tick(Inbox([1.0, 1.0], ruled(ruling, ALLOWED)))
    assert asked.carry is not None
    assert asked.carry.tolist() == [False, True]
    later = [one.tick(Inbox([1.0, 1.0], ruled(ALLOWED, ALLOWED))).carry for _ in range(2)]
    assert [None if c is None else c.tolist() for c in later] == [[True, True], [True, False]]


def test_a_new_goal_is_thought_over() -> None:
    one = configurator()
    one.tick(Inbox([1.0, 1.0], None))
    carry = one.tick(Inbox([1.0, 3.0], ruled(ALLOWED, ALLOWED))).carry
    assert carry is not None
    assert carry.tolist() == [True, False]
    assert one.tick(Inbox([1.0], ruled(ALLOWED))).carry is None, "other agents have no plan"


def test_a_place_reached_is_thought_over() -> None:
    one = configurator()
    one.tick(Inbox([1.0, 1.0], None, [0, 0]))
    carry = one.tick(Inbox([1.0, 1.0], ruled(ALLOWED, ALLOWED), [0, 1])).carry
    assert carry is not None
    assert carry.tolist() == [True, False]


def test_a_plan_must_last_longer_than_it_is_carried() -> None:
    settings = IntermittentConfigurator.Config(carry=4, horizon=4)
    with pytest.raises(InputError, match="fewer ticks than the horizon of 4, came 4"):
        IntermittentConfigurator(settings, SITE)


def test_to_carry_on_is_for_a_tick_at_least() -> None:
    with pytest.raises(ValidationError, match="carry"):
        configurator(carry=0)
