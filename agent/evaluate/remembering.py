"""How fast, how completely and through how much noise memory finds again what was stored."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.memory import hopfield
from modules.memory.nearest import Nearest

NEIGHBOURS, ATTENDED, PROBES, STEPS = 4, 32, 16, 3
RIGHT = 0.01
"""Retrieved is what differs from the stored by at most this share of its length."""


@dataclass(frozen=True, slots=True)
class Search:
    """Milliseconds of every retrieval, by all and by the index; share of neighbours the index has.

    Each is (by the clock, of the processor), which differ where others use it too; so is `build_s`,
    how long making the index took. `hit` [n] is of the `NEIGHBOURS` nearest.
    """

    all_ms: list[tuple[float, float]]
    index_ms: list[tuple[float, float]]
    build_s: tuple[float, float]
    hit: Tensor


def search(stored: Tensor, queries: Tensor, beta: float, compared: int) -> Search:
    """Retrieve what `queries` [n Z] call to mind of `stored` [N Z], one at a time.

    A retrieval is the nearest `ATTENDED` and `STEPS` updates among them, as in a tick. The first
    `compared` queries are also answered by looking at all that is stored.
    """
    everything = Nearest(stored.shape[1], exact=len(stored))
    everything.add(stored, torch.zeros(len(stored)))
    begin, busy = time.perf_counter(), time.thread_time()
    index = Nearest(stored.shape[1], exact=0, probes=PROBES)
    index.add(stored, torch.zeros(len(stored)))
    build_s = time.perf_counter() - begin, time.thread_time() - busy

    def retrieval(store: Nearest) -> Callable[[Tensor], Tensor]:
        def answer(query: Tensor) -> Tensor:
            _, which = store.search(query, ATTENDED)
            hopfield.retrieve(store.keys[which], query, beta, STEPS, level=True)
            return which[0, :NEIGHBOURS]

        return answer

    index_ms, found = _timed(retrieval(index), queries)
    all_ms, truth = _timed(retrieval(everything), queries[:compared])
    pairs = zip(found, truth, strict=False)
    hit = torch.stack([torch.isin(true, said).float().mean() for said, true in pairs])
    return Search(all_ms, index_ms, build_s, hit)


def flipped(
    size: int, stored: int, share: float, queries: int, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return random patterns of signs [stored size], some of them, and those with signs flipped.

    Exactly the `share` of each query's signs is flipped, at random.
    """
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randint(2, (stored, size), generator=generator).float() * 2 - 1
    truth = patterns[torch.randint(stored, (queries,), generator=generator)]
    order = torch.rand(queries, size, generator=generator).argsort(dim=1)
    signs = torch.where(order < round(share * size), -1.0, 1.0)
    return patterns, truth, truth * signs


def noisy(stored: Tensor, share: float, queries: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return some of `stored` [N Z], and the same with noise of a `share` of each deviation."""
    generator = torch.Generator().manual_seed(seed)
    truth = stored[torch.randint(len(stored), (queries,), generator=generator)]
    noise = torch.randn(truth.shape, generator=generator) * stored.std(dim=0)
    return truth, truth + share * noise


def recovered(
    patterns: Tensor, truth: Tensor, cue: Tensor, beta: float, level: bool
) -> tuple[Tensor, Tensor]:
    """Return which of `truth` [n Z] are retrieved from `cue` [n Z] among `patterns` [N Z], [n].

    Second, how far from the truth retrieval ended, as a share of how far the cue was.
    """
    cues = torch.split(cue, 50)
    found = torch.cat([hopfield.retrieve(patterns, part, beta, STEPS, level) for part in cues])
    error: Tensor = (found - truth).norm(dim=1)
    return error <= RIGHT * truth.norm(dim=1), error / (cue - truth).norm(dim=1)


def _timed(
    answer: Callable[[Tensor], Tensor], queries: Tensor
) -> tuple[list[tuple[float, float]], list[Tensor]]:
    spent, said = [], []
    for query in torch.split(queries, 1):
        begin, busy = time.perf_counter(), time.thread_time()
        said.append(answer(query))
        spent.append(((time.perf_counter() - begin) * 1e3, (time.thread_time() - busy) * 1e3))
    return spent, said
