"""Conformal margins: the counted quantile, and coverage as promised."""

from __future__ import annotations

import pytest
import torch

from agent.train.calibrate import conformal


@pytest.mark.parametrize(("n", "rate"), [(200, 0.1), (50, 0.05), (19, 0.2)])
def test_conformal_margins_cover_as_promised(n: int, rate: float) -> None:
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(4000, n + 1, generator=generator) ** 3
    margins = conformal(draws[:, :n].T.reshape(n, 4000, 1), rate)[:, 0]
    covered = (draws[:, n] <= margins).float().mean()
    promised = 1 - rate
    assert float(covered) >= promised - 0.015
    assert float(covered) <= promised + 1 / (n + 1) + 0.015


def test_the_conformal_quantile_is_the_counted_one() -> None:
    values = torch.arange(1.0, 100.0)[
        torch.randperm(99, generator=torch.Generator().manual_seed(1))
    ]
    assert conformal(values[:, None, None], 0.1).item() == 90.0
    assert conformal(values[:, None, None], 0.5).item() == 50.0
    assert conformal(values[:5, None, None], 0.1).item() == values[:5].max().item()


def test_margins_are_each_guardrails_and_steps_own() -> None:
    excess = torch.stack([torch.arange(99.0) + o for o in (0.0, 10.0, 20.0, 30.0)], dim=1)
    margins = conformal(excess.reshape(99, 2, 2), 0.1)
    assert margins.tolist() == [[89.0, 99.0], [109.0, 119.0]]
