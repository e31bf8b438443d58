"""`bench learning`: gradient steps per second, against the same network in a bare torch loop."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agent.cli.common import configure, figure, say, write_figures
from agent.config.build import Mind
from agent.config.choose import Chosen
from agent.core.errors import InputError
from agent.evaluate.statistics import mean
from agent.train.course import course_of
from agent.train.dataset import Dataset
from agent.train.explore import Explorer
from agent.train.progress import descend, silent
from modules.world_model.learn import Learner

BLOCK, ROUNDS = 100, 12
EPISODES = 64


def main(options: argparse.Namespace) -> int:
    """Alternate blocks of steps of both loops, and print their ratio; returns the exit code."""
    found = configure(options)
    course, seed = course_of(found), found.config.seed
    expect_plain(course.learner, [c.use for c in found.objectives])
    world = found.world(EPISODES)
    try:
        config = course.explore.model_copy(update={"episodes": EPISODES})
        dataset = Explorer(config, world, seed).collect(lambda *_: None)
    finally:
        world.close()
    own, bare = found.assemble(), found.assemble()
    for mind in (own, bare):
        mind.perception.fit_normaliser(dataset.values)
    ours = _housecat(own, found.objectives, course.learner, dataset, seed)
    theirs = _bare(bare, course.learner, dataset)
    for warm in (ours, theirs):
        warm()
    pairs = np.array([(_timed(ours), _timed(theirs)) for _ in range(ROUNDS)])
    rates = BLOCK / pairs
    ratio, low, high = mean(rates[:, 0] / rates[:, 1])
    say(f"  Housecat   {np.median(rates[:, 0]):.1f} steps/s")
    say(f"  bare torch {np.median(rates[:, 1]):.1f} steps/s")
    say(f"  ratio      {ratio:.3f} [{low:.3f}, {high:.3f}], {ROUNDS} pairs of {BLOCK} steps")
    figures = {
        "learning.ratio": figure(ratio, low, high, ROUNDS),
        "learning.steps_per_s": figure(float(np.median(rates[:, 0])), n=ROUNDS, unit="1/s"),
        "learning.bare_steps_per_s": figure(float(np.median(rates[:, 1])), n=ROUNDS, unit="1/s"),
    }
    write_figures(options, found, [seed], figures)
    return 0


def expect_plain(config: Learner.Config, objectives: list[str]) -> None:
    """Raise InputError unless the recipe is the one that the bare loop computes."""
    if objectives != ["prediction", "vicreg", "inverse"] or config.target != "shared":
        raise InputError(
            f"bench learning: expected the recipe prediction, vicreg, inverse with shared targets,"
            f" came {', '.join(objectives)} with {config.target}; use configs/reach.yaml"
        )


def _timed(block: Callable[[], None]) -> float:
    begin = time.perf_counter()
    block()
    return time.perf_counter() - begin


def _housecat(
    mind: Mind, chosen: tuple[Chosen, ...], config: Learner.Config, dataset: Dataset, seed: int
) -> Callable[[], None]:
    """Return a block of steps as `train` takes them: objectives as parts, checks, log and all."""
    objectives = [c.build(mind.site) for c in chosen]
    learner = Learner(config, mind.perception, mind.world_model, objectives, seed)

    def block() -> None:
        descend(
            "world_model", BLOCK, lambda i: learner.step(i, dataset), learner, learner.optimiser,
            silent(),
        )  # fmt: skip

    return block


def _bare(mind: Mind, config: Learner.Config, dataset: Dataset) -> Callable[[], None]:
    """Return a block of steps of the same network and loss, written out in one plain loop."""
    model, perception, size = mind.world_model, mind.perception, mind.site.latent
    members, length = model.members, config.horizon
    head = nn.Sequential(
        nn.Linear(2 * size, 64), nn.SiLU(), nn.Linear(64, dataset.commands.shape[-1])
    )
    weights = [*perception.parameters(), *model.parameters(), *head.parameters()]
    optimiser = torch.optim.Adam(weights, lr=config.rate, fused=True)
    count, span = members * config.batch, torch.arange(length + 1)

    def step() -> Tensor:
        episode = torch.randint(len(dataset.values), (count, 1))
        tick = torch.randint(dataset.commands.shape[1] - length + 1, (count, 1)) + span
        values, commands = dataset.values[episode, tick], dataset.commands[episode, tick[:, :-1]]
        latents = perception.encode(values)
        states = latents[:, 0].reshape(members, config.batch, size)
        moves = commands.reshape(members, config.batch, length, -1)
        loss = torch.zeros(())
        for h in range(length):
            states = model.step(states, moves[:, :, h])
            loss = loss + F.mse_loss(states.flatten(0, 1), latents[:, h + 1]) / length
        first = latents[:, 0]
        centred = first - first.mean(dim=0)
        covariance = centred.T @ centred / (count - 1)
        off = covariance.square().sum() - covariance.diagonal().square().sum()
        loss = loss + (1 - (first.var(dim=0) + 1e-4).sqrt()).relu().mean() + 0.2 * off / size
        pairs = torch.cat((latents[:, :-1], latents[:, 1:]), dim=-1)
        told = F.mse_loss(head(pairs), (commands - model.centre) / model.extent)
        whole: Tensor = loss + 2 * told
        return whole

    def block() -> None:
        for _ in range(BLOCK):
            loss = step()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(weights, config.clip)
            optimiser.step()

    return block
