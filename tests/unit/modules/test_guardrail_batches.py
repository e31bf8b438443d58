"""Guardrails judge many at once as each alone: members, agents, candidates and steps stay apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.core.messages import Rollout
from agent.core.past import moment, since
from tests.unit.modules.test_guardrail_library import SLOW, near, rail

MEMBERS, AGENTS, PLANS, STEPS = 2, 3, 4, 5
SIZES = {"place": 2, "other": 2, "power": 1, "speed": 1}
BALL = {"centre": [0.5, 0.0], "radius": 0.5}
LIBRARY: dict[str, dict[str, Any]] = {
    "at_most": {"quantity": "place", "limit": [0.5, 2.0]},
    "at_least": {"quantity": "place", "limit": 0.5},
    "apart": {"quantity": "place", "other": "other", "limit": 1.0},
    "keep_in": {"quantity": "place", "box": {"min": [0.0, -1.0], "max": [2.0, None]}},
    "keep_out": {"quantity": "place", "ball": BALL},
    "rate": {"quantity": "place", "limit": 0.5},
    "total": {"quantity": "place", "limit": 0.5},
    "all_of": {"of": [SLOW, near(0.5)]},
    "any_of": {"of": [SLOW, near(0.5)]},
    "negation": {"of": SLOW},
    "until": {"keep": SLOW, "until": near(1.0)},
    "within": {"of": near(1.0), "seconds": 0.3, "pace": 0.5},
}


def drawn(generator: torch.Generator, *shape: int) -> dict[str, Tensor]:
    return {n: torch.randn(*shape, size, generator=generator) for n, size in SIZES.items()}


def alone(rollout: Rollout, e: int, b: int, k: int) -> Rollout:
    """Return one future of one agent's one plan."""
    at = slice(e, e + 1), slice(b, b + 1), slice(k, k + 1)
    return replace(
        rollout,
        start=rollout.start[at[1]],
        actions=rollout.actions[at[1:]],
        latents=rollout.latents[at],
        quantities={n: v[at] for n, v in rollout.quantities.items()},
        past={n: v[at[1]] for n, v in rollout.past.items()},
    )


@pytest.mark.parametrize("ticks", [0, 1, 3], ids="{} ticks lived".format)
@pytest.mark.parametrize("use", LIBRARY)
def test_many_are_judged_as_each_would_be_alone(use: str, ticks: int) -> None:
    guardrail, generator = rail(use, **LIBRARY[use]), torch.Generator().manual_seed(7)
    past: dict[str, Tensor] = {}
    own: list[dict[str, Tensor]] = [{} for _ in range(AGENTS)]
    for _ in range(ticks):
        shown = drawn(generator, AGENTS)
        past = since([guardrail], moment(torch.zeros(AGENTS, 2), shown, past))
        for b in range(AGENTS):
            mine = {n: v[b : b + 1] for n, v in shown.items()}
            own[b] = since([guardrail], moment(torch.zeros(1, 2), mine, own[b]))
    for name, kept in past.items():
        assert torch.equal(kept, torch.cat([o[name] for o in own]))
    quantities = drawn(generator, MEMBERS, AGENTS, PLANS, STEPS)
    start, actions = torch.zeros(AGENTS, 2), torch.zeros(AGENTS, PLANS, STEPS, 1)
    latents = torch.zeros(MEMBERS, AGENTS, PLANS, STEPS, 2)
    rollout = Rollout(start, actions, latents, quantities, networks=1, past=past)
    found = guardrail.value(rollout)
    assert found.shape == (MEMBERS, AGENTS, PLANS, STEPS)
    for e in range(MEMBERS):
        for b in range(AGENTS):
            for k in range(PLANS):
                one = guardrail.value(alone(rollout, e, b, k))[0, 0, 0]
                torch.testing.assert_close(found[e, b, k], one)


def test_disagreement_of_networks_binds_every_future_of_a_plan() -> None:
    apart = torch.tensor([[0.0, 0.1, 0.4], [0.2, 0.0, 0.0]])  # of two networks, [B H]
    latents = torch.zeros(4, 2, 2, 3, 2)  # two draws of each
    latents[:2, :, 1, :, 0], latents[2:, :, 1, :, 0] = apart, -apart
    start, actions = torch.zeros(2, 2), torch.zeros(2, 2, 3, 1)
    found = rail("known", limit=0.1).value(Rollout(start, actions, latents, {}, networks=2))
    assert found.shape == (4, 2, 2, 3)
    torch.testing.assert_close(found[:, :, 1], (apart - 0.1).expand(4, 2, 3))
    torch.testing.assert_close(found[:, :, 0], torch.full((4, 2, 3), -0.1))
