"""`bench foresight`: how far ahead a trained world model can be believed, on plans carried out."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from torch import Tensor

from agent.cli.common import configure, figure, mind_of, say, write_figures
from agent.config.build import Mind
from agent.record.files import write_whole
from agent.report.reliability import picture
from agent.train.reliability import (
    CALIBRATION_SEEDS,
    LEVELS,
    TEST_SEEDS,
    Foresight,
    calibration_error,
    figures,
    foresee,
    reliability,
)

SEGMENTS = 6
EPISODES = 512


def main(options: argparse.Namespace) -> int:
    """Measure every checkpoint of the config; returns the exit code."""
    found = configure(options)
    episodes = options.episodes or EPISODES
    paths = options.checkpoint or [Path(p) for p in found.config.eval.checkpoints]
    paths = paths or [Path(found.config.checkpoint)]
    world = found.world(min(64, episodes))
    measured: dict[str, list[float]] = {}
    try:
        for path in paths:
            mind, _ = mind_of(found, path)
            known = foresee(mind, world, episodes, SEGMENTS, CALIBRATION_SEEDS)
            fresh = foresee(mind, world, episodes, SEGMENTS, TEST_SEEDS)
            for name, value in figures(mind, known, fresh).items():
                measured.setdefault(name, []).append(value)
            say(f"  {path.name}: {len(known.mean)} + {len(fresh.mean)} plans carried out")
    finally:
        world.close()
    if options.out:
        write_whole(options.out, _drawn(mind, known, fresh))
        say(f"wrote {options.out} (the last checkpoint)")
    for name, values in measured.items():
        say(f"  {name:<32} {np.mean(values):.4g}   [{min(values):.4g}, {max(values):.4g}]")
    written = {}
    for name, values in measured.items():
        for index, value in enumerate(values):
            written[f"{name}.{index}" if len(values) > 1 else name] = figure(
                value, n=int(measured["plans"][index])
            )
    write_figures(options, found, list(range(len(paths))), written)
    return 0


def _drawn(mind: Mind, known: Foresight, fresh: Foresight) -> str:
    rms, deviation = fresh.error.square().mean(dim=0).sqrt(), fresh.seen.flatten(0, 1).std(dim=0)
    relative = {
        channel.name: _flat(rms[:, where] / deviation[where])
        for channel, where in mind.readouts.layout.slices()
        if bool((deviation[where] > 0).all())
    }
    curves = reliability(known, fresh)
    return picture(
        relative,
        LEVELS,
        {name: curve.mean(dim=(1, 2)).tolist() for name, curve in curves.items()},
        {name: calibration_error(curve).tolist() for name, curve in curves.items()},
    )


def _flat(ratio: Tensor) -> list[float]:
    values: list[float] = ratio.square().mean(dim=1).sqrt().tolist()
    return values
