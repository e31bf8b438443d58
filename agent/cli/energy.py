"""`energy`: F(x, y) of true futures and false ones, and its surface around a present."""

from __future__ import annotations

import argparse

from agent.cli.common import Figure, checkpoints, configure, figure, mind_of, say, write_figures
from agent.config.schema import validate
from agent.core.errors import InputError
from agent.evaluate.statistics import auroc, mean
from agent.record.files import write_whole
from agent.report.energy import picture
from agent.train.compatible import KINDS, energy, explored, horizons, pairs, surfaces
from agent.train.course import Course
from modules.world_model.jepa import JEPA

EPISODES = 512


def main(options: argparse.Namespace) -> int:
    """Measure every checkpoint of the command line, else the config's; returns the exit code."""
    found = configure(options)
    temperature = options.temperature or 0.0
    if not 0.0 <= temperature < float("inf"):
        raise InputError(f"energy --temperature: expected 0 or more, came {temperature}")
    count = EPISODES if options.episodes is None else options.episodes
    if count < 2:
        raise InputError(f"energy --episodes: expected at least 2, came {count}")
    paths = checkpoints(options, found)
    course: Course = validate(Course, found.config.train, "train")
    world = found.world(min(64, count))
    try:
        data = explored(course.explore, world, count)
    finally:
        world.close()
    written: dict[str, Figure] = {}
    for index, path in enumerate(paths):
        mind, _ = mind_of(found, path)
        if not isinstance(mind.world_model, JEPA):
            raise InputError(f"energy: expected a jepa, came {type(mind.world_model).__name__}")
        say(f"  {path.name}")
        mark = f".{index}" if len(paths) > 1 else ""
        for ticks in horizons(mind.configurator.config.horizon):
            known = pairs(data, ticks)
            low = energy(mind, known.values, known.commands, temperature).numpy()
            written[f"energy.compatible.{ticks}{mark}"] = figure(*mean(low), len(low))
            for kind in KINDS:
                high = energy(mind, *known.incompatible(kind), temperature).numpy()
                area = figure(*auroc(high, low), len(low), "pairs")
                written[f"energy.{kind}.{ticks}{mark}"] = figure(*mean(high), len(high))
                written[f"auroc.{kind}.{ticks}{mark}"] = area
                say(
                    f"    {ticks:>2} ticks, {kind:<15} AUROC {area['value']:.4f}"
                    f" [{area['low']:.4f}, {area['high']:.4f}], n = {len(low)} pairs"
                )
        if options.out and index == 0:
            write_whole(options.out, picture(surfaces(mind, data, temperature)))
            say(f"wrote {options.out}")
    write_figures(options, found, list(range(len(paths))), written)
    return 0
