"""Lessons where a policy gets to by itself, and only if asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from agent.core.errors import InputError
from agent.core.messages import Mode
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from agent.train.distil import STOPS, Distil, skill, visited
from agent.train.progress import Ledger
from modules.actor.cem import CEM
from tests.contract.test_planners import Slide, ask
from tests.toys import ACTUATORS

PLACE = Layout((Channel("place", 2, "m"),))
N = 16


def planner() -> CEM:
    site = Site(PLACE, ACTUATORS, 20.0, 2, PLACE, ("away",), ("wall",), Slide())  # type: ignore[arg-type]
    torch.manual_seed(0)
    made = CEM(CEM.Config(samples=16, elites=4, policy={"width": 16, "horizon": 6}), site)  # type: ignore[arg-type]
    torch.nn.init.constant_(made.policy.net[-1].bias, 0.5)
    return made


def distilled(
    allowed: bool = True, **settings: Any
) -> tuple[dict[str, torch.Tensor], list[str], CEM]:
    """Return the policy's weights after distilling, and which states were kept."""
    made, kept = planner(), []
    generator = torch.Generator().manual_seed(3)
    latents, goals = (torch.randn(64, 2, generator=generator) for _ in range(2))
    ledger = Ledger(lambda *_: None, lambda name, *_: kept.append(name), lambda _: None)

    def plan(latent: torch.Tensor, directive: Any) -> Any:
        made.reset(len(latent))
        plan = made.plan(latent, directive)
        return plan if allowed else replace(plan, violation=torch.ones(len(latent)))

    config = Distil(lessons=N, steps=5, batch=8, walk=8, **settings)
    skill(
        made, plan, made._objective, lambda goal: ask(goal), latents, latents, goals, goals,
        config, ledger,
    )  # fmt: skip
    return made.policy.state_dict(), kept, made


def test_states_visited_are_those_that_habit_leads_to() -> None:
    made = planner()
    starts, goals = torch.zeros(3, 2), torch.tensor([[9.0, 2.0], [5.0, 5.0], [0.0, 0.0]])
    made.reset(3)
    seen, wanted = visited(made.plan, ask, starts, goals, 8)
    assert seen.shape == wanted.shape == (3 * STOPS, 2)
    assert torch.equal(wanted, goals.repeat(STOPS, 1))
    made.reset(3)
    place = starts
    for tick in range(1, 9):
        plan = made.plan(place, ask(goals, Mode.REACTIVE))
        place = place + plan.actions[:, 0]
        if tick % 2 == 0:
            torch.testing.assert_close(seen[3 * (tick // 2 - 1) :][:3], place)
    assert not torch.equal(seen[-3:-1], starts[:2])


def test_episodes_shorter_than_their_stops_are_no_trouble() -> None:
    made = planner()
    seen, wanted = visited(made.plan, ask, torch.zeros(3, 2), torch.ones(3, 2), 2)
    assert seen.shape == wanted.shape == (6, 2)


def test_revisits_add_rounds_and_are_off_by_default() -> None:
    plain, kept, _ = distilled()
    assert kept == ["lessons", "distil"]
    again, _, _ = distilled(revisits=0)
    assert all(torch.equal(v, again[k]) for k, v in plain.items())
    more, kept, _ = distilled(revisits=2)
    assert kept == ["lessons", "distil", "lessons1", "distil1", "lessons2", "distil2"]
    assert not all(torch.equal(v, more[k]) for k, v in plain.items())


def test_a_planner_that_guardrails_allow_nothing_teaches_nothing_and_says_so() -> None:
    with pytest.raises(InputError, match=rf"train\.distil: .*came none of {N}; train longer"):
        distilled(allowed=False)
