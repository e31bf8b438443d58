"""`bench known`: how far the networks disagree where they know their way, and where they do not."""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from agent.cli.common import Figure, checkpoints, configure, figure, mind_of, say, write_figures
from agent.config.build import Mind
from agent.core.disagreement import disagreement
from agent.evaluate.statistics import auroc, proportion
from agent.train.course import course_of
from agent.train.dataset import Dataset
from agent.train.explore import Explorer

SEEDS = 900_000
EPISODES = 128
WINDOWS = 1024
QUANTILES = (0.5, 0.9, 0.99)
STRETCHES = (1.25, 1.5, 2.0)
"""How many times as far from the mean as they are sensors are put, to stand where nobody was."""


def main(options: argparse.Namespace) -> int:
    """Measure on exploration that no training saw; returns the exit code."""
    found = configure(options)
    mind, about = mind_of(found, checkpoints(options, found)[0])
    explorer = course_of(found).explore.model_copy(update={"episodes": EPISODES, "policy": "ou"})
    world = found.world(min(64, EPISODES))
    try:
        data = Explorer(explorer, world, SEEDS).collect(lambda *_: None)
    finally:
        world.close()
    written = measure(mind, data, mind.configurator.config.horizon)
    for name, value in written.items():
        bounds = "" if value["low"] is None else f"  [{value['low']:.3f}, {value['high']:.3f}]"
        say(f"  {name:<20} {value['value']:.3f}{bounds}")
    write_figures(options, found, [int(about["seed"])], written)
    return 0


@torch.no_grad()
def measure(mind: Mind, data: Dataset, horizon: int) -> dict[str, Figure]:
    """Return what is usual by ticks ahead, and whether disagreement tells what is not.

    `usual.qQ.hN`: quantiles of disagreement N ticks ahead, in latent deviations; `usual.rms.hN`
    beside the rms `error.rms.hN` that truly came, of the mean future; `limit`: the quantile over
    windows of the largest in a plan, what `known` may be set to. `beyond.F`: the share of windows
    above that limit whose start lies F times as far from the mean of experience (1: as it is, on
    the other half of the windows), and `auroc.F`, the chance that such a one is disputed more than
    a usual one.
    """
    values, commands = data.windows(WINDOWS, horizon, torch.Generator().manual_seed(0))
    middle = values.flatten(0, 1).mean(dim=0)

    def disputed(factor: float) -> tuple[Tensor, Tensor]:
        start = mind.perception.encode(middle + factor * (values[:, 0] - middle))
        seen = mind.world_model.imagine(start, commands.unsqueeze(1))
        return disagreement(seen)[:, 0], seen.latents.mean(dim=0)[:, 0]

    usual, ahead = disputed(1.0)
    error = (ahead - mind.perception.encode(values[:, 1:])).square().mean(dim=-1)
    written: dict[str, Figure] = {}
    for step in sorted({1, max(1, horizon // 2), horizon}):
        column = usual[:, step - 1]
        for share, value in zip(QUANTILES, column.quantile(torch.tensor(QUANTILES)), strict=True):
            written[f"usual.q{share:g}.h{step}"] = figure(float(value), n=len(column))
        rms = float(column.square().mean().sqrt())
        written[f"usual.rms.h{step}"] = figure(rms, n=len(column))
        missed = float(error[:, step - 1].mean().sqrt())
        written[f"error.rms.h{step}"] = figure(missed, n=len(column))
    half = len(usual) // 2
    known, fresh = usual[:half].amax(dim=1), usual[half:].amax(dim=1)
    limit = float(known.quantile(QUANTILES[-1]))
    written["limit"] = figure(limit, n=half)
    for factor in (1.0, *STRETCHES):
        far = fresh if factor == 1.0 else disputed(factor)[0][half:].amax(dim=1)
        above = proportion(int((far > limit).sum()), len(far))
        written[f"beyond.{factor:g}"] = figure(*above, len(far), "share")
        if factor > 1.0:
            written[f"auroc.{factor:g}"] = figure(*auroc(far, fresh), len(far))
    return written
