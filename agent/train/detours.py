"""Value iteration in imagination: how far it is to any goal, guardrails respected.

Source: LeCun (2022) sec. 3.3; Sutton (1990), Dyna; goals in hindsight: Andrychowicz et al. (2017).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from agent.core.messages import Rollout
from agent.core.protocols import Perception
from agent.core.settings import Settings
from agent.core.spec import Layout
from agent.train.dataset import Dataset
from agent.train.progress import Figures, Ledger, descend

MIX = 1_000_003
CHUNK = 64
CROWD = 16
"""Goals a close one is picked from: close by, yet perhaps a long way round."""


class Detours(Settings):
    """How moves are imagined: from `states` states, `moves` each, held for `ticks` ticks.

    Three quarters of the moves are drawn within `calm` of the actuators' range; the first is to
    rest. The share `still` of the states is first brought to rest, for `brake` ticks: that is where
    goals are held, and exploration is seldom still.
    """

    steps: int = Field(default=4500, ge=1)
    states: int = Field(default=24_576, ge=1)
    moves: int = Field(default=24, ge=2)
    ticks: int = Field(default=4, ge=1)
    calm: float = Field(default=0.63, gt=0, le=1)
    still: float = Field(default=0.4, ge=0, le=1)
    brake: int = Field(default=10, ge=1)


@dataclass(frozen=True, slots=True)
class Moves:
    """Imagined moves: from `latents` [n Z] at places `there` [n G], to where and at what risk.

    `ends` [n M Z]; `places` [n M T G], where each tick ends; `forbidden` [n M], ticks of the move
    that break a guardrail.
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
    perception: Perception,
    imagine: Callable[[Tensor, Tensor], Rollout],
    guardrails: Callable[[Rollout], Tensor],
    sensors: Layout,
    actuators: Layout,
    quantity: str,
    seed: int = 0,
) -> Moves:
    """Return moves from states of the dataset that have at least one allowed move.

    `imagine(state, actions)` returns rollouts with quantities; `guardrails(rollout)` their values
    [B K R H], worst over members and margins included.
    """
    generator = torch.Generator().manual_seed(seed * MIX)
    values, _ = dataset.windows(config.states, 1, generator)
    latents, there = perception.encode(values[:, 0]), values[:, 0, sensors[quantity]].clone()
    low, high = actuators.bounds()
    rest = torch.zeros_like(low).clamp(low, high)
    for part in torch.split(torch.arange(int(config.still * config.states)), CHUNK):
        braked = imagine(latents[part], rest.expand(len(part), 1, config.brake, -1))
        latents[part] = braked.latents[:, :, 0, -1].mean(dim=0)
        there[part] = braked.quantities[quantity][:, :, 0, -1].mean(dim=0)
    shares = torch.rand(config.states, config.moves, 1, len(low), generator=generator) * 2 - 1
    shares[:, : config.moves * 3 // 4] *= config.calm
    commands = (low + high) / 2 + shares * (high - low) / 2
    commands[:, 0] = rest
    commands = commands.expand(-1, -1, config.ticks, -1)
    ends, places, forbidden, starts = [], [], [], []
    for state, moves in zip(torch.split(latents, CHUNK), torch.split(commands, CHUNK), strict=True):
        rollout = imagine(state, moves)
        broken = (guardrails(rollout) > 0).any(dim=2).sum(dim=-1)
        allowed = (broken == 0).any(dim=1)
        starts.append(allowed)
        ends.append(rollout.latents[..., -1, :].mean(dim=0)[allowed])
        places.append(rollout.quantities[quantity].mean(dim=0)[allowed])
        forbidden.append(broken[allowed].float())
    keep = torch.cat(starts)
    return Moves(
        latents[keep], there[keep], torch.cat(ends), torch.cat(places), torch.cat(forbidden)
    )


def fit_to_go(
    term: Any, moves: Moves, goals: Tensor, config: Detours, ledger: Ledger, seed: int = 0
) -> Figures:
    """Train a `ToGo` term by value iteration over `moves` and `goals` [n G]."""
    term.fit_scale(goals)
    settings = term.config
    steady = copy.deepcopy(term)
    both = torch.nn.ModuleList((term, steady))
    optimiser = torch.optim.Adam(term.parameters(), lr=settings.rate, fused=True)
    count, ticks = moves.places.shape[0], moves.places.shape[2]
    fade = settings.discount ** torch.arange(ticks)
    far = 1.0 / (1.0 - settings.discount)

    def step(index: int) -> Figures:
        share = min((index + 1) / 50, max(1.0 - index / config.steps, 0.02))
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * share
        generator = torch.Generator().manual_seed(seed * MIX + index)
        pick = torch.randint(count, (settings.batch,), generator=generator)
        shape = (settings.batch, settings.goals)
        aim = goals[torch.randint(len(goals), shape, generator=generator)]
        near = torch.randint(
            moves.places.shape[1], (settings.batch, settings.near_goals), generator=generator
        )
        near[:, :1] = 0
        aim[:, : settings.near_goals] = moves.places[pick[:, None], near, -1]
        if settings.trap_goals:
            crowd = goals[torch.randint(len(goals), (*shape, CROWD), generator=generator)]
            gap = (crowd - moves.there[pick, None, None]).square().sum(dim=-1).argmin(dim=2)
            close = crowd.gather(2, gap[:, :, None, None].expand(-1, -1, 1, crowd.shape[-1]))[
                :, :, 0
            ]
            aim[:, -settings.trap_goals :] = close[:, -settings.trap_goals :]
        with torch.no_grad():
            target = _backup(steady, moves, pick, aim, fade).clamp(max=far)
        wide = (-1, settings.goals, -1)
        latents, there = (
            moves.latents[pick, None].expand(wide),
            moves.there[pick, None].expand(wide),
        )
        error = (term(latents, there, aim) - target) / term.scale
        loss = F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.1)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            for slow, fast in zip(steady.parameters(), term.parameters(), strict=True):
                slow.lerp_(fast, 1.0 - settings.memory)
        rms = float((error * term.scale).detach().square().mean().sqrt())
        return {"error": rms, "mean": float(target.mean())}

    descend("to_go", config.steps, step, both, optimiser, ledger)
    return step(config.steps)


def _backup(term: Any, moves: Moves, pick: Tensor, aim: Tensor, fade: Tensor) -> Tensor:
    """Return the least cost [n g] of any move from states `pick` [n] towards `aim` [n g G]."""
    places = moves.places[pick, None]
    away = term.away(places, aim[:, :, None, None])
    forbidden = term.config.forbidden * moves.forbidden[pick, None]
    wide = (-1, aim.shape[1], -1, -1)
    ends, last = moves.ends[pick, None].expand(wide), places[..., -1, :].expand(wide)
    beyond = term(ends, last, aim[:, :, None].expand(-1, -1, ends.shape[2], -1)).clamp(min=0.0)
    cost = (away * fade).sum(dim=-1) + forbidden + term.config.discount ** len(fade) * beyond
    least: Tensor = cost.amin(dim=-1)
    return least
