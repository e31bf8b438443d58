"""When the configurator asks for thought: by what it learned, by time, and never by hidden state."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from agent.core.errors import InputError
from agent.core.messages import Percept, Plan, Ruling, Task, Verdict
from modules.configurator.adaptive import AdaptiveConfigurator
from modules.configurator.headway import Headway
from modules.configurator.worth import Worth
from tests.unit.modules.test_task_graph import SITE, told

SPELL = 2


def believing(reacted: float, thought: float, situation: int, **more: Any) -> AdaptiveConfigurator:
    """Return a configurator that is sure of what both modes gain in a situation."""
    settings = {"spell": SPELL, "lasting": True, "kept": 1.0, **more}
    one = AdaptiveConfigurator(AdaptiveConfigurator.Config(**settings), SITE)
    for mode, gain in ((False, reacted), (True, thought)):
        for index in range(8):
            known = gain if index == situation else 0.0
            for _ in range(50):
                teach(one.worth, mode, index, known)
    one.worth.keep()
    one.reset(1)
    return one


def teach(worth: Worth, thought: bool, situation: int, gain: float) -> None:
    where = torch.tensor([situation])
    worth.learn(torch.tensor([thought]), where, torch.tensor([gain]), torch.tensor([0]))


def ticks(one: AdaptiveConfigurator, *energies: float, **more: Any) -> list[int]:
    """Return the modes asked for at first and after plans that expect these energies."""
    modes, mode = [], 2
    for energy in (None, *energies):
        said = {} if energy is None else heard(energy, mode, **more)
        mode = int(one.tick(Inbox(said)).mode)
        modes.append(mode)
    return modes


def heard(
    energy: float, mode: int, surprise: float = 0.0, vetoed: bool = False, reason: str = ""
) -> dict[type, Any]:
    """Return what the last tick said."""
    zero, kind = torch.zeros(1), torch.tensor([int(Ruling.VETOED if vetoed else Ruling.ALLOWED)])
    plan = SimpleNamespace(energy=torch.tensor([energy]), mode=torch.tensor([mode]))
    return {
        Plan: plan,
        Percept: Percept(torch.zeros(1, 3), zero + 0.1, zero + surprise),
        Verdict: Verdict(kind, kind, zero, zero, torch.zeros(1, 0), (reason,)),
    }


class Inbox:
    """What a configurator reads and recalls."""

    def __init__(self, said: dict[type, Any], goal: Tensor | None = None) -> None:
        self.last = said.get
        self._task = Task(torch.tensor([[5.0, 5.0]]) if goal is None else goal)

    def __getitem__(self, kind: type) -> Any:
        return self._task


FAR, STALLED = 2, 3


def test_it_thinks_where_that_pays_and_reacts_elsewhere() -> None:
    stuck = [8.0, 8.0, 8.0, 8.0, 8.0, 8.0]
    assert ticks(believing(0.0, 0.3, STALLED), *stuck) == [2, 1, 1, 2, 2, 2, 2]
    assert ticks(believing(0.0, 0.0, STALLED), *stuck) == [2, 1, 1, 1, 1, 1, 1]
    falling = [8.0, 7.0, 6.0, 5.0, 4.0]
    assert ticks(believing(0.0, 0.3, STALLED), *falling) == [2, 1, 1, 1, 1, 1]
    assert ticks(believing(0.1, 0.3, FAR), *falling) == [2, 2, 2, 2, 2, 2]
    assert ticks(believing(0.2, 0.3, FAR), *falling) == [2, 1, 1, 1, 1, 1], "twice as much costs"


def test_time_makes_thought_cheap_and_a_late_tick_forbids_it() -> None:
    stuck = [8.0] * 12
    dear = believing(0.05, 0.3, STALLED, cost=10.0)
    assert set(ticks(dear, *stuck)[1:]) == {1}
    hurried = ticks(believing(0.05, 0.3, STALLED, cost=10.0, deadline=12), *stuck)
    assert hurried[:5] == [2, 1, 1, 1, 1]
    assert hurried[-1] == 2
    late = ticks(believing(0.0, 0.3, STALLED), *stuck, reason="late: 60 ms")
    assert set(late[1:]) == {1}


def test_a_veto_is_thought_over_and_mode_1_is_left_alone() -> None:
    assert ticks(believing(0.0, 0.0, FAR), 8.0, 7.0, vetoed=True) == [2, 2, 2]
    assert set(ticks(believing(0.0, 0.5, FAR, mode=1), 8.0, 7.0, 6.0)) == {1}


def test_surprise_is_a_situation_of_its_own() -> None:
    falling = [8.0, 7.0, 6.0, 5.0]
    sure = believing(0.0, 0.5, FAR + 4)
    assert set(ticks(sure, *falling)[1:]) == {1}
    sure.reset(1)
    assert set(ticks(sure, *falling, surprise=9.0)[1:]) == {2}


def test_a_new_sub_goal_is_thought_over() -> None:
    task = {"a": told([1.0, 0.0]), "b": told([2.0, 0.0], after=["a"])}
    one = believing(0.0, 0.0, FAR, task=task)
    assert ticks(one, 8.0) == [2, 1]
    there = heard(7.0, 1)
    there[Percept] = Percept(torch.tensor([[1.0, 0.0, 0.0]]), torch.zeros(1), torch.zeros(1))
    asked = one.tick(Inbox(there))
    assert (int(asked.mode), asked.goal.tolist()) == (2, [[2.0, 0.0]])
    with pytest.raises(InputError, match="a cycle of sub-goals"):
        believing(0.0, 0.0, FAR, task={"a": told([1.0, 0.0], after=["a"])})


def carries(one: AdaptiveConfigurator, energies: list[float], **more: Any) -> list[bool]:
    """Return when the last plan is carried on, at first and after plans of these energies."""
    told = [{}, *(heard(energy, 1, **more) for energy in energies)]
    asked = [one.tick(Inbox(said)) for said in told]
    for one_tick in asked:
        assert one_tick.carry is None or not bool(one_tick.carry & (one_tick.mode != 1))
    return [one_tick.carry is not None and bool(one_tick.carry) for one_tick in asked]


FALLING = [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0]
NO, YES = False, True


def test_plans_are_carried_on_within_a_spell_only_and_so_many_ticks() -> None:
    sure = {"spell": 4}
    assert carries(believing(0.2, 0.0, FAR, **sure), FALLING) == [NO] * 8
    every_other = carries(believing(0.2, 0.0, FAR, carry=1, **sure), FALLING)
    assert every_other == [NO, YES, NO, YES, NO, YES, NO, YES]
    long = carries(believing(0.2, 0.0, FAR, carry=9, **sure), FALLING)
    assert long == [NO, YES, YES, YES, NO, YES, YES, YES], "what a spell gained is seen"
    thinking = believing(0.0, 0.5, FAR, carry=1, **sure)
    assert ticks(thinking, *FALLING) == [2, 2, 1, 2, 2, 2, 1, 2], "thought begins at once"


def test_no_plan_is_carried_on_in_trouble() -> None:
    for trouble in ({"surprise": 9.0}, {"vetoed": True}, {"reason": "late: 60 ms"}):
        carried = carries(believing(0.2, 0.0, FAR, carry=1), FALLING, **trouble)
        assert any(carried) is ("reason" in trouble), trouble
    one = believing(0.2, 0.0, FAR, carry=1)
    carries(one, [8.0])
    goal = one.tick(Inbox(heard(7.0, 1), torch.tensor([[1.0, 1.0]])))
    assert (bool(goal.carry), int(goal.mode)) == (False, 2)
    with pytest.raises(ValidationError, match="carry"):
        AdaptiveConfigurator.Config(carry=-1)


def test_unpractised_it_tries_both_and_practice_tells_them_apart() -> None:
    worth = Worth(1, hope=0.1, prior=2.0, kept=1.0)
    reacted, thought = (float(t) for t in worth.table())
    assert (reacted, thought) == (0.0, pytest.approx(0.1))
    for _ in range(30):
        teach(worth, True, 0, 0.2)
    reacted, thought = (float(t) for t in worth.table())
    assert reacted == pytest.approx(thought), "what was never tried may be as good"
    for _ in range(30):
        teach(worth, False, 0, 0.0)
    reacted, thought = (float(t) for t in worth.table())
    assert reacted < 0.01 < 0.19 < thought


def test_what_is_learned_stays_with_the_agent_until_the_episode_is_over() -> None:
    worth = Worth(2, hope=0.0, prior=1.0, kept=0.5)
    worth.begin(2)
    worth.learn(
        torch.tensor([True, True]),
        torch.tensor([0, 1]),
        torch.tensor([1.0, 1.0]),
        torch.tensor([0]),
    )
    thought = worth.table()[1]
    assert thought[0, 0] == 0.5
    assert thought[1].tolist() == [0.0, 0.0]
    worth.keep()
    assert worth.table()[1].tolist() == [[0.5, 0.0]] * 2
    worth.keep()
    assert worth.table()[1].tolist() == [[pytest.approx(1 / 3), 0.0]] * 2
    worth.begin(1)
    teach(worth, True, 0, 9.0)
    worth.begin(1)
    assert worth.table()[1].tolist() == [[pytest.approx(1 / 3), 0.0]]


def test_headway_is_a_share_of_what_goals_usually_take() -> None:
    way = Headway()
    way.take(torch.tensor([4.0]))
    way.take(torch.tensor([torch.inf]))
    assert way.share.tolist() == [1.0]
    way.take(torch.tensor([1.0]))
    assert way.share.tolist() == [0.25]
    way.keep()
    way.begin(1)
    way.take(torch.tensor([1.0]))
    assert way.share.tolist() == [0.25], "a near goal is not far"
    way.renew(torch.tensor([True]))
    assert way.share.isnan().all()
