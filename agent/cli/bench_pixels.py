"""`bench pixels`: what a camera costs, and what of it a latent keeps.

Explores with the config's camera, times each part, trains perception and world model alone for as
many steps as the config says, and fits linear probes. Compare augmentations by overriding
`perception.augment`; with `world.looks=3` identity is probed too. Times are of the processor, so
that neighbours do not count.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from agent.cli.common import Figure, configure, figure, say, write_figures
from agent.config.build import Blueprint
from agent.config.schema import validate
from agent.core.errors import InputError
from agent.train.course import Course
from agent.train.dataset import Dataset
from agent.train.explore import explorer_batch
from agent.train.images import Images
from agent.train.probes import kept, told_apart
from agent.train.progress import Ledger
from agent.train.recall import encoded
from agent.train.stages import explore, learn_world
from modules.world_model.learn import Learner

DRAWS = 30


def main(options: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
    if not options.overrides or "=" in options.overrides[0]:
        raise InputError(
            "bench pixels: expected a config, came none; such as configs/reach-pixels.yaml"
        )
    options.config = options.overrides.pop(0)
    if options.seed is not None:
        options.overrides.append(f"seed={options.seed}")
    found = configure(options)
    with tempfile.TemporaryDirectory() as folder:
        figures = _measured(found, Path(folder))
    for name, value in figures.items():
        say(f"  {name:<28} {value['value']:.4g} {value['unit']}")
    write_figures(options, found, [found.config.seed], figures)
    return 0


def _measured(found: Blueprint, folder: Path) -> dict[str, Figure]:
    course: Course = validate(Course, found.config.train, "train")
    ledger = Ledger(
        lambda stage, step, total, _: say(f"  {stage} {step}/{total}") if step % 500 == 1 else None,
        lambda *_: None, lambda _: None, say=say, folder=folder,
    )  # fmt: skip
    world = found.world(explorer_batch(course.explore))
    first = found.config.seed * course.explore.episodes
    try:
        begin = time.process_time()
        data = explore(course.explore, world, first, ledger)
        frames = course.explore.episodes * (course.explore.ticks + 1)
        tick_ms = 1e3 * (time.process_time() - begin) / frames
        who = None
        if getattr(world, "look_of", None) and found.singles["world"].settings.looks > 1:
            who = torch.from_numpy(world.look_of(range(first, first + len(data))))
    finally:
        world.close()
    if data.images is None:
        raise InputError("bench pixels: expected a world with a camera, came one without; use one")
    mind, layout = found.assemble(), found.singles["world"].kind.sensors
    figures = {"world_tick_ms": figure(tick_ms, n=frames, unit="ms")} | _drawing(data, course)
    objectives = [c.build(mind.site) for c in found.objectives]
    learner = Learner(
        course.learner, mind.perception, mind.world_model, objectives, found.config.seed
    )
    begin = time.process_time()
    rank = learn_world(learner, data, course.readouts.horizon, ledger)["effective_rank"]
    spent = 1e3 * (time.process_time() - begin) / course.learner.steps
    figures["learner_step_ms"] = figure(spent, n=course.learner.steps, unit="ms")
    values, _ = data.windows(64, course.learner.horizon, torch.Generator().manual_seed(0))
    with torch.no_grad():
        encode_s = _median_s(lambda: mind.perception.encode(values))
    figures["encode_us"] = figure(1e6 * encode_s / values[..., 0].numel(), n=DRAWS, unit="us")
    figures["effective_rank"] = figure(rank)
    known, held = encoded(data, mind.perception, layout).split()
    ticks = held.transitions
    for name, share in kept(known, held, layout.scalars).items():
        figures[f"linear_r2.{name}"] = figure(share, n=ticks)
    if who is not None:
        out = torch.arange(len(data)) % 10 == 9
        told = told_apart(known, held, layout.scalars, (who[~out], who[out]))
        figures["linear_accuracy.identity"] = figure(told, n=ticks, unit="share")
        figures["chance.identity"] = figure(float(who.bincount().max() / len(who)), unit="share")
    return figures


def _drawing(data: Dataset, course: Course) -> dict[str, Figure]:
    """Return how fast minibatches are drawn from the mapped file, and from memory."""
    assert data.images is not None
    memory = Dataset(
        data.values, data.commands, Images(data.images.pixels.clone(), data.images.rows)
    )
    count = 3 * course.learner.batch
    draws = {}
    for name, source in (("mapped", data), ("memory", memory)):
        generator = torch.Generator().manual_seed(0)

        def draw(source: Any = source, generator: Any = generator) -> None:
            source.windows(count, course.learner.horizon, generator)

        draws[name] = _median_s(draw)
    found = {f"minibatch_{k}_ms": figure(1e3 * s, n=DRAWS, unit="ms") for k, s in draws.items()}
    return found | {"minibatch_mapped_over_memory": figure(draws["mapped"] / draws["memory"])}


def _median_s(function: Callable[[], Any]) -> float:
    function()
    times = []
    for _ in range(DRAWS):
        begin = time.process_time()
        function()
        times.append(time.process_time() - begin)
    return sorted(times)[DRAWS // 2]
