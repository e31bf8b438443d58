"""A row says why the runner-up lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from agent.core.considered import Rival
from agent.core.messages import Plan
from agent.record.metrics import lost
from tests.fake_run import HEADER, message


def plan(**changes: Any) -> Plan:
    """Return a plan of energy 1 (distance 0.7, effort 0.3) whose runner-up costs 1.5."""
    made: Plan = message(Plan, torch.Generator().manual_seed(0), {"T": 3, "R": 2})
    terms = torch.zeros_like(made.terms)
    terms[0, :2, 0] = torch.tensor([0.7, 0.3])
    fields = {
        "actions": made.actions,
        "energy": torch.tensor([1.5]),
        "terms": torch.tensor([[0.75, 0.75, 0.0]]),
        "violation": torch.tensor([0.0]),
        "guardrail": torch.tensor([-1]),
    }
    return replace(made, energy=torch.tensor([1.0]), terms=terms, rival=Rival(**(fields | changes)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "energy 1.5, 0.5 more, most of it effort"),
        (
            {"guardrail": torch.tensor([1]), "violation": torch.tensor([0.25])},
            "breaks speed, by 0.25 summed over steps",
        ),
        ({"energy": torch.tensor([torch.inf])}, None),
    ],
)
def test_why_the_runner_up_lost(changes: dict[str, Any], words: str | None) -> None:
    assert lost(plan(**changes), 0, HEADER) == words


def test_an_actor_that_compares_nothing_has_no_runner_up() -> None:
    assert lost(replace(plan(), rival=None), 0, HEADER) is None


def test_names_are_not_needed() -> None:
    blamed = plan(guardrail=torch.tensor([1]), violation=torch.tensor([0.25]))
    assert lost(blamed, 0, {}) == "breaks guardrail 1, by 0.25 summed over steps"
    assert lost(plan(), 0, {}) == "energy 1.5, 0.5 more"
