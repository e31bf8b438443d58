"""What a way of exploring is worth: how much of the body's states it visits, and what it teaches.

Source: Sekar et al. (2020), Plan2Explore, for judging exploration by the model it leaves behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from agent.config.build import Blueprint
from agent.core.spec import Layout
from agent.train.course import Course, learning
from agent.train.dataset import Dataset, joined
from agent.train.explore import explorer_batch
from agent.train.fitting import fit_readouts
from agent.train.progress import Figures, silent
from agent.train.pupil import pupil
from agent.train.stages import explore

POLICIES = ("ou", "random", "coloured", "curiosity")
BINS = 8
"""Cells per scalar of the sensors that coverage looks at."""


def explored(blueprint: Blueprint, course: Course, policy: str, seed: int) -> Dataset:
    """Return what `policy` collects, episodes counted from training seed `seed` on."""
    config = course.explore.model_copy(update={"policy": policy})
    course = course.model_copy(update={"explore": config})
    world, learner = blueprint.world(explorer_batch(config)), learning(blueprint, course)
    try:
        return explore(
            config, world, seed, silent(), None,
            lambda dataset, index: pupil(learner, course, dataset, index),
        )  # fmt: skip
    finally:
        world.close()


def coverage(
    datasets: Mapping[str, Dataset], sensors: Layout, names: Sequence[str]
) -> dict[str, float]:
    """Return by policy the share of cells visited, of those that any policy visited.

    Cells divide the range of every scalar of the sensors called `names`, over all datasets
    together, into 8. Raises KeyError if a sensor does not exist.
    """
    columns = [i for n in names for i in range(sensors[n].start, sensors[n].stop)]
    flat = {k: d.values[..., columns].flatten(0, 1) for k, d in datasets.items()}
    everything = torch.cat(list(flat.values()))
    low, high = everything.amin(dim=0), everything.amax(dim=0)
    base = BINS ** torch.arange(len(columns))

    def cells(points: Tensor) -> int:
        place = ((points - low) / (high - low).clamp(min=1e-9) * BINS).long().clamp(max=BINS - 1)
        return len(set((place * base).sum(dim=1).tolist()))

    total = cells(everything)
    return {name: cells(points) / total for name, points in flat.items()}


def taught(
    blueprint: Blueprint, course: Course, datasets: Mapping[str, Dataset], horizon: int, seed: int
) -> dict[str, Figures]:
    """Return by policy the held-out error of a model trained on its episodes alone.

    Every model gets `train.learner.steps` and `train.readouts`. All are tried on the same
    episodes: the held-out ones of every policy in equal number. `error_h` is the rms error of
    what is read out h ticks ahead, each scalar in units of its deviation over these episodes.
    """
    test = joined([dataset.split()[1] for dataset in datasets.values()])
    values, commands = test.windows(2048, horizon, torch.Generator().manual_seed(seed))
    deviation = test.sample().flatten(0, -2).std(dim=0).clamp(min=1e-9)
    found = {}
    for policy, dataset in datasets.items():
        known, _ = dataset.split()
        mind = pupil(blueprint, course, known, seed, course.learner.steps).mind
        for part in (mind.perception, mind.world_model):
            part.requires_grad_(False)
        fit_readouts(
            mind.readouts, mind.perception, mind.world_model, dataset, course.readouts, silent(),
            seed,
        )  # fmt: skip
        with torch.no_grad():
            start = mind.perception.encode(values[:, 0])
            ahead = mind.world_model.imagine(start, commands[:, None]).latents.mean(dim=0)[:, 0]
            read = mind.readouts.read(ahead)
        guess = torch.cat([read[name] for name in mind.site.sensors.names], dim=-1)
        error = ((guess - values[:, 1:]) / deviation).square().mean(dim=(0, 2)).sqrt()
        found[policy] = {f"error_{h}": float(error[h - 1]) for h in sorted({1, horizon})}
    return found
