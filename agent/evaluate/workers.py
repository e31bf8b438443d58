"""Evaluation spread over the machine's cores: one process per core, each with one torch thread."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from agent.config.build import blueprint
from agent.config.schema import AgentConfig
from agent.evaluate.episodes import ORACLE_BATCH, Outcome, episodes, oracle
from agent.record import checkpoint

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Job:
    """Episodes for one process: of the agent with these weights, or of the oracle with them."""

    config: AgentConfig
    weights: Path
    seeds: tuple[int, ...]
    reference: bool = False


def jobs(config: AgentConfig, weights: Path, seeds: Sequence[int], reference: bool) -> list[Job]:
    """Cut `seeds` into batches, each a job."""
    size = ORACLE_BATCH if reference else config.eval.batch
    return [
        Job(config, weights, tuple(seeds[i : i + size]), reference)
        for i in range(0, len(seeds), size)
    ]


def cores() -> int:
    """Return how many processor cores this process may use."""
    able = getattr(os, "sched_getaffinity", None)
    return len(able(0)) if able else os.cpu_count() or 1


def live_through(job: Job) -> Outcome:
    """Live the episodes of a job in this process."""
    torch.set_num_threads(1)
    found, ticks = blueprint(job.config), job.config.eval.ticks
    tensors, _ = checkpoint.load(job.weights)
    if job.reference:
        return oracle(found, tensors, job.seeds, ticks)
    world = found.world(len(job.seeds))
    try:
        return episodes(found.assemble(tensors), world, job.seeds, ticks)
    finally:
        world.close()


def carry_out(work: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
    """Yield each job with its outcome, in order, whatever the number of cores."""
    return spread(work, live_through)


def spread(work: Sequence[T], do: Callable[[T], R]) -> Iterator[tuple[T, R]]:
    """Yield each of `work` with what `do` made of it, in order; a process per core does it.

    Who stops asking, by Ctrl-C too, stops what is being done.
    """
    count = min(cores(), len(work))
    if count <= 1:
        yield from ((job, do(job)) for job in work)
        return
    context, others = multiprocessing.get_context("spawn"), multiprocessing.active_children()
    with ProcessPoolExecutor(count, mp_context=context) as pool:
        try:
            with _ctrl_c_is_ours():
                asked = [pool.submit(do, job) for job in work]
            yield from ((job, found.result()) for job, found in zip(work, asked, strict=True))
        except BaseException:
            for process in set(multiprocessing.active_children()) - set(others):
                process.terminate()
            raise


@contextmanager
def _ctrl_c_is_ours() -> Iterator[None]:
    """Keep Ctrl-C, which a terminal sends to all, from processes begun meanwhile.

    They inherit the mask, so not even their start-up hears it; here it waits until this is left.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
