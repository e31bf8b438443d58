"""Work is counted as it is done, and lives practise what they say."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor

from agent.evaluate.effort import efforts
from agent.evaluate.planning import HORIZON, Problem
from agent.evaluate.practice import course


def test_multiply_adds_are_those_of_the_matrix_products() -> None:
    problem = Problem()
    asked = problem.directive()

    def judge(count: int) -> Tensor:
        _, bill = problem(problem.state, torch.zeros(1, count, HORIZON, 2), asked)
        return bill.energy

    found = efforts({"few": lambda _: judge(3), "many": lambda _: judge(30)}, range(4))
    assert found["few"].multiply_adds == problem.flops(3, 1) / 2
    assert found["many"].multiply_adds == problem.flops(30, 1) / 2
    assert [len(e.ms) for e in found.values()] == [4, 4]


def test_deciders_take_turns_on_the_same_cases() -> None:
    asked: list[tuple[str, int]] = []

    def decide(name: str) -> object:
        def note(case: int) -> Tensor:
            asked.append((name, case))
            return torch.zeros(())

        return note

    efforts({"a": decide("a"), "b": decide("b")}, [5, 6, 7])  # type: ignore[dict-item]
    assert asked[-6:] == [("a", 5), ("b", 5), ("a", 6), ("b", 6), ("a", 7), ("b", 7)]


def test_a_life_practises_few_goals_then_meets_others_and_comes_back() -> None:
    life = course(100, goals=3, rounds=4, elsewhere=5, back=2)
    starts, aims = zip(*life, strict=True)
    assert len(set(starts)) == len(life) == 3 * 4 + 5 + 3 * 2
    assert aims[:12] == (100, 101, 102) * 4
    assert aims[-6:] == (100, 101, 102) * 2
    assert not set(aims[12:17]) & {100, 101, 102}
    assert max(Counter(aims[12:17]).values()) == 1
