"""`bench pixels`: what a camera costs, and what of it a latent keeps.

Explores with the config's camera, times each part, trains perception and world model alone for as
many steps as the config says, and fits linear probes. Compare augmentations by overriding
`perception.augment`; with `world.looks=3` identity is probed too. With `--checkpoint` nothing is
trained: its weights are probed on episodes of seeds that no training uses, and `--out` draws what
they read. Times are of the processor, so that neighbours do not count.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agent.cli.common import Figure, configure, figure, mind_of, say, write_figures
from agent.config.build import Blueprint, Mind
from agent.config.schema import validate
from agent.core.errors import InputError
from agent.record.files import write_whole
from agent.report.perceived import picture
from agent.train.course import Course
from agent.train.dataset import Dataset
from agent.train.examine import linear_probes
from agent.train.explore import explorer_batch
from agent.train.images import Images
from agent.train.probes import explained, told_apart
from agent.train.progress import Ledger
from agent.train.recall import encoded
from agent.train.stages import explore, learn_world
from modules.world_model.learn import Learner

DRAWS = 30
FRESH = 900_000
"""Seeds from here on, and below those of evaluation, are in no training."""

SHOWN = {"fingertip": 0, "joint_angle": 1, "joint_speed": 1}
"""Quantities the picture shows, and which scalar of each."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Episodes of a camera, and which look each has, [N]; None where all look the same."""

    data: Dataset
    looks: Tensor | None
    tick_ms: float


def main(options: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
    if options.seed is not None:
        options.overrides.append(f"seed={options.seed}")
    found = configure(options)
    course: Course = validate(Course, found.config.train, "train")
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(_log, lambda *_: None, lambda _: None, say=say, folder=Path(folder))
        first = FRESH if options.checkpoint else found.config.seed * course.explore.episodes
        seen = _explored(found, course, first, ledger)
        figures = {"world_tick_ms": figure(seen.tick_ms, unit="ms")} | _drawing(seen.data, course)
        if options.checkpoint:
            mind, _ = mind_of(found, options.checkpoint[0])
        else:
            mind, learned = _learned(found, course, seen.data, ledger)
            figures |= learned
        figures |= _probed(mind, course, seen)
        if options.checkpoint:
            figures |= _read(mind, seen.data, options.out)
    for name, value in figures.items():
        say(f"  {name:<28} {value['value']:.4g} {value['unit']}")
    write_figures(options, found, [found.config.seed], figures)
    return 0


def _log(stage: str, step: int, total: int, _: Any) -> None:
    if step % 500 == 1:
        say(f"  {stage} {step}/{total}")


def _explored(found: Blueprint, course: Course, first: int, ledger: Ledger) -> Seen:
    """Explore from seed `first` on. Raises InputError if there is no camera."""
    world = found.world(explorer_batch(course.explore))
    try:
        begin = time.process_time()
        data = explore(course.explore, world, first, ledger)
        spent = 1e3 * (time.process_time() - begin)
        looks = torch.zeros(0)
        if hasattr(world, "look_of"):
            looks = torch.from_numpy(world.look_of(range(first, first + len(data))))
    finally:
        world.close()
    if data.images is None:
        raise InputError(
            "bench pixels: expected a world with a camera, came one without; try world.use="
            "reach_pixels"
        )
    many = bool((looks != looks[:1]).any())
    return Seen(data, looks if many else None, spent / (len(data) * (data.ticks + 1)))


def _learned(
    found: Blueprint, course: Course, data: Dataset, ledger: Ledger
) -> tuple[Mind, dict[str, Figure]]:
    """Train perception and world model alone."""
    mind = found.assemble()
    objectives = [c.build(mind.site) for c in found.objectives]
    seed = found.config.seed
    learner = Learner(course.learner, mind.perception, mind.world_model, objectives, seed)
    begin = time.process_time()
    rank = learn_world(learner, data, course.readouts.horizon, ledger)["effective_rank"]
    spent = 1e3 * (time.process_time() - begin) / course.learner.steps
    step = figure(spent, n=course.learner.steps, unit="ms")
    return mind, {"learner_step_ms": step, "effective_rank": figure(rank)}


def _probed(mind: Mind, course: Course, seen: Seen) -> dict[str, Figure]:
    """Return what linear probes find on held-out episodes, and what encoding a tick costs."""
    sensors = mind.site.sensors
    values, _ = seen.data.windows(64, course.learner.horizon, torch.Generator().manual_seed(0))
    with torch.no_grad():
        encode_s = _median_s(lambda: mind.perception.encode(values))
    figures = {"encode_us": figure(1e6 * encode_s / values[..., 0].numel(), n=DRAWS, unit="us")}
    known, held = encoded(seen.data, mind.perception, sensors).split()
    for name, share in linear_probes(mind, known, held).items():
        figures[f"linear_r2.{name}"] = figure(share, n=held.transitions)
    if seen.looks is not None:
        told = told_apart(known, held, sensors.scalars, seen.looks)
        figures["linear_accuracy.look"] = figure(told, n=len(held), unit="share")
        chance = float(seen.looks.bincount().max()) / len(seen.looks)
        figures["chance.look"] = figure(chance, n=len(seen.looks), unit="share")
    return figures


def _read(mind: Mind, data: Dataset, out: Path | None) -> dict[str, Figure]:
    """Return what the readouts explain of fresh episodes; draw it if `out` is given."""
    small = encoded(data, mind.perception, mind.site.sensors)
    layout = mind.readouts.layout
    latents = small.values[..., layout.size :].flatten(0, 1)
    with torch.no_grad():
        read = mind.readouts.unpacked(latents)
    truth = small.values[..., : layout.size].flatten(0, 1)
    if out:
        generator = torch.Generator().manual_seed(0)
        values, _ = data.windows(3, 0, generator)
        camera = next(c for c in mind.site.sensors.channels if c.shape)
        frames = values[:, 0, mind.site.sensors[camera.name]].reshape(3, *camera.shape)
        some = torch.randperm(len(truth), generator=generator)
        columns = {
            f"{name}[{k}] ({layout.channel(name).unit})": layout[name].start + k
            for name, k in SHOWN.items()
            if name in layout.names
        }
        pairs = [{n: v[some, c] for n, c in columns.items()} for v in (truth, read)]
        write_whole(out, picture(frames, *pairs))
        say(f"wrote {out}")
    return {
        f"probe_r2.{name}": figure(share, n=len(truth))
        for name, share in explained(read, truth, layout).items()
    }


def _drawing(data: Dataset, course: Course) -> dict[str, Figure]:
    """Return how fast minibatches are drawn from the mapped file, and from memory."""
    assert data.images is not None
    copied = Images(data.images.pixels.clone(), data.images.rows)
    sources = {"mapped": data, "memory": Dataset(data.values, data.commands, copied)}
    count, length = 3 * course.learner.batch, course.learner.horizon
    spent = {
        name: _median_s(lambda s=source: s.windows(count, length, torch.Generator()))  # type: ignore[misc]
        for name, source in sources.items()
    }
    figures = {f"minibatch_{k}_ms": figure(1e3 * s, n=DRAWS, unit="ms") for k, s in spent.items()}
    return figures | {"minibatch_mapped_over_memory": figure(spent["mapped"] / spent["memory"])}


def _median_s(function: Callable[[], Any]) -> float:
    function()
    times = []
    for _ in range(DRAWS):
        begin = time.process_time()
        function()
        times.append(time.process_time() - begin)
    return sorted(times)[DRAWS // 2]
