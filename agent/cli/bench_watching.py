"""`bench watching`: what watching videos before acting is worth, where own experience is short."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from agent.cli.common import Figure, configure, figure, say, write_figures
from agent.config.build import Blueprint, blueprint
from agent.core.errors import InputError
from agent.evaluate.statistics import student
from agent.train.compare import prediction_errors
from agent.train.course import course_of
from agent.train.dataset import Dataset
from agent.train.examine import linear_probes
from agent.train.explore import Explorer, explorer_batch
from agent.train.progress import Figures, silent
from agent.train.recall import encoded
from agent.train.understanding import understand
from worlds.film import film_of

FILMED, TESTED, SEEDS = 256, 64, (0, 1, 2)
FILM_SEED, TEST_SEED = 800_000, 850_000


def main(options: argparse.Namespace) -> int:
    """Film random episodes, then train with and without watching them; returns the exit code."""
    found = configure(options)
    seeds = SEEDS if options.seed is None else (options.seed,)
    filmed = options.episodes or FILMED
    test = _experience(found, TESTED, TEST_SEED)
    measured: dict[str, list[Figures]] = {"alone": [], "watched": []}
    with tempfile.TemporaryDirectory() as folder:
        _film(found, _experience(found, filmed, FILM_SEED), Path(folder))
        say(f"  {filmed} episodes filmed")
        for seed in seeds:
            for arm, videos in (("alone", ""), ("watched", folder)):
                figures = _measure(_with(found, videos, seed), test)
                measured[arm].append(figures)
                text = "  ".join(f"{k} {v:.3g}" for k, v in figures.items() if "fingertip" in k)
                say(f"  {arm:<8} seed {seed}  {text}")
    write_figures(options, found, list(seeds), _summary(measured))
    return 0


def _with(found: Blueprint, videos: str, seed: int) -> Blueprint:
    """Return the blueprint that watches the folder `videos` first."""
    train = found.config.train
    changed = {**train, "watch": {**train.get("watch", {}), "videos": videos}}
    return blueprint(found.config.model_copy(update={"train": changed, "seed": seed}))


def _experience(found: Blueprint, episodes: int, seed: int) -> Dataset:
    """Return fresh random episodes."""
    config = course_of(found).explore.model_copy(update={"episodes": episodes})
    world = found.world(explorer_batch(config))
    try:
        return Explorer(config, world, seed).collect(lambda *_: None)
    finally:
        world.close()


def _film(found: Blueprint, seen: Dataset, folder: Path) -> None:
    """Write one video per episode: the camera's latest frames, and nothing else."""
    images = seen.images
    if images is None:
        raise InputError("bench watching: expected a world with a camera; use reach_pixels")
    sensors = found.singles["world"].kind.sensors
    depth, height, width = sensors.channels[-1].shape
    for index in range(len(seen)):
        frames = images.pixels[index].reshape(-1, depth, height, width)[:, -1].numpy()
        film_of(
            frames.astype(np.uint8),
            folder / f"{index:05d}.mp4",
            found.singles["world"].kind.rate_hz,
        )


def _measure(found: Blueprint, test: Dataset) -> Figures:
    """Train percepts, world model and readouts; return how well they do on fresh episodes."""
    understood = understand(found, course_of(found), silent())
    mind = understood.mind
    with torch.no_grad():
        fresh = encoded(test, mind.perception, mind.site.sensors)
    probes = linear_probes(mind, understood.dataset, fresh)
    return prediction_errors(mind, fresh) | {f"linear_r2.{k}": v for k, v in probes.items()}


def _summary(measured: dict[str, list[Figures]]) -> dict[str, Figure]:
    written: dict[str, Figure] = {}
    for arm, runs in measured.items():
        for name in runs[0]:
            written[f"{arm}.{name}"] = figure(*student([r[name] for r in runs]), n=len(runs))
    return written
