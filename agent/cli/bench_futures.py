"""`bench futures`: whether both futures of a fork are imagined, with a latent variable or none."""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import Tensor

from agent.cli.common import Figure, configure, figure, say, write_figures
from agent.config.build import Blueprint
from agent.core.errors import InputError
from agent.evaluate.episodes import trials_of
from agent.evaluate.statistics import mean, proportion
from agent.record.files import write_whole
from agent.report.futures import picture
from agent.train.course import course_of
from agent.train.futures import Fans, approach, coverage, fan, variant
from agent.train.progress import Figures, silent
from agent.train.understanding import understand

EPISODES = 200
SEEDS = 3
TICKS = 20
DRAWS = 32


def main(options: argparse.Namespace) -> int:
    """Train the config's model with and without its latent variable; returns the exit code."""
    found = configure(options)
    if found.latent_variable is None:
        raise InputError(
            f"bench futures: expected world_model.latent_variable in {options.config}, came none;"
            f" name one (see `python run_agent.py list latent_variable`)"
        )
    trials = trials_of(found.singles["world"].kind)
    if not hasattr(trials, "before_fork"):
        raise InputError(
            f"bench futures: expected a world with a fork, came {found.singles['world'].use};"
            f" use lead"
        )
    count = options.episodes or EPISODES
    first = trials.EVALUATION_SEEDS
    world = found.world(count)
    try:
        forks = approach(world, range(first, first + count), TICKS)
    finally:
        world.close()
    trained = list(range(found.config.seed, found.config.seed + SEEDS))
    fans: dict[str, list[Fans]] = {"with_z": [], "without_z": []}
    told: dict[str, list[float]] = {}
    for seed in trained:
        config = found.config.model_copy(update={"seed": seed})
        for name, changes in (("with_z", {}), ("without_z", {"use": None})):
            tensors, figures = _learned(variant(config, **changes))
            wide = {"draws": DRAWS} if name == "with_z" else changes
            fans[name].append(fan(variant(config, **wide), tensors, forks))
            for key in ("information_z", "predictability", "effective_rank"):
                told.setdefault(f"{key}.{name}", []).append(figures[key])
            say(f"  seed {seed}, {name}: {len(fans[name][-1].imagined)} futures of {count} forks")
    written: dict[str, Figure] = {}
    for name, some in fans.items():
        written |= _figures(name, some, trials.CAR_M)
    for key, values in told.items():
        written |= {f"{key}.{s}": figure(v) for s, v in zip(trained, values, strict=True)}
    for key, value in written.items():
        say(f"  {key:<28} {value['value']}  [{value['low']}, {value['high']}]  n = {value['n']}")
    if options.out:
        drawn = {"without z": fans["without_z"][0], "with z": fans["with_z"][0]}
        paths = {k: (v.imagined.numpy(), v.true.numpy()) for k, v in drawn.items()}
        write_whole(options.out, picture(paths))
        say(f"wrote {options.out}")
    write_figures(options, found, trained, written)
    return 0


def _learned(found: Blueprint) -> tuple[dict[str, Tensor], Figures]:
    """Return weights and figures after the first stages of training, readouts included."""
    understood = understand(found, course_of(found), silent())
    return understood.mind.tensors(), understood.figures


def _figures(name: str, fans: list[Fans], tolerance_m: float) -> dict[str, Figure]:
    """Return shares over all seeds' forks with their intervals, and every seed's own."""
    found = [coverage(f, tolerance_m) for f in fans]
    written = {}
    for key in ("covered", "both"):
        hits = torch.cat([f[key] for f in found])
        written[f"{key}.{name}"] = figure(
            *proportion(int(hits.sum()), len(hits)), len(hits), "share"
        )
    for key, unit in (("left", "share"), ("right", "share"), ("average", "share"),
                      ("error_m", "m"), ("separation_m", "m")):  # fmt: skip
        values = np.concatenate([f[key].numpy() for f in found])
        written[f"{key}.{name}"] = figure(*mean(values), len(values), unit)
    for index, f in enumerate(found):
        for key in ("covered", "left", "right", "average"):
            written[f"{key}.{name}.{index}"] = figure(float(f[key].mean()), n=len(f[key]))
    went_left = (fans[0].true[:, -1, 1] > 0).sum()
    written["true_left"] = figure(*proportion(int(went_left), len(fans[0].true)), len(fans[0].true))
    return written
