"""How far it is to any goal, guardrails respected: dynamic programming over remembered states.

Remembered states, brought to rest, are the nodes of a graph; its edges are imagined moves from
rest to rest, priced by what they would cost. Value iteration over the graph is exact, so errors do
not feed on themselves as they do when a network is its own target; a network then learns the table.

Source: LeCun (2022) sec. 3.3; Eysenbach et al. (2019), search on the replay buffer; Bellman (1957).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from agent.core.errors import InputError
from agent.core.messages import Rollout
from agent.core.protocols import Encoder
from agent.core.settings import Settings
from agent.core.spec import Layout
from agent.train.dataset import Dataset
from agent.train.progress import Figures, Ledger, descend

MIX = 1_000_003
CHUNK = 64
CROWD = 32
"""Goals a close one is picked from: close by, yet perhaps a long way round."""


class Detours(Settings):
    """How moves are imagined: from `states` states, `moves` each, `ticks` ticks long.

    A move holds a command for a while, each its own, and then rests for at least `settle` ticks, so
    that it ends at rest as the planner's own plans do. Three quarters of the commands are drawn
    within `calm` of the actuators' range. States are first brought to rest, for `brake` ticks.
    Costs are found towards `goals` places of such states by `sweeps` of value iteration, then
    learned in `steps` steps of `batch` pairs of a state and a goal, the share `close` of them near
    each other, where a short horizon would be trapped.
    """

    states: int = Field(default=10_240, ge=1)
    moves: int = Field(default=32, ge=2)
    ticks: int = Field(default=16, ge=1)
    settle: int = Field(default=4, ge=0)
    calm: float = Field(default=0.63, gt=0, le=1)
    brake: int = Field(default=10, ge=1)
    goals: int = Field(default=2048, ge=1)
    sweeps: int = Field(default=12, ge=1)
    steps: int = Field(default=5000, ge=1)
    batch: int = Field(default=1024, ge=1)
    close: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _moves(self) -> Detours:
        if self.settle >= self.ticks:
            raise ValueError(f"expected settle below ticks ({self.ticks}), came {self.settle}")
        return self


@dataclass(frozen=True, slots=True)
class Moves:
    """A graph of imagined moves between n states at rest, M from each; the first is to stay.

    `latents` [n Z] at places `there` [n G]; `ends` [n M] are the states nearest to where moves end;
    `places` [n M T G], where each tick ends; `forbidden` [n M], ticks that break a guardrail.
    """

    latents: Tensor
    there: Tensor
    ends: Tensor
    places: Tensor
    forbidden: Tensor


@torch.no_grad()
def imagine_moves(
    config: Detours,
    dataset: Dataset,
    perception: Encoder,
    imagine: Callable[[Tensor, Tensor], Rollout],
    guardrails: Callable[[Rollout], Tensor],
    sensors: Layout,
    actuators: Layout,
    quantity: str,
    seed: int = 0,
) -> Moves:
    """Return moves between states of the dataset at which a body may rest.

    `imagine(state, actions)` returns rollouts with quantities; `guardrails(rollout)` their values
    [B K R H], worst over members and margins included. Raises InputError if there is no such state.
    """
    generator = torch.Generator().manual_seed(seed * MIX)
    values, _ = dataset.windows(config.states, 1, generator)
    latents, there = perception.encode(values[:, 0]), values[:, 0, sensors[quantity]].clone()
    low, high = actuators.bounds()
    rest = torch.zeros_like(low).clamp(low, high)
    for part in torch.split(torch.arange(config.states), CHUNK):
        braked = imagine(latents[part], rest.expand(len(part), 1, config.brake, -1))
        latents[part] = braked.latents[:, :, 0, -1].mean(dim=0)
        there[part] = braked.quantities[quantity][:, :, 0, -1].mean(dim=0)
    shares = torch.rand(config.states, config.moves, 1, len(low), generator=generator) * 2 - 1
    shares[:, : config.moves * 3 // 4] *= config.calm
    commands = (low + high) / 2 + shares * (high - low) / 2
    commands[:, 0] = rest
    longest = config.ticks - config.settle
    durations = torch.randint(1, longest + 1, (*shares.shape[:2], 1, 1), generator=generator)
    moving = torch.arange(config.ticks)[:, None] < durations
    commands = torch.where(moving, commands, rest)
    ends, places, forbidden = [], [], []
    for state, moves in zip(torch.split(latents, CHUNK), torch.split(commands, CHUNK), strict=True):
        rollout = imagine(state, moves)
        broken = (guardrails(rollout) > 0).any(dim=2).sum(dim=-1)
        ends.append(rollout.latents[..., -1, :].mean(dim=0))
        places.append(rollout.quantities[quantity].mean(dim=0))
        forbidden.append(broken.float())
    broken, where = torch.cat(forbidden), torch.cat(places)
    keep = broken[:, 0] == 0
    if not keep.any():
        raise InputError(
            f"detours: expected states at which resting breaks no guardrail, came none of"
            f" {config.states}; loosen the guardrails' limits, or explore for longer"
        )
    latents, there, where = latents[keep], there[keep], where[keep]
    arrived = torch.cat(ends)[keep]
    nodes = nearest(arrived.flatten(0, 1), latents).reshape(arrived.shape[:2])
    nodes[:, 0], where[:, 0] = torch.arange(len(latents)), there[:, None]
    return Moves(latents, there, nodes, where, broken[keep])


def nearest(points: Tensor, among: Tensor) -> Tensor:
    """Return the index of the nearest row of `among` [m Z] for each of `points` [n Z], [n]."""
    norms = among.square().sum(dim=1)
    parts = [(norms - 2.0 * (p @ among.T)).argmin(dim=1) for p in torch.split(points, 4096)]
    return torch.cat(parts)


@torch.no_grad()
def ticks_to_go(term: Any, moves: Moves, goals: Tensor, sweeps: int) -> Tensor:
    """Return the least cost [n g] from every state to `goals` [g G], discounted, by `sweeps`.

    Cost is counted as the `ToGo` term counts it; a tick that breaks a guardrail costs `forbidden`.
    Sweeps are Gauss-Seidel, in chunks that stay in cache.
    """
    discount, ticks = term.config.discount, moves.places.shape[2]
    rows = torch.split(torch.arange(len(moves.there)), CHUNK)
    prices = []
    for part in rows:
        price = (term.config.forbidden * moves.forbidden[part, :, None]).repeat(1, 1, len(goals))
        for tick in range(ticks):
            price += discount**tick * term.away(moves.places[part, :, tick, None], goals)
        prices.append(price)
    costs: Tensor = term.away(moves.there.unsqueeze(1), goals) / (1.0 - discount)
    for _ in range(sweeps):
        for part, price in zip(rows, prices, strict=True):
            later = costs[moves.ends[part]].mul_(discount**ticks)
            costs[part] = later.add_(price).amin(dim=1)
    return costs


def fit_to_go(term: Any, moves: Moves, config: Detours, ledger: Ledger, seed: int = 0) -> Figures:
    """Train a `ToGo` term on the ticks to go over `moves`."""
    generator = torch.Generator().manual_seed(seed * MIX)
    picked = torch.randperm(len(moves.there), generator=generator)[: config.goals]
    goals = moves.there[picked]
    term.fit_scale(goals)
    tables = []
    for part in torch.split(goals, CHUNK):
        tables.append(ticks_to_go(term, moves, part, config.sweeps))
        ledger.log("detours", len(tables) * CHUNK, config.goals, {"mean": float(tables[-1].mean())})
    table = torch.cat(tables, dim=1)
    optimiser = torch.optim.Adam(term.parameters(), lr=term.config.rate, fused=True)
    crowded = int(config.close * config.batch)

    def step(index: int) -> Figures:
        share = min((index + 1) / 50, max(1.0 - index / config.steps, 0.02))
        for group in optimiser.param_groups:
            group["lr"] = term.config.rate * share
        generator = torch.Generator().manual_seed(seed * MIX + index)
        state = torch.randint(len(table), (config.batch,), generator=generator)
        aims = torch.randint(len(goals), (config.batch, CROWD), generator=generator)
        gaps = (goals[aims[:crowded]] - moves.there[state[:crowded], None]).square().sum(dim=-1)
        aim = aims[:, 0].clone()
        aim[:crowded] = aims[:crowded].gather(1, gaps.argmin(dim=1, keepdim=True))[:, 0]
        views = term.views(moves.latents[state], moves.there[state], goals[aim])
        error = (views - table[state, aim]) / term.scale
        loss = F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.1)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        rms = (error * term.scale).detach().square().mean(dim=1).sqrt()
        return {"error": float(rms.mean()), "mean": float(table[state, aim].mean())}

    descend("to_go", config.steps, step, term, optimiser, ledger)
    return step(config.steps)
