"""The search that all planners share: waves of candidates, the best so far, and a deadline.

A planner says which candidates to try next and is told how they fared; it holds no clock and
keeps no score. So every one of them is anytime, ranks guardrails first, and explains itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agent.core.messages import Bill, Directive
from agent.core.protocols import Objective
from modules.actor.sampling import Pool

PATIENCE = 2
"""Waves without improvement after which an agent's search has converged."""
FAN = 24
"""Candidates that a plan tells of, to be looked at."""
FADE = 0.95
"""What is left of the shortest time known whenever a wave is given up for lack of time."""


@dataclass(frozen=True, slots=True)
class Wave:
    """Candidates [B K H A] to be judged together.

    With a `loss` of their bills [B K], its slopes are asked for too.
    """

    actions: Tensor
    loss: Callable[[Bill], Tensor] | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """The best so far, this wave in the order it was asked for, and its slopes [B K H A].

    Slopes are d loss / d action, 0 where they are no number; None if no loss was given.
    """

    known: Pool
    fresh: Pool
    slopes: Tensor | None = None


Waves = Generator[Wave, Told, None]
"""A planner at work: it yields waves, is sent what came of them, and returns when it is done."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found: its best candidates, the tempting one, the best unlike the best.

    And a fan of all. But for the best they are bare: nothing of what was imagined is kept.
    `tried` candidates of all agents together, in `waves` (None: there was no search); `complete`
    if no deadline cut it short.
    """

    best: Pool
    tempting: Pool
    rival: Pool
    fan: Pool
    tried: int
    waves: int | None = None
    complete: bool = True

    @staticmethod
    def joined(parts: Sequence[Found], order: Sequence[Tensor]) -> Found:
        """Return what was found for all agents, given the rows [b] that each part is about."""
        kinds = zip(*((p.best, p.tempting, p.rival, p.fan) for p in parts), strict=True)
        told = [first.rows(others) for first, *others in kinds]
        if len(parts) > 1:
            back = torch.cat(list(order)).argsort()
            told = [pool.agents(back) for pool in told]
        searched = [p.waves for p in parts if p.waves is not None]
        tried, complete = sum(p.tried for p in parts), all(p.complete for p in parts)
        best, tempting, rival, fan = told
        return Found(best, tempting, rival, fan, tried, min(searched, default=None), complete)


class Pace:
    """Foretells how long a wave takes from the last one of its kind: as large, slopes or none."""

    def __init__(self) -> None:
        """Know nothing yet: what is not known is expected to take no time."""
        self._last_s: dict[tuple[bool, int], float] = {}
        self._least_s: dict[tuple[bool, int], float] = {}
        self._each_s: dict[bool, float] = {}

    def expect_s(self, wave: Wave) -> float:
        """Return how long the wave should take; of a new size, by the numbers in it."""
        slopes, size = _kind(wave)
        known = self._last_s.get((slopes, size))
        return self._each_s.get(slopes, 0.0) * size if known is None else known

    def learn(self, wave: Wave, took_s: float) -> None:
        """Remember how long the wave took."""
        kind = _kind(wave)
        self._last_s[kind] = took_s
        self._least_s[kind] = min(took_s, self._least_s.get(kind, took_s))
        self._each_s[kind[0]] = took_s / max(kind[1], 1)

    def doubt(self, wave: Wave) -> None:
        """Expect less of a wave that was given up: a hiccup must not end all searching.

        Half of the last time, but no less than the least, which itself is doubted by `FADE`.
        """
        slopes, size = _kind(wave)
        if (slopes, size) in self._last_s:
            least = self._least_s[slopes, size] = FADE * self._least_s[slopes, size]
            self._last_s[slopes, size] = max(self._last_s[slopes, size] / 2, least)
        elif slopes in self._each_s:
            self._each_s[slopes] /= 2


def _kind(wave: Wave) -> tuple[bool, int]:
    return wave.loss is not None, wave.actions.numel()


