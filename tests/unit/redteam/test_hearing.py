"""What was imagined at a level, judged once more: who has strayed may come back."""

from __future__ import annotations

import torch

from agent.core.guardrails import Guardrails
from agent.redteam.hearing import Heard
from tests.toys import Adding, Below, Place, plan

RAILS = Guardrails((Below(1.0, "wall"),), Place())
STARTS = torch.tensor([[1.4, 0.0], [1.4, 0.0], [0.9, 0.0], [0.0, 0.0]])
LEAPS = torch.tensor([[[-0.3, 0.0]], [[0.1, 0.0]], [[0.2, 0.0]], [[0.5, 0.0]]])


def standing(rest: torch.Tensor | None, *imagined: torch.Tensor) -> list[bool]:
    """Say whose leap may be followed, if these [B 1 2] were imagined together."""
    heard = Heard(RAILS, 2, rest)
    heard.imagined.append(Adding().imagine(STARTS, torch.stack(imagined, dim=1)))
    fine: list[bool] = heard.standing(plan(LEAPS), STARTS).tolist()
    return fine


def test_a_plan_that_breaks_less_than_rest_may_be_followed() -> None:
    rest = torch.zeros(2)
    resting = rest.expand_as(LEAPS)
    assert standing(rest, LEAPS, resting) == [True, False, False, True]
    assert standing(rest, LEAPS) == [False, False, False, True], "rest was not imagined"
    assert standing(None, LEAPS, resting) == [False, False, False, True]
    assert standing(rest, resting, resting) == [False] * 4, "nobody imagined the plan"
