"""Descent by steps: resumed where it stopped, and ended where it diverges."""

from __future__ import annotations

import pytest
import torch

from agent.core.errors import InputError
from agent.train.progress import Figures, descend
from tests.shelf import shelf


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_training_that_diverges_stops_and_the_last_good_state_stays(value: float) -> None:
    part = torch.nn.Linear(1, 1)
    ledger, kept = shelf()

    def step(index: int) -> Figures:
        return {"fine": 1.0, "loss": value if index == 3 else 0.5}

    complaint = rf"^s: expected a finite loss at step 3, came {value}: .* lower its rate"
    with pytest.raises(InputError, match=complaint) as caught:
        descend("s", 9, step, part, torch.optim.Adam(part.parameters()), ledger)
    assert "\n" not in str(caught.value)
    assert kept["s"][1]["done"] == 3


def test_weights_that_are_not_finite_are_never_kept() -> None:
    part = torch.nn.Linear(1, 1)
    ledger, kept = shelf()

    def step(index: int) -> Figures:
        if index == 2:
            part.weight.data.fill_(torch.nan)
        return {"loss": 0.5}

    with pytest.raises(InputError, match=r"^s: expected a finite weight at step 2, came nan"):
        descend("s", 9, step, part, torch.optim.Adam(part.parameters()), ledger)
    assert kept["s"][1]["done"] == 2
    assert bool(kept["s"][0]["part.weight"].isfinite().all())


def test_descend_resumes_where_it_stopped() -> None:
    part = torch.nn.Linear(1, 1)
    seen: list[int] = []

    def step(index: int) -> Figures:
        seen.append(index)
        return {}

    ledger, kept = shelf()
    optimiser = torch.optim.Adam(part.parameters())
    descend("s", 5, step, part, optimiser, ledger)
    descend("s", 8, step, part, optimiser, ledger)
    assert seen == list(range(8))
    assert kept["s"][1]["done"] == 8
