"""An actor that ignores guardrails, on `reach`: what goes out was verified, or is the fallback."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from agent.config.build import Mind
from agent.core.loop import live
from agent.core.messages import Action, Plan, Ruling, Task, Verdict
from agent.core.repair import LESSER, REPAIRS


class Heedless:
    """The agent's objective with every guardrail satisfied."""

    def __init__(self, honest: Any) -> None:
        self._honest = honest

    def __call__(self, *asked: Any) -> Any:
        rollout, bill = self._honest(*asked)
        calm = torch.full_like(bill.guardrails, -1.0)
        return rollout, replace(bill, guardrails=calm, violation=torch.zeros_like(bill.violation))


def test_an_actor_that_ignores_guardrails_is_repaired(mind: Mind, world: Any, task: Task) -> None:
    mind.actor._objective = Heedless(mind.objective)
    agent, kinds = mind.agent(world), set()
    for tick in live(agent, world, [1_000_000], task, 40):
        verdict, command = tick.messages[Verdict], tick.messages[Action].command
        if verdict.ruling.tolist() == [Ruling.ALLOWED]:
            assert torch.equal(command, tick.messages[Plan].actions[:, 0])
            continue
        kind = verdict.reasons[0].rpartition("; ")[2]
        kinds.add(kind)
        if verdict.ruling.tolist() == [Ruling.VETOED]:
            assert torch.equal(command[0], agent.gate.fallback)
        else:
            assert kind in REPAIRS
            assert kind == LESSER or float(verdict.ahead.max()) <= 0.0
    assert kinds & set(REPAIRS)
