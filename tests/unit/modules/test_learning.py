"""VICReg and the critic against their equations."""

from __future__ import annotations

import pytest
import torch

from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.cost.critics.td_lambda import TDLambdaCritic
from modules.world_model.objectives import EPSILON, VICReg, collapse, covariance, variance

LATENTS = torch.randn(40, 5, generator=torch.Generator().manual_seed(0)).double() * 0.7


def test_variance_is_equation_1() -> None:
    total = 0.0
    for column in LATENTS.T:
        s = ((column - column.mean()) ** 2).sum() / (len(column) - 1)
        total += max(0.0, 1.0 - float((s + EPSILON) ** 0.5))
    assert float(variance(LATENTS, 1.0)) == pytest.approx(total / 5)


def test_covariance_is_equations_3_and_4() -> None:
    total = 0.0
    for i in range(5):
        for j in range(5):
            if i != j:
                a, b = LATENTS[:, i], LATENTS[:, j]
                total += float(((a - a.mean()) * (b - b.mean())).sum() / 39) ** 2
    assert float(covariance(LATENTS)) == pytest.approx(total / 5)


def test_the_penalty_is_the_weighted_sum() -> None:
    penalty, parts = VICReg(VICReg.Config(variance=3.0, covariance=0.5))(LATENTS)
    assert float(penalty) == pytest.approx(3 * parts["variance"] + 0.5 * parts["covariance"])


@pytest.mark.parametrize("criterion", [lambda x: variance(x, 1.0), covariance])
def test_gradients_match_finite_differences(criterion: object) -> None:
    assert callable(criterion)
    torch.autograd.gradcheck(criterion, (LATENTS[:8].clone().requires_grad_(True),))


def test_collapse_is_seen() -> None:
    wide = torch.randn(2000, 6, generator=torch.Generator().manual_seed(1))
    sound = collapse(wide)
    assert sound["effective_rank"] > 5.9
    assert sound["deviation_min"] > 0.9
    flat = collapse(wide * torch.tensor([1.0, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4]))
    assert flat["effective_rank"] < 1.05
    assert flat["deviation_min"] < 1e-3
    line = collapse(wide[:, :1].expand(-1, 6) * 1.0)
    assert line["effective_rank"] < 1.05
    assert line["deviation_min"] > 0.9
    assert float(covariance(line_data := wide[:, :1].expand(-1, 6))) > 4.0
    assert float(variance(line_data * 0, 1.0)) == pytest.approx(1 - EPSILON**0.5)


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
