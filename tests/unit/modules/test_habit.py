"""Less thought with practice, and no habit where it will not do."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch

from agent.core.messages import Mode
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.actor.doubt import Doubt
from modules.actor.habit import Habit
from modules.actor.policy import Policy
from modules.actor.practice import Practice
from modules.actor.sampling import Pool
from tests.contract.test_planners import H, Slide, ask
from tests.toys import ACTUATORS

PLACE = Layout((Channel("place", 2, "m"),))
THINK, REACT = int(Mode.DELIBERATE), int(Mode.REACTIVE)
LASTING = {"lasting": True, "steps": 150, "rate": 3e-3}


def habit(objective: Any = None, **settings: Any) -> Habit:
    objective = objective or Slide()
    site = Site(PLACE, ACTUATORS, 20.0, 2, PLACE, ("away",), ("wall",), objective)
    torch.manual_seed(0)
    short = Policy.Config(width=32, horizon=H, span=1.0)
    return Habit(Habit.Config(policy=short, **settings), site)


def live(made: Habit, goal: Any, ticks: int = 8, start: Any = (0.0, 0.0)) -> tuple[int, float]:
    """Live an episode; returns how often it thought, and the last distance to the goal."""
    made.reset(1)
    place, thought = torch.tensor([start]), 0
    for _ in range(ticks):
        plan = made.plan(place, ask([goal]))
        thought += int(plan.mode[0] == THINK)
        place = place + plan.actions[:, 0]
    return thought, float((place - torch.tensor([goal])).norm())


def pool(energy: float, violation: float = 0.0) -> Pool:
    none = torch.zeros(1, 1, 0, 0)
    return Pool(
        none, none[..., None], torch.tensor([[energy]]), torch.tensor([[violation]]), none, none
    )


def test_a_situation_takes_less_thought_with_practice_and_ends_as_well() -> None:
    made, goal = habit(**LASTING), [-2.0, -2.5]
    first, _ = live(made, goal)
    for _ in range(10):
        live(made, goal)
    later, away = live(made, goal)
    elsewhere, _ = live(made, [0.9, 2.5])
    always, best = live(habit(patience=0), goal)
    assert always == 8
    assert 1 <= later < first
    assert later < elsewhere
    assert away < best + 0.1


def test_what_was_loaded_stays_and_can_be_gone_back_to() -> None:
    made = habit(**LASTING)
    loaded = {k: v.clone() for k, v in made.state_dict().items()}
    first, _ = live(made, [-2.0, -2.5])
    for _ in range(10):
        live(made, [-2.0, -2.5])
    assert all(torch.equal(v, loaded[k]) for k, v in made.state_dict().items())
    assert live(made, [-2.0, -2.5])[0] < first
    made.forget()
    assert live(made, [-2.0, -2.5])[0] == first


def test_practice_that_does_not_last_is_none() -> None:
    made = habit(lasting=False)
    assert len({live(made, [-2.0, -2.5]) for _ in range(4)}) == 1


def test_nothing_is_learned_while_acting() -> None:
    made = habit(**LASTING)
    live(made, [-2.0, -2.5])
    made.reset(1)
    before = {k: v.clone() for k, v in made._practised().policy.state_dict().items()}
    for _ in range(5):
        made.plan(torch.zeros(1, 2), ask([[0.9, 0.9]]))
    after = made._practised().policy.state_dict()
    assert all(torch.equal(v, before[k]) for k, v in after.items())
    made.reset(1)
    assert not all(torch.equal(v, before[k]) for k, v in after.items())


def test_the_dry_ticks_of_wiring_teach_nothing() -> None:
    made = habit(**LASTING)
    live(made, [-2.0, -2.5], ticks=2)
    made.reset(1)
    assert made._practised().count == 0


def test_a_fresh_life_is_without_the_skill_that_was_loaded() -> None:
    skilled, fresh = habit(**LASTING), habit(fresh=True)
    for _ in range(10):
        live(skilled, [-2.0, -2.5])
    weights = skilled._practised().policy.state_dict()
    for made in (skilled, fresh):
        made.policy.load_state_dict(weights)
        made.forget()
    assert live(skilled, [-2.0, -2.5])[0] < live(fresh, [-2.0, -2.5])[0]


def test_asked_for_mode_1_it_never_thinks() -> None:
    made = habit()
    for _ in range(12):
        plan = made.plan(torch.zeros(2, 2), ask([[0.9, 0.2], [-5.0, 5.0]], [REACT, THINK]))
        assert plan.mode[0] == REACT


def test_a_habit_that_breaks_a_guardrail_is_thought_over() -> None:
    made = habit(Slide(wall=-1.0), patience=1000, tolerated=1e6)
    modes = [int(made.plan(torch.zeros(1, 2), ask([[2.0, 0.3]])).mode[0]) for _ in range(5)]
    assert modes == [THINK] * 5


GOAL = torch.zeros(1, 2)
YES = torch.tensor([True])
LONGEST = 8


def doubter(patience: int = 3) -> Doubt:
    return Doubt(GOAL, 0.1, patience, LONGEST)


def ticks(
    doubt: Doubt, energies: list[float], gain: float = 0.0, complete: bool = True
) -> list[int]:
    """Return when an agent thinks whose habit has these energies, and thinking gains that share."""
    found = []
    for tick, energy in enumerate(energies):
        thought, _ = doubt(pool(energy), pool(energy), GOAL)
        chosen = torch.tensor([energy * (1 - gain * float(thought))])
        doubt.settle(YES, thought, torch.tensor([energy]), chosen, complete)
        found += [tick] * int(thought)
    return found


def test_where_energy_falls_there_is_no_doubt_but_at_first() -> None:
    assert ticks(doubter(), [10.0 * 0.8**k for k in range(12)]) == [0]


def test_where_nothing_improves_it_thinks_ever_more_rarely() -> None:
    when = ticks(doubter(1), [1.0] * 60)
    gaps = [b - a for a, b in pairwise(when)]
    assert gaps == sorted(gaps)
    assert gaps[0] <= 2
    assert gaps[-3:] == [LONGEST + 1] * 3


def test_where_thinking_helps_it_goes_on() -> None:
    often = ticks(doubter(1), [1.0] * 40, gain=0.5)
    assert len(often) > 2 * len(ticks(doubter(1), [1.0] * 40))


def test_thought_that_was_cut_short_was_not_in_vain() -> None:
    assert ticks(doubter(1), [1.0] * 9, complete=False) == [0, 2, 4, 6, 8]


def test_without_patience_it_always_thinks() -> None:
    assert ticks(doubter(0), [1.0] * 9) == [*range(9)]


INF = float("inf")


@pytest.mark.parametrize(
    ("own", "carried", "behind"),
    [
        (pool(1.0), pool(1.0), False),
        (pool(1.05), pool(1.0), False),
        (pool(1.2), pool(1.0), True),
        (pool(-1.2), pool(-1.0), False),
        (pool(-0.8), pool(-1.0), True),
        (pool(1.2), pool(1.0, violation=0.1), False),
        (pool(1.0, violation=0.1), pool(2.0), True),
        (pool(INF), pool(1.0), True),
        (pool(INF), pool(INF), True),
        (pool(1.0), pool(INF), False),
    ],
)
def test_a_habit_is_held_against_the_plan_in_hand(own: Pool, carried: Pool, behind: bool) -> None:
    doubt = doubter()
    ticks(doubt, [10.0], gain=0.5)
    thinking, found = doubt(own, carried, GOAL)
    assert bool(found) == bool(thinking) == behind


def test_where_nothing_in_hand_is_allowed_it_thinks_however_vain_it_was() -> None:
    doubt = doubter()
    ticks(doubt, [1.0])
    bad = pool(1.0, violation=0.1)
    assert not bool(doubt(pool(2.0), pool(1.0), GOAL)[0])
    assert bool(doubt(bad, bad, GOAL)[0])


def test_a_new_goal_is_a_reason_to_think() -> None:
    doubt = doubter()
    ticks(doubt, [10.0])
    assert not bool(doubt(pool(5.0), pool(5.0), GOAL)[0])
    assert bool(doubt(pool(5.0), pool(5.0), GOAL + 1.0)[0])


def test_after_reacting_as_told_nothing_is_in_hand() -> None:
    doubt = doubter()
    ticks(doubt, [10.0])
    doubt.settle(~YES, ~YES, torch.tensor([5.0]), torch.tensor([5.0]), True)
    assert bool(doubt(pool(4.0), pool(4.0), GOAL)[0])


def practice(capacity: int = 8) -> Practice:
    site = Site(PLACE, ACTUATORS, 20.0, 2, PLACE)
    policy = Policy(Policy.Config(width=8, horizon=H), site)
    return Practice(policy, capacity, 1e-2, 4, seed=0)


def test_the_latest_lessons_are_kept_and_imitated() -> None:
    made = practice()
    low, high = made.policy.low, made.policy.high
    for share in (0.2, 0.7, 0.7):
        plans = (low + share * (high - low)).expand(4, H, 2)
        made.learn(torch.zeros(4, 2), torch.zeros(4, 2), plans)
    assert made.count == 8
    made.rehearse(300)
    proposed = made.policy(torch.zeros(1, 2), torch.zeros(1, 2))
    torch.testing.assert_close(proposed, plans[:1], atol=0.02, rtol=0.0)
    assert not any(p.requires_grad for p in made.policy.parameters())


def test_lessons_of_another_length_are_made_to_fit() -> None:
    made = practice()
    made.learn(torch.zeros(2, 2), torch.zeros(2, 2), torch.zeros(2, H + 3, 2))
    made.learn(torch.zeros(2, 2), torch.zeros(2, 2), torch.zeros(2, 1, 2))
    made.rehearse(1)
    assert made.count == 4


def test_a_practice_that_ends_in_no_numbers_is_taken_back(caplog: pytest.LogCaptureFixture) -> None:
    made = practice()
    made.rehearse(3)
    before = {k: v.clone() for k, v in made.policy.state_dict().items()}
    made.learn(torch.full((2, 2), torch.nan), torch.zeros(2, 2), torch.zeros(2, H, 2))
    made.rehearse(3)
    assert all(torch.equal(v, before[k]) for k, v in made.policy.state_dict().items())
    assert "not finite" in caplog.text


def test_what_was_practised_asleep_is_taken_back_unless_the_latest_lessons_gain_by_it() -> None:
    latents = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    goals, same = torch.zeros(64, 2), torch.full((64, H, 2), 0.5)
    turned = torch.cat((same[:48], -same[:16]))
    for plans, taken in ((same, True), (turned, False)):
        practice = Practice(habit().policy, 64, 3e-3, 32, seed=0)
        before = {k: v.clone() for k, v in practice.policy.state_dict().items()}
        practice.learn(latents, goals, plans)
        assert practice.judged(40) is taken
        stayed = all(torch.equal(v, before[k]) for k, v in practice.policy.state_dict().items())
        assert stayed is not taken


def test_asleep_practice_waits_for_the_night() -> None:
    made = habit(asleep=True, **LASTING)
    live(made, [-2.0, -2.5])
    loaded = made.policy.state_dict()
    made.reset(1)
    practised = made.practice.policy.state_dict()
    assert all(torch.equal(v, loaded[k]) for k, v in practised.items())
    assert made.rehearse()["lessons"] == 8.0


def test_it_looks_at_every_tick_whatever_it_is_told() -> None:
    told, free = habit(patience=0), habit(patience=0)
    for _ in range(3):
        asked = ask([[-2.0, -2.5]])
        carry = replace(asked, carry=torch.tensor([True]))
        one, other = told.plan(torch.zeros(1, 2), carry), free.plan(torch.zeros(1, 2), asked)
        assert torch.equal(one.actions, other.actions)
        assert one.mode.tolist() == other.mode.tolist()
        assert one.evaluations == other.evaluations
