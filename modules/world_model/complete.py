"""Completing what was not observed: the state before, and the way between two states.

Both descend through the world model, as planning does, but ask what explains rather than what
pays. Source: LeCun (2022) sec. 4, a world model "fills in" what is missing from what is known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from agent.core.messages import Rollout


class Imagining(Protocol):
    """What completion needs of a world model."""

    def imagine(self, state: Tensor, actions: Tensor) -> Rollout:
        """Return the futures of `actions` [B K H A] from `state` [B Z]; differentiable."""
        ...


def retrodict(
    model: Imagining, after: Tensor, actions: Tensor, steps: int = 200, rate: float = 0.05
) -> Tensor:
    """Return the state before [B Z] from which `actions` [B H A] end nearest `after` [B Z].

    Distance is squared and averaged over members. The search starts at `after` and keeps the best
    state that each row came by, so it never ends farther off than it started.
    """

    def distance(before: Tensor) -> Tensor:
        return _miss(model, before, actions, after)

    return _descended(distance, after, steps, rate)


def interpolate(
    model: Imagining,
    first: Tensor,
    last: Tensor,
    ticks: int,
    bounds: tuple[Tensor, Tensor],
    steps: int = 200,
    rate: float = 0.05,
) -> tuple[Tensor, Tensor]:
    """Return actions [B ticks A] that lead from `first` to `last` [B Z], and the path [B ticks Z].

    `bounds` are the actuators' limits [A], kept by construction: actions are the middle of the
    range plus tanh of what is searched, which starts at the middle. The path is the members' mean;
    its last state is `last` only if that is within reach. Keeps the best of each row.
    """
    low, high = bounds
    centre, extent = (low + high) / 2, (high - low) / 2

    def moves(free: Tensor) -> Tensor:
        return centre + extent * free.tanh()

    def distance(free: Tensor) -> Tensor:
        return _miss(model, first, moves(free), last)

    free = _descended(distance, first.new_zeros(len(first), ticks, len(low)), steps, rate)
    with torch.no_grad():
        actions = moves(free)
        path = model.imagine(first, actions.unsqueeze(1)).latents[:, :, 0].mean(dim=0)
    return actions, path


def _miss(model: Imagining, start: Tensor, actions: Tensor, aim: Tensor) -> Tensor:
    """Return the mean squared distance [B] of the members' last states to `aim`."""
    ends = model.imagine(start, actions.unsqueeze(1)).latents[:, :, 0, -1]
    return (ends - aim).square().sum(dim=-1).mean(dim=0)


def _descended(
    distance: Callable[[Tensor], Tensor], start: Tensor, steps: int, rate: float
) -> Tensor:
    """Return the point [B ...] of least `distance` [B] on Adam's way down from `start`.

    Rows do not touch; the rate falls linearly, so that the end settles.
    """
    point = start.detach().clone().requires_grad_(True)
    best, least = point.detach().clone(), start.new_full((len(start),), torch.inf)
    optimiser = torch.optim.Adam([point], lr=rate)
    for index in range(steps + 1):
        with torch.enable_grad():
            missed = distance(point)
            (point.grad,) = torch.autograd.grad(missed.sum(), point)
        better = missed.detach() < least
        least = missed.detach().where(better, least)
        best[better] = point.detach()[better]
        optimiser.param_groups[0]["lr"] = rate * max(1.0 - index / max(steps, 1), 0.01)
        optimiser.step()
    return best
