"""The graph behind the cost-to-go: its edges, its prices, and what the term makes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from agent.core.messages import Rollout
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from agent.train.dataset import Dataset
from agent.train.detours import Detours, Moves, fit_to_go, imagine_moves, nearest, ticks_to_go
from agent.train.progress import silent
from modules.cost.terms.to_go import ToGo
from tests.toys import ACTUATORS, Adding

PLACES = Layout((Channel("place", 2, "m"),))
SITE = Site(PLACES, ACTUATORS, 20.0, 2, PLACES)
N = 12
STEP = 0.1


def term(**more: Any) -> ToGo:
    torch.manual_seed(0)
    return ToGo(ToGo.Config(near=0.02, discount=0.95, width=32, **more), SITE)


def line(wall: int | None = None) -> Moves:
    """States in a row; one may stay, go right or go left; entering `wall` breaks a guardrail."""
    index = torch.arange(N)
    ends = torch.stack((index, (index + 1).clamp(max=N - 1), (index - 1).clamp(min=0)), dim=1)
    there = torch.stack((index * STEP, torch.zeros(N)), dim=1)
    forbidden = torch.zeros(N, 3) if wall is None else (ends == wall).float()
    return Moves(there.clone(), there, ends, there[ends].unsqueeze(2), forbidden)


def walk(part: ToGo, start: int, goal: int) -> float:
    """Return what walking straight to the goal costs, added up by hand."""
    moves, fade = line(), 1.0
    total = 0.0
    for place in range(start + 1, goal + 1) if goal > start else range(start - 1, goal - 1, -1):
        total += fade * float(part.away(moves.there[place], moves.there[goal]))
        fade *= part.config.discount
    return total


def test_the_way_to_go_is_the_shortest_one() -> None:
    part, moves = term(), line()
    costs = ticks_to_go(part, moves, moves.there, sweeps=N)
    wanted = torch.tensor([[walk(part, i, g) for g in range(N)] for i in range(N)])
    torch.testing.assert_close(costs, wanted)


def test_a_wall_is_crossed_only_where_that_is_cheaper_than_waiting() -> None:
    moves = line(wall=6)
    dear = ticks_to_go(term(forbidden=1000.0), moves, moves.there, sweeps=4 * N)
    waiting = term().away(moves.there[:, None], moves.there) / 0.05
    torch.testing.assert_close(dear[5, 7], waiting[5, 7])
    free = ticks_to_go(term(), line(), moves.there, sweeps=4 * N)
    cheap = ticks_to_go(term(forbidden=2.0), moves, moves.there, sweeps=4 * N)
    torch.testing.assert_close(cheap[5, 7], free[5, 7] + 2.0)
    torch.testing.assert_close(cheap[2, 4], free[2, 4])


class Watching:
    """Perception whose latent is what the sensors show."""

    def encode(self, values: Tensor) -> Tensor:
        return values


def imagine(state: Tensor, actions: Tensor) -> Rollout:
    rollout = Adding().imagine(state, actions)
    return replace(rollout, quantities={"place": rollout.latents})


def guard(rollout: Rollout) -> Tensor:
    return (rollout.quantities["place"][0, ..., 0] - 1.0).unsqueeze(2)


def test_moves_end_at_rest_and_start_where_a_body_may_rest() -> None:
    config = Detours(states=64, moves=8, ticks=6, settle=2, brake=1)
    values = torch.rand(8, 10, 2, generator=torch.Generator().manual_seed(0)) * 3 - 1.5
    data = Dataset(values, torch.zeros(8, 9, 2))
    moves = imagine_moves(
        config,
        data,
        Watching(),
        imagine,
        guard,
        PLACES,
        ACTUATORS,
        "place",  # type: ignore[arg-type]
    )
    count = len(moves.there)
    assert 0 < count < 64
    assert float(moves.there[:, 0].max()) <= 1.0
    assert moves.places.shape == (count, 8, 6, 2)
    assert torch.equal(moves.places[:, :, 3], moves.places[:, :, 5])
    assert not torch.equal(moves.places[:, 1:, 0], moves.places[:, 1:, 3])
    assert torch.equal(moves.ends[:, 0], torch.arange(count))
    assert torch.equal(moves.places[:, 0], moves.there[:, None].expand(-1, 6, -1))
    gaps = (moves.places[:, 1:, -1, None] - moves.latents).square().sum(dim=-1)
    assert torch.equal(gaps.argmin(dim=-1), moves.ends[:, 1:])
    assert bool((moves.forbidden[:, 0] == 0).all())
    assert torch.equal(moves.forbidden, (moves.places[..., 0] > 1.0).sum(dim=-1).float())


def test_the_nearest_state_is_the_nearest() -> None:
    generator = torch.Generator().manual_seed(1)
    points, among = (torch.randn(n, 3, generator=generator) for n in (50, 20))
    assert torch.equal(nearest(points, among), torch.cdist(points, among).argmin(dim=1))


def test_settling_longer_than_a_move_is_refused() -> None:
    with pytest.raises(ValidationError, match="settle below ticks"):
        Detours(ticks=4, settle=4)


def test_the_term_learns_the_table() -> None:
    part, moves = term(rate=1e-2), line()
    config = Detours(goals=N, sweeps=N, steps=400, batch=128)
    fit_to_go(part, moves, config, silent())
    pairs = moves.there[:, None].expand(N, N, 2), moves.there.expand(N, N, 2)
    with torch.no_grad():
        learned = part(pairs[0], *pairs)
    table = ticks_to_go(part, moves, moves.there, sweeps=N)
    assert float((learned - table).abs().mean()) < 0.1 * float(table.mean())


def test_waiting_bounds_the_term_and_the_goal_costs_nothing() -> None:
    part = term(twins=3)
    for weight in part.parameters():
        torch.nn.init.normal_(weight, std=3.0)
    generator = torch.Generator().manual_seed(2)
    latents, there, goals = (torch.randn(200, 2, generator=generator) for _ in range(3))
    cost = part(latents, there, goals)
    assert bool((cost >= 0).all())
    assert bool((cost <= part.away(there, goals) / 0.05 + 1e-6).all())
    assert torch.equal(part(latents, goals, goals), torch.zeros(200))
    views = part.views(latents, there, goals)
    assert views.shape == (3, 200)
    assert torch.equal(cost, views.max(dim=0).values)
