"""What a recipe of training objectives gives: the same world, network and planner for each.

Source: LeCun (2022) sec. 4.5, ways to keep a joint embedding from collapsing; the figures are those
by which such methods are usually compared (rank, linear and shallow probes, planning).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from agent.config import yaml
from agent.config.build import Blueprint, Mind, blueprint
from agent.core.errors import InputError
from agent.evaluate.episodes import episodes
from agent.train.course import course_of, learning, watchful
from agent.train.dataset import Dataset
from agent.train.examine import linear_probes
from agent.train.progress import Figures, Ledger
from agent.train.recall import recalling
from agent.train.understanding import understand

AHEAD = (1, 5, 20)
"""Ticks ahead at which predictions are compared."""

WINDOWS = 2048
KEPT = ("effective_rank", "collapsed", "predictability", "information_x", "deviation_mean")


def recipes(path: Path) -> dict[str, dict[str, Any]]:
    """Return the recipes in a YAML file by name; each is laid over `train.learner`.

    Raises InputError if the file does not map names to settings.
    """
    found = yaml.read(path)
    for name, recipe in found.items():
        if not isinstance(recipe, dict) or "objectives" not in recipe:
            raise InputError(
                f"{path}: recipe '{name}': expected settings of train.learner with `objectives`,"
                f" came {recipe!r}; see configs/lab/recipes.yaml"
            )
    return found


def mixed(base: Blueprint, recipe: dict[str, Any], seed: int) -> Blueprint:
    """Return `base` with its learner's settings replaced by those of `recipe`, and its seed.

    Raises InputError if the recipe names objectives or settings that there are not.
    """
    section = base.config.train
    learner = {**section.get("learner", {}), **recipe}
    return blueprint(
        base.config.model_copy(update={"train": {**section, "learner": learner}, "seed": seed})
    )


def compare(found: Blueprint, seeds: Sequence[int], ledger: Ledger) -> Figures:
    """Train percepts, world model and readouts; return how much they know and how well they plan.

    Planning uses the config's own cost, with margins from held-out exploration, on episodes
    `seeds`. `learn_cpu_s` is the processor's time from exploring to readouts.
    """
    course, begin = course_of(found), time.process_time()
    understood = understand(learning(found, course), course, ledger)
    spent = time.process_time() - begin
    mind, dataset = understood.mind, understood.dataset
    figures = {k: v for k, v in understood.figures.items() if k in KEPT or "probe_r2" in k}
    known, held = dataset.split()
    figures |= {f"linear_r2.{k}": v for k, v in linear_probes(mind, known, held).items()}
    figures |= prediction_errors(mind, held)
    mind = watchful(found, mind, course, dataset)
    world = found.world(len(seeds))
    try:
        outcome = episodes(mind, world, seeds, found.config.eval.ticks)
    finally:
        world.close()
    broken = int(outcome.contacts.sum() + outcome.speeding.sum())
    return figures | {
        "success": float(outcome.reached.mean()),
        "true_violations": float(broken),
        "learn_cpu_s": spent,
    }


@torch.no_grad()
def prediction_errors(mind: Mind, held: Dataset) -> Figures:
    """Return errors on `held` episodes, some ticks ahead: of latents, and of readouts of them.

    `latent_error.h` is the rms error over the latents' own deviation: 1 is what always saying the
    mean would score. `error.QUANTITY.h` is the rms error of the readout, in the sensor's unit.
    """
    generator = torch.Generator().manual_seed(0)
    values, commands = held.windows(WINDOWS, max(AHEAD), generator)
    latents = recalling(mind.perception, mind.site.sensors).encode(values)
    ahead = mind.world_model.imagine(latents[:, 0], commands[:, None]).latents
    ahead = ahead.mean(dim=0)[:, 0]
    read = mind.readouts.read(ahead)
    figures: Figures = {}
    for h in AHEAD:
        wrong = (ahead[:, h - 1] - latents[:, h]).square().mean()
        scale = latents[:, h].var(dim=0).mean().clamp(min=1e-12)
        figures[f"latent_error.{h}"] = float((wrong / scale).sqrt())
        for channel, where in mind.readouts.layout.slices():
            missed = read[channel.name][:, h - 1] - values[:, h, where]
            figures[f"error.{channel.name}.{h}"] = float(missed.square().sum(dim=-1).mean().sqrt())
    return figures
