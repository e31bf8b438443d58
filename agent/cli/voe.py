"""`voe`: violation of expectation, by the surprise of an agent that watches matched clips."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from agent.cli.common import Figure, checkpoints, configure, figure, mind_of, say, write_figures
from agent.config.build import Blueprint, Mind
from agent.core.errors import InputError, nearest
from agent.evaluate.statistics import auroc, proportion
from agent.evaluate.surprise import Array, Pairs, clips_of, pairs, threshold, watch
from agent.record.files import write_whole
from agent.report.violations import picture


def main(options: argparse.Namespace) -> int:
    """Show every checkpoint the same clips; returns the exit code."""
    found = configure(options)
    settings, world = found.config.voe, found.singles["world"]
    count = settings.pairs if options.episodes is None else options.episodes
    if count < 1:
        raise InputError(f"voe --episodes: expected at least 1 pair, came {count}")
    clips = clips_of(world.kind, world.use)
    wanted = _wanted(settings.violations, clips)
    paths = list(options.checkpoint or map(Path, found.config.eval.checkpoints))
    paths = paths or checkpoints(options, found)
    first = clips.EVALUATION_SEEDS + (options.seed or 0)
    limits: list[float] = []
    seen: dict[str, list[Pairs]] = {kind: [] for kind in (*wanted, clips.CONTROL)}
    trained = []
    for path in paths:
        mind, about = mind_of(found, path)
        trained.append(int(about["seed"]))
        limits.append(_limit(found, mind, clips))
        say(f"  {path.name}: an alarm is a surprise above {limits[-1]:.4g}")
        for kind in seen:
            seen[kind].append(pairs(mind, clips, kind, first, count))
            say(f"    {kind}: {count} pairs watched")
    figures = _figures(seen, limits, clips.CONTROL)
    for name, f in figures.items():
        bounds = "" if f["low"] is None else f"  [{f['low']:.4g}, {f['high']:.4g}]"
        say(f"  {name:<28} {f['value']:.4g}{bounds}  n = {f['n']} {f['unit']}")
    if options.out:
        last = {kind: parts[-1] for kind, parts in seen.items()}
        strips = {kind: _strip(mind, clips, p) for kind, p in last.items()}
        write_whole(options.out, picture(last, strips, clips.scene(), limits[-1]))
        say(f"wrote {options.out} (the last checkpoint)")
    write_figures(options, found, trained, figures)
    return 0


def _wanted(names: list[str], clips: Any) -> tuple[str, ...]:
    """Return the violations to show. Raises InputError for one that nobody can make."""
    for name in names:
        if name not in clips.VIOLATIONS:
            hint = nearest(name, clips.VIOLATIONS)
            raise InputError(f"voe.violations: unknown violation '{name}'; {hint}")
    return tuple(names) or tuple(clips.VIOLATIONS)


def _limit(found: Blueprint, mind: Mind, clips: Any) -> float:
    """Return the surprise that possible clips of development seeds hardly ever exceed."""
    settings, first = found.config.voe, clips.DEVELOPMENT_SEEDS
    seeds = range(first, first + settings.calibration)
    scores, _ = watch(mind, clips, seeds, [None] * len(seeds))
    return threshold(scores.max(axis=1), settings.quantile)


def _figures(seen: dict[str, list[Pairs]], limits: list[float], control: str) -> dict[str, Figure]:
    """Return the figures over all checkpoints; shares count every clip of every checkpoint."""
    figures: dict[str, Figure] = {}
    calm = []
    for kind, parts in seen.items():
        possible, tricked = (np.stack(s) for s in zip(*(p.scores for p in parts), strict=True))
        alarms = tricked > np.array(limits)[:, None]
        calm.append(possible > np.array(limits)[:, None])
        if kind == control:
            figures["false_alarms"] = _share(alarms)
            figures[f"auroc_of_control.{kind}"] = _area(tricked, possible)
        else:
            figures[f"auroc.{kind}"] = _area(tricked, possible)
            figures[f"hits.{kind}"] = _share(alarms)
    figures["false_alarms_possible"] = _share(np.concatenate(calm, axis=1))
    for index, limit in enumerate(limits):
        figures[f"threshold.{index}"] = figure(limit)
    return figures


def _area(tricked: Array, possible: Array) -> Figure:
    return figure(*auroc(tricked, possible), n=tricked.shape[1], unit="pairs")


def _share(alarms: Any) -> Figure:
    value, low, high = proportion(int(alarms.sum()), alarms.size)
    return figure(value, low, high, alarms.size, "share")


def _strip(mind: Mind, clips: Any, found: Pairs) -> tuple[Any, Any, Any]:
    """Return what truly happened in the first pair, possible and tricked, and its trick."""
    (_, (one,)), (_, (other,)) = (
        watch(mind, clips, found.seeds[:1], [trick]) for trick in (None, found.tricks[0])
    )
    return one, other, found.tricks[0]
