"""Collapse seen, and the critic against its equations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.cost.critics.td_lambda import TDLambdaCritic
from modules.world_model.diagnosis import RIDGE, collapse, collapsed, criteria, information


def test_collapse_is_seen() -> None:
    wide = torch.randn(2000, 6, generator=torch.Generator().manual_seed(1))
    sound = collapse(wide)
    assert sound["effective_rank"] > 5.9
    assert sound["deviation_min"] > 0.9
    assert collapsed(sound, 6) == 0.0
    flat = collapse(wide * torch.tensor([1.0, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4]))
    assert flat["effective_rank"] < 1.05
    assert flat["deviation_min"] < 1e-3
    assert collapsed(flat, 6) == 1.0
    line = collapse(wide[:, :1].expand(-1, 6) * 1.0)
    assert line["effective_rank"] < 1.05
    assert line["deviation_min"] > 0.9
    assert collapsed(line, 6) == 1.0
    faint = collapse(wide * 0.01)
    assert faint["effective_rank"] > 5.9
    assert collapsed(faint, 6) == 1.0
    point = collapse(wide * 0.0)
    assert point == {"deviation_min": 0.0, "deviation_mean": 0.0, "effective_rank": 1.0}


def test_information_is_a_gaussians_entropy_above_that_of_the_unit_one() -> None:
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(50, 3, generator=generator).double()
    latents = latents @ torch.randn(3, 3, generator=generator).double()
    values = np.linalg.eigvalsh(np.cov(latents.numpy().T) + RIDGE * np.eye(3))
    entropy = sum(0.5 * math.log(2 * math.pi * math.e * v) for v in values)
    unit = 3 * 0.5 * math.log(2 * math.pi * math.e)
    assert information(latents) == pytest.approx((entropy - unit) / 3)
    assert information(latents * 0) == pytest.approx(0.5 * math.log(RIDGE))


def test_the_four_criteria() -> None:
    latents = torch.randn(400, 5, 3, generator=torch.Generator().manual_seed(4)).double()
    latents[:, -1] *= 0.1
    perfect = criteria(latents, latents[:, 1:])
    assert perfect["predictability"] == 1.0
    assert perfect["information_z"] == 0.0
    assert perfect["information_x"] == information(latents[:, 0])
    assert perfect["information_y"] == information(latents[:, -1]) < perfect["information_x"] - 2
    mean = latents[:, 1:].mean(dim=0, keepdim=True).expand(400, -1, -1)
    assert criteria(latents, mean)["predictability"] == pytest.approx(1 / 400, rel=1e-6)


def critic(**settings: float) -> TDLambdaCritic:
    body = Layout((Channel("x", 2, "m"),))
    torch.manual_seed(0)
    made = TDLambdaCritic(
        TDLambdaCritic.Config(width=8, **settings), Site(body, body, 20.0, 3, body)
    )
    made.scale.fill_(2.0)
    return made


@pytest.mark.parametrize("trace", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("discount", [0.0, 0.9])
def test_targets_are_the_lambda_return(trace: float, discount: float) -> None:
    made = critic(trace=trace, discount=discount)
    generator = torch.Generator().manual_seed(1)
    n, t = 3, 7
    latents = torch.randn(n, t + 1, 3, generator=generator)
    energy = torch.rand(n, t, generator=generator)
    ended = torch.zeros(n, t, dtype=torch.bool)
    ended[1, 4] = True
    value = made.anticipate(latents).detach()

    def steps(row: int, start: int, count: int) -> float:
        """Return the count-step return by brute force."""
        total, weight = 0.0, 1.0
        for i in range(start, start + count):
            total += weight * float(energy[row, i])
            weight *= discount
            if ended[row, i]:
                return total
        return total + weight * float(value[row, start + count])

    targets = made.targets(latents, energy, ended)
    for row in range(n):
        for start in range(t):
            most = t - start
            mixed = sum(
                (1 - trace) * trace ** (k - 1) * steps(row, start, k) for k in range(1, most)
            )
            mixed += trace ** (most - 1) * steps(row, start, most)
            assert float(targets[row, start]) == pytest.approx(mixed, rel=1e-4)


def test_a_critic_learns_what_follows() -> None:
    made = critic(trace=0.9, discount=0.5, steps=600, batch=64, rate=1e-2)
    latents = torch.zeros(16, 31, 3)
    latents[::2] = 1.0
    energy = torch.ones(16, 30)
    energy[::2] = 3.0
    found = made.fit(latents, energy, torch.zeros(16, 30, dtype=torch.bool))
    made.requires_grad_(False)
    cheap, dear = made.anticipate(torch.zeros(3)), made.anticipate(torch.ones(3))
    assert float(cheap) == pytest.approx(2.0, rel=0.1)
    assert float(dear) == pytest.approx(6.0, rel=0.1)
    assert found["explained"] > 0.95