def judge(
    objective: Objective, latent: Tensor, directive: Directive, wave: Wave
) -> tuple[Pool, Tensor | None]:
    """Return the candidates of a wave with their bills, and their slopes if it has a loss.

    Raises ValueError if the energy or what is imagined has no gradients: a price on the actions
    alone would lead nowhere.
    """
    if wave.loss is None:
        return Pool.of(*objective(latent, wave.actions, directive)), None
    with torch.enable_grad():
        actions = wave.actions.detach().requires_grad_(True)
        rollout, bill = objective(latent, actions, directive)
        if not (rollout.latents.requires_grad and bill.energy.requires_grad):
            lacking = "an energy" if rollout.latents.requires_grad else "imagined states"
            raise ValueError(
                f"expected gradients to descend, came {lacking} without any; use a differentiable"
                f" world model and cost, or an actor that only samples (cem, icem, mppi, shooting,"
                f" mixture)"
            )
        loss = wave.loss(bill).sum()
        (slopes,) = torch.autograd.grad(loss, actions)
    return Pool.of(rollout, bill).detached(), slopes.nan_to_num(0.0, 0.0, 0.0)


def search(
    ask: Callable[[Wave], tuple[Pool, Tensor | None]],
    waves: Callable[[Pool], Waves],
    seeds: Tensor,
    half: Tensor,
    keep: int,
    pace: Pace,
    deadline: float = float("inf"),
    tolerance: float = 0.0,
) -> Found:
    """Judge `seeds` [B K H A], then wave after wave until done, converged or out of time.

    A wave is not begun if by `pace`, and in the time the seeds took, it would not end before
    `deadline` (of `perf_counter`). The best `keep` so far are kept. With a `tolerance` above 0 an
    agent whose best energy has not fallen by more than that share for `PATIENCE` waves is done;
    what follows changes nothing for it, so that its plan does not depend on the others'.
    """
    began = time.perf_counter()
    known, _ = ask(Wave(seeds))
    least_s = time.perf_counter() - began
    tried, count, archive = known.energy.numel(), 0, [known.bare()]
    idle = torch.zeros(len(seeds), dtype=torch.int64)
    source = waves(known)
    wave = next(source, None)
    while wave is not None and not (tolerance > 0 and bool((idle >= PATIENCE).all())):
        begin = time.perf_counter()
        if begin + max(pace.expect_s(wave), least_s) >= deadline:
            pace.doubt(wave)
            break
        fresh, slopes = ask(wave)
        if tolerance > 0:
            fresh = fresh.without((idle >= PATIENCE).unsqueeze(1).expand_as(fresh.energy))
        tried, count = tried + fresh.energy.numel(), count + 1
        archive.append(fresh.bare())
        before, known = known, (known + fresh.best(keep)).best(keep)
        if tolerance > 0:
            idle = torch.where(_better(before.best(1), known, tolerance), 0, idle + 1)
        asked, wave = wave, _send(source, Told(known, fresh, slopes))
        pace.learn(asked, time.perf_counter() - begin)
    else:
        wave = None
    source.close()
    best = known.best(keep)
    whole = Pool.joined(archive)
    rival = whole.rival(best.first(1), half)
    fan, tempting = whole.sample(FAN), whole.tempting()
    return Found(best, tempting, rival, fan, tried, count, complete=wave is None)


def _send(source: Waves, told: Told) -> Wave | None:
    """Return the next wave; None if the planner is done."""
    try:
        return source.send(told)
    except StopIteration:
        return None


def _better(before: Pool, known: Pool, tolerance: float) -> Tensor:
    """Say for which agents the best improved: by more than `tolerance` of violation or energy."""
    column = slice(0, 1)
    broken = before.violation.clamp(min=0.0), known.violation[:, column].clamp(min=0.0)
    energy = before.energy, known.energy[:, column]
    first, second = (
        (new < old) & (torch.isinf(old) | (old - new > tolerance * old.abs()))
        for old, new in (broken, energy)
    )
    return torch.where(broken[0] > 0, first, second)[:, 0]
