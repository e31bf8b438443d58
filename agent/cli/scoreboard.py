"""`scoreboard`: all worlds, our agents and the baselines, from 0 (random) to 100 (true simulator).

`scoreboard a.yaml b.yaml` measures those; without a config, every world of ours that is acted in.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from agent.cli.common import Figure, figure, machine, say, versions, write_figures
from agent.config import schema
from agent.core.errors import InputError
from agent.evaluate.sac import library_of
from agent.evaluate.scoreboard import OURS, Cell, Run, cells, measure, normalised, suite
from agent.evaluate.statistics import interquartile_mean
from agent.evaluate.workers import spread
from agent.record.files import write_whole
from agent.report import scoreboard

SEEDS, EPISODES, BUDGET, RUNS = 3, 20, "15", Path("runs/scoreboard")

PARTS = {"broken": "per tick", "episodes": "1", "steps": "1", "trained_s": "s"}
"""What else is told of a run, beside its value, and its unit; means over runs."""

Runs = dict[str, list[Run]]
"""The runs of a world, by contestant."""


def main(options: argparse.Namespace) -> int:
    """Measure everyone everywhere and print the table; returns the exit code."""
    torch.set_num_threads(1)
    minutes = budget(BUDGET if options.budget is None else options.budget)
    seeds = SEEDS if options.seeds is None else options.seeds
    count = EPISODES if options.episodes is None else options.episodes
    if min(seeds, count) < 1:
        raise InputError("scoreboard: expected --seeds and --episodes of at least 1; raise them")
    if minutes and not options.kept:
        library_of()  # refused now rather than after an hour
    words = [options.config, *options.overrides] if options.config else options.overrides
    changes = [word for word in words if "=" in word]
    named: dict[str, Path | None] = {word: Path(word) for word in words if "=" not in word}
    worlds: dict[str, Runs] = {}
    work: list[Cell] = []
    for name, path in (named or suite()).items():
        config = path and schema.load(path, changes)
        if config and config.name in worlds:
            raise InputError(
                f"scoreboard: expected configs of different names, came '{config.name}' twice, in"
                f" {path} again; give one of them another `name`"
            )
        own = cells(config, seeds, count, minutes) if config else []
        worlds[config.name if config else name] = {} if any(c.weights for c in own) else {OURS: []}
        work += own
    about = {"machine": machine(), "versions": versions()}
    lives = partial(measure, folder=options.runs or RUNS, live=not options.kept, about=about)
    for cell, found in spread(work, lives):
        for who, run in found.items():
            worlds[cell.config.name].setdefault(who, []).append(run)
            say(f"  {cell.config.name}, seed {cell.seed}: {who} {run['value']:.4g}")
    figures = tell(worlds)
    write_figures(options, None, list(range(seeds)), figures)
    say(scoreboard.table(figures))
    if options.out is not None:
        write_whole(options.out, scoreboard.draw(figures))
    return 0


def budget(text: str) -> list[float]:
    """Return the minutes at which learning baselines are measured, in order; none for "0".

    Raises InputError for anything else than minutes, separated by commas.
    """
    try:
        marks = sorted({float(part) for part in text.split(",")} - {0.0})
    except ValueError:
        marks = [-1.0]
    if any(not 0 < mark < float("inf") for mark in marks):
        raise InputError(
            f"scoreboard --budget: expected minutes such as 15 or 5,15,45, or 0, came '{text}';"
            f" name some"
        )
    return marks


def tell(worlds: Mapping[str, Runs]) -> dict[str, Figure]:
    """Return the figures of all runs: by world and contestant, and over worlds by contestant.

    Who has no runs has no value: what is not trained.
    """
    figures: dict[str, Figure] = {}
    scores: dict[str, list[list[float]]] = {}
    for world, runs in worlds.items():
        known = normalised(runs)
        for who, some in runs.items():
            name, n = f"{world}.{who}", len(some)
            unit = "return" if any(run["paid"] for run in some) else "share"
            figures[name] = figure(*interquartile_mean([_known(some, "value")]), n, unit)
            if known.get(who):
                scores.setdefault(who, []).append(known[who])
                figures[f"{name}.score"] = figure(*interquartile_mean([known[who]]), n)
            for part, unit in PARTS.items():
                if told := _known(some, part):
                    figures[f"{name}.{part}"] = figure(float(np.mean(told)), n=len(told), unit=unit)
    for who, strata in scores.items():
        n = sum(map(len, strata))
        figures[f"all.{who}.score"] = figure(*interquartile_mean(strata), n=n)
        middle = float(np.mean([np.mean(runs) for runs in strata]))
        figures[f"all.{who}.mean"] = figure(middle, n=len(strata))
        figures[f"all.{who}.worlds"] = figure(len(strata), n=len(strata))
    return figures


def _known(runs: Sequence[Run], part: str) -> list[float]:
    return [v for run in runs if (v := run.get(part)) is not None]
