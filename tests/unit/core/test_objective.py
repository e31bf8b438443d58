"""Judging many plans piece by piece says what judging them together says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from agent.core import objective as file
from agent.core.guardrails import Guardrails
from agent.core.messages import Bill, Directive, Rollout
from agent.core.objective import GuardedObjective
from tests.toys import Adding, Below, Place
from tests.unit.core.test_past_moments import Peak, Spent


class Two(Place):
    """Readouts of two quantities."""

    def read(self, latents: Tensor) -> dict[str, Tensor]:
        """Return the place, and how far off it is."""
        return {**super().read(latents), "far": latents.norm(dim=-1, keepdim=True)}


class Counting:
    """A cost: what every plan ends at, and how many agents were asked about at once."""

    def __init__(self) -> None:
        """Nobody was asked about yet."""
        self.asked: list[int] = []

    def energy(self, rollout: Rollout, directive: Directive) -> Bill:
        """Return where plans end, towards each agent's goal."""
        b, k, h, _ = rollout.actions.shape
        self.asked.append(b)
        terms = (
            rollout.quantities["place"][0, ..., 0].unsqueeze(2) + directive.goal[:, :, None, None]
        )
        none = torch.zeros(b, k, 0, h)
        return Bill(terms[:, :, 0, -1], terms, none, torch.zeros(b, k))


def asked(rows: int) -> Directive:
    one = torch.ones(rows)
    goal = torch.arange(float(rows))[:, None]
    return Directive(goal, one[:, None], one[:, None], one.long(), 2)


def fields(rollout: Rollout, bill: Bill) -> dict[str, Tensor]:
    return {
        "start": rollout.start, "actions": rollout.actions, "latents": rollout.latents,
        **rollout.quantities, **rollout.past, "energy": bill.energy,
        "terms": bill.terms, "guardrails": bill.guardrails, "violation": bill.violation,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("floats", "sizes"), [(12, [1] * 5), (24, [2, 2, 1]), (36, [3, 2]), (60, [5])]
)
def test_pieces_are_put_together_in_order(
    floats: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rails = Guardrails((Below(1.0), Peak(), Spent()), Two(), torch.tensor([[0.1, 0.2]] * 3))
    generator = torch.Generator().manual_seed(0)
    state = torch.rand(5, 2, generator=generator)
    actions = torch.rand(5, 3, 2, 2, generator=generator)
    whole = fields(*GuardedObjective(Adding(), Counting(), rails)(state, actions, asked(5)))  # type: ignore[arg-type]
    monkeypatch.setattr(file, "CHUNK_FLOATS", floats)
    cost = Counting()
    pieces = fields(*GuardedObjective(Adding(), cost, rails)(state, actions, asked(5)))  # type: ignore[arg-type]
    assert cost.asked == sizes
    assert pieces.keys() == whole.keys() >= {"place", "far", "peak", "spent"}
    for name, value in whole.items():
        assert torch.equal(value, pieces[name]), name
    assert whole["violation"].max() > 0
    assert torch.equal(whole["violation"], whole["guardrails"].clamp(min=0).sum(dim=(2, 3)))
