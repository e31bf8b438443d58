"""Training objectives against the equations of their papers, written out with loops."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agent.config import schema
from agent.config.build import blueprint
from agent.config.choose import choose
from agent.core.errors import InputError
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.world_model.objectives.sigreg import epps_pulley
from modules.world_model.objectives.vicreg import EPSILON, covariance, variance
from modules.world_model.views import Views
from tests.tiny import REACH, TINY

N, L, Z, A = 12, 4, 5, 2
BODY = Layout((Channel("x", A, "m"),))
SITE = Site(BODY, BODY, 20.0, Z, BODY)
NAMES = ("prediction", "vicreg", "barlow_twins", "sigreg", "info_nce", "inverse", "straightening")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def views(n: int = N, length: int = L, **more: Any) -> Views:
    fields: dict[str, Any] = {
        "latents": 0.7 * draw(n, length + 1, Z, seed=1),
        "targets": 0.7 * draw(n, length + 1, Z, seed=2),
        "predicted": 0.7 * draw(n, length, Z, seed=3),
        "commands": draw(n, length, A, seed=4),
        "seed": 5,
    }
    return Views(**(fields | more))


def part(use: str, **settings: Any) -> Any:
    torch.manual_seed(0)
    made = choose("objective", "here", {"use": use, **settings}).build(SITE)
    return made.double() if isinstance(made, torch.nn.Module) else made


def penalty(use: str, seen: Views, **settings: Any) -> float:
    return float(part(use, **settings)(seen)[0])


def test_prediction_is_the_mean_squared_error_over_steps() -> None:
    seen, total = views(), 0.0
    for i in range(N):
        for h in range(L):
            for z in range(Z):
                gap = seen.predicted[i, h, z] - seen.targets[i, h + 1, z]
                total += float(gap) ** 2 / (N * L * Z)
    assert penalty("prediction", seen) == pytest.approx(total)


def test_vicregs_variance_is_equation_1() -> None:
    latents, total = views().latents[:, 0], 0.0
    for column in latents.T:
        s = ((column - column.mean()) ** 2).sum() / (N - 1)
        total += max(0.0, 1.0 - float((s + EPSILON) ** 0.5))
    assert float(variance(latents, 1.0)) == pytest.approx(total / Z)
    assert float(variance(latents * 0, 1.0)) == pytest.approx(1 - EPSILON**0.5)


def test_vicregs_covariance_is_equations_3_and_4() -> None:
    latents, total = views().latents[:, 0], 0.0
    for i in range(Z):
        for j in range(Z):
            if i != j:
                a, b = latents[:, i], latents[:, j]
                total += float(((a - a.mean()) * (b - b.mean())).sum() / (N - 1)) ** 2
    assert float(covariance(latents)) == pytest.approx(total / Z)


def test_vicreg_is_the_weighted_sum_at_the_windows_start() -> None:
    seen = views()
    found, parts = part("vicreg", variance=3.0, covariance=0.5)(seen)
    assert float(found) == pytest.approx(3 * parts["variance"] + 0.5 * parts["covariance"])
    assert parts["variance"] == float(variance(seen.latents[:, 0], 1.0))


def test_barlow_twins_is_equations_1_and_2() -> None:
    seen, redundancy, total = views(), 0.3, 0.0
    a, b = seen.predicted[:, 0].numpy(), seen.targets[:, 1].numpy()
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    for i in range(Z):
        for j in range(Z):
            above = sum(a[k, i] * b[k, j] for k in range(N))
            c = above / math.sqrt(sum(a[:, i] ** 2)) / math.sqrt(sum(b[:, j] ** 2))
            total += (1 - c) ** 2 if i == j else redundancy * c**2
    assert penalty("barlow_twins", seen, redundancy=redundancy) == pytest.approx(total, rel=1e-5)


def test_barlow_twins_is_zero_for_whitened_views_that_correlate_perfectly() -> None:
    centred = draw(N, Z) - draw(N, Z).mean(dim=0)
    white = torch.linalg.qr(centred).Q
    seen = views(
        predicted=white[:, None].expand(-1, L, -1),
        targets=(3 * white)[:, None].expand(-1, L + 1, -1),
    )
    assert penalty("barlow_twins", seen, redundancy=1.0) == pytest.approx(0.0, abs=1e-10)
    assert penalty("barlow_twins", dataclasses.replace(seen, predicted=0 * seen.predicted)) == Z


def test_the_statistic_is_epps_and_pulleys() -> None:
    samples = draw(30, 3).numpy() + 0.4
    t = np.linspace(-5.0, 5.0, 17)
    for column in range(3):
        values = []
        for at in t:
            empirical = sum(np.exp(1j * at * x) for x in samples[:, column]) / 30
            values.append(abs(empirical - math.exp(-(at**2) / 2)) ** 2 * math.exp(-(at**2)))
        whole = sum((t[k + 1] - t[k]) * (values[k] + values[k + 1]) / 2 for k in range(16))
        assert float(epps_pulley(torch.from_numpy(samples))[column]) == pytest.approx(whole)


def test_the_quadrature_is_that_of_the_integral() -> None:
    flat = math.sqrt(math.pi) - 2 * math.sqrt(2 * math.pi / 3) + math.sqrt(math.pi / 2)
    assert float(epps_pulley(torch.zeros(4, 1).double())) == pytest.approx(flat, rel=1e-4)
    rough, fine = epps_pulley(draw(20, 6)), epps_pulley(draw(20, 6), knots=801, limit=12.0)
    torch.testing.assert_close(rough, fine, rtol=1e-2, atol=1e-4)


def test_sigreg_is_near_zero_for_gaussian_latents_only() -> None:
    def score(latents: Tensor) -> float:
        return penalty("sigreg", views(latents=latents[:, None].expand(-1, L + 1, -1)))

    wide = draw(4000, Z)
    sound = score(wide)
    assert 0 <= sound < 1e-3
    point, line = 0 * wide, wide[:, :1].expand(-1, Z)
    uniform = (torch.rand(4000, 1, dtype=torch.float64) - 0.5) * 12**0.5 * torch.eye(Z)[0].double()
    for other in (point, line, uniform, 3 * wide, wide + 1):
        assert score(other) > 20 * sound
    assert score(point) > 0.13


def test_sigreg_draws_from_the_steps_seed_alone() -> None:
    seen = views()
    torch.manual_seed(1)
    one = penalty("sigreg", seen)
    torch.rand(3)
    assert penalty("sigreg", seen) == one
    assert penalty("sigreg", dataclasses.replace(seen, seed=6)) != one


def test_info_nce_is_the_log_loss_among_the_batch() -> None:
    seen, temperature, total = views(), 0.4, 0.0
    for h in range(L):
        for i in range(N):
            scores = []
            for j in range(N):
                gap = seen.predicted[i, h] - seen.targets[j, h + 1]
                scores.append(-float((gap**2).mean()) / temperature)
            total -= scores[i] - math.log(sum(math.exp(s) for s in scores))
    assert penalty("info_nce", seen, temperature=temperature) == pytest.approx(total / (N * L))


def test_info_nce_is_log_n_at_chance_and_zero_when_told_apart() -> None:
    same = views(targets=torch.ones(N, L + 1, Z).double())
    assert penalty("info_nce", same) == pytest.approx(math.log(N))
    targets = 100 * draw(N, L + 1, Z)
    found, figures = part("info_nce")(views(targets=targets, predicted=targets[:, 1:]))
    assert float(found) == pytest.approx(0.0, abs=1e-9)
    assert figures["told_apart"] == 1.0


def test_inverse_asks_the_head_for_the_command() -> None:
    seen, total = views(), 0.0
    made = part("inverse", width=7)
    for i in range(N):
        for h in range(L):
            guess = made.head(torch.cat((seen.latents[i, h], seen.latents[i, h + 1])))
            total += float((guess.detach() - seen.commands[i, h]).square().sum()) / (N * L * A)
    assert float(made(seen)[0].detach()) == pytest.approx(total)


def test_straightening_is_one_minus_the_cosine_of_successive_steps() -> None:
    seen, turns = views(), []
    for window in seen.latents.numpy():
        for h in range(L - 1):
            one, other = window[h + 1] - window[h], window[h + 2] - window[h + 1]
            turns.append(1 - one @ other / np.linalg.norm(one) / np.linalg.norm(other))
    assert penalty("straightening", seen) == pytest.approx(np.mean(turns))


def test_straightening_is_zero_straight_on_and_two_in_reverse() -> None:
    way = draw(N, 1, Z)
    ahead = way * torch.tensor([0.0, 1.0, 2.5, 2.9, 7.0])[None, :, None]
    there_and_back = way * torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0])[None, :, None]
    assert penalty("straightening", views(latents=ahead)) == pytest.approx(0.0, abs=1e-12)
    assert penalty("straightening", views(latents=there_and_back)) == pytest.approx(2.0)


def test_where_nothing_moves_there_is_no_direction() -> None:
    latents = (draw(N, 1, Z) * torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])[None, :, None]).clone()
    assert penalty("straightening", views(latents=latents)) == pytest.approx(2.0)
    still = torch.zeros(N, L + 1, Z).double().requires_grad_(True)
    found, _ = part("straightening")(views(latents=still))
    found.backward()
    assert float(found.detach()) == 0.0
    assert still.grad is not None
    assert bool((still.grad == 0).all())
    assert penalty("straightening", views(length=1)) == 0.0


def test_none_adds_nothing() -> None:
    found, figures = part("none")(views(latents=draw(N, L + 1, Z).requires_grad_(True)))
    assert (float(found), found.requires_grad, figures) == (0.0, False, {})


@pytest.mark.parametrize("use", NAMES)
def test_gradients_match_finite_differences(use: str) -> None:
    seen = views(n=6, length=3)
    made = part(use)

    def scalar(*given: Tensor) -> Any:
        latents, targets, predicted = given
        return made(
            dataclasses.replace(seen, latents=latents, targets=targets, predicted=predicted)
        )[0]

    given = (seen.latents, seen.targets, seen.predicted)
    assert torch.autograd.gradcheck(scalar, tuple(v.clone().requires_grad_(True) for v in given))


@pytest.mark.parametrize("use", [*NAMES, "none"])
@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_a_weight_that_is_none_is_refused(use: str, weight: float) -> None:
    with pytest.raises(InputError, match=r"here: 'weight': .*greater than 0, came"):
        part(use, weight=weight)


@pytest.mark.parametrize(
    ("listed", "complaint"),
    [
        ("[{use: vicrek}]", r"unknown objective 'vicrek'; did you mean 'vicreg'\?"),
        ("[{use: vicreg, wait: 1.0}]", r"objectives\.0: unknown key 'wait'; did you mean 'weight'"),
        ("[{use: info_nce, temperature: 0.0}]", r"objectives\.0: 'temperature': .*greater than 0"),
        ("[{weight: 1.0}]", r"objectives\.0: 'use' is missing"),
        ("[vicreg]", r"train\.learner: 'objectives\.0': .*came 'vicreg'"),
        (
            "[]",
            r"objectives: expected one that trains the predictor \(barlow_twins, info_nce, pred",
        ),
        ("[{use: vicreg}, {use: none}]", r"came vicreg, none; add \{use: prediction\}"),
    ],
)
def test_lists_that_do_not_fit_are_refused_in_one_line(listed: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        blueprint(schema.load(REACH, [*TINY, f"train.learner.objectives={listed}"]))
    assert "\n" not in str(caught.value)


def test_the_resolved_config_shows_every_default() -> None:
    listed = "train.learner.objectives=[{use: prediction}, {use: sigreg, weight: 3.0}]"
    whole = blueprint(schema.load(REACH, [*TINY, listed])).resolved()
    assert whole["train"]["learner"]["objectives"] == [
        {"use": "prediction", "weight": 1.0, "error": "squared"},
        {"use": "sigreg", "weight": 3.0, "directions": 256, "knots": 17, "limit": 5.0},
    ]
    plain, listless = (blueprint(schema.load(REACH, o)).resolved() for o in ([], TINY))
    for found in (plain, listless):
        uses = [o["use"] for o in found["train"]["learner"]["objectives"]]
        assert uses == ["prediction", "vicreg", "inverse"]
    assert plain["train"]["learner"]["objectives"] == listless["train"]["learner"]["objectives"]
