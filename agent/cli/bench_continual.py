"""`bench continual`: recovery from a changed world, and what is forgotten by it."""

from __future__ import annotations

import argparse
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.cli.common import Figure, figure, say, write_figures
from agent.config import schema
from agent.config.build import blueprint
from agent.core.errors import InputError
from agent.evaluate.episodes import trials_of
from agent.evaluate.lives import Lives, Phase, lead
from agent.evaluate.statistics import Interval, mean, proportion
from agent.record import checkpoint
from agent.record.files import write_whole
from agent.report.recovery import Block, picture

BEFORE, CHANGED, AFTER = 4, 20, 4
BLOCK = 4
LIVES = 8
NEVER = "world_model.tolerated=1.0e+30"


def main(options: argparse.Namespace) -> int:
    """Lead lives through the change and back, adapting and not; returns the exit code."""
    path, plain, change = _asked(options)
    torch.set_num_threads(1)
    count = options.episodes or CHANGED
    known = blueprint(schema.load(path, plain))
    ticks, lives = known.config.eval.ticks, options.lives or LIVES
    first = trials_of(known.singles["world"].kind).EVALUATION_SEEDS + (options.seed or 0)
    paths = options.checkpoint or [Path(p) for p in known.config.eval.checkpoints]
    paths = paths or [Path(known.config.checkpoint)]
    kinds = {"adapting": plain, "not adapting": [*plain, NEVER]}
    phases = {kind: _phases(path, own, change, count) for kind, own in kinds.items()}
    led: dict[str, Lives] = {}
    for kind in kinds:
        for index, weights in enumerate(paths):
            tensors, _ = checkpoint.load(weights)
            start = first + index * lives * (BEFORE + count + AFTER)
            name = f"{kind}, {weights.name}"
            seeds = range(start, start + lives)
            found = lead(phases[kind], tensors, seeds, ticks, partial(_say, name))
            led[kind] = led[kind] + found if kind in led else found
    figures = _figures(led, count)
    for name, one in figures.items():
        say(f"  {name:<44} {_text(one)}")
    if options.out:
        write_whole(options.out, _drawn(led, count, ", ".join(change)))
        say(f"wrote {options.out}")
    write_figures(options, known, list(range(len(paths))), figures)
    return 0


def _phases(path: Path, own: list[str], change: list[str], count: int) -> list[Phase]:
    known, changed = (blueprint(schema.load(path, [*own, *c])) for c in ([], change))
    return [
        Phase("before", known, BEFORE),
        Phase("changed", changed, count),
        Phase("after", known, AFTER),
    ]


def _say(name: str, text: str) -> None:
    say(f"  {name}: {text}")


def _asked(options: argparse.Namespace) -> tuple[Path, list[str], list[str]]:
    """Return the config, its overrides, and what changes in the midst of life."""
    path, given = Path(options.config), options.overrides
    change = [g for g in given if g.startswith("world.")]
    if not change:
        raise InputError(
            "bench continual: expected what changes in the world, came nothing;"
            " such as world.mass_scale=2.0"
        )
    return path, [g for g in given if g not in change], change


def _figures(led: dict[str, Lives], count: int) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for kind, lives in led.items():
        tag = kind.replace(" ", "_")
        for name, span in _spans(count).items():
            cut = lives.reached[:, span]
            figures[f"{tag}.success_{name}"] = _shown(proportion(int(cut.sum()), cut.size), cut)
            harm = lives.harmed[:, span]
            figures[f"{tag}.harmed_{name}"] = _shown(proportion(int(harm.sum()), harm.size), harm)
            error = lives.error[:, span]
            figures[f"{tag}.error_{name}"] = _shown(mean(error.mean(axis=1)), error)
        low = _recovery(lives, count)
        figures[f"{tag}.recovery"] = _shown(low, lives.reached)
        ticks = lives.ticks[:, BEFORE : BEFORE + count].sum(axis=1)
        figures[f"{tag}.ticks_changed"] = _shown(mean(ticks), ticks)
    calm = led["not adapting"].surprise[:, :BEFORE]
    figures["surprise_before.q99"] = figure(float(np.quantile(calm, 0.99)), n=calm.size)
    return figures


def _spans(count: int) -> dict[str, slice]:
    """Return the episodes before, first and later under the change, and after it."""
    some, end = min(BLOCK, count), BEFORE + count
    return {
        "before": slice(0, BEFORE),
        "changed_first": slice(BEFORE, BEFORE + some),
        "changed_later": slice(min(BEFORE + some, end - 1), end),
        "after": slice(end, end + AFTER),
    }


def _recovery(lives: Lives, count: int) -> Interval:
    """Return success in the later changed episodes over that before, bootstrapped over lives."""
    spans = _spans(count)
    before, last = (lives.reached[:, spans[n]].mean(axis=1) for n in ("before", "changed_later"))
    picks = np.random.default_rng(0).integers(len(before), size=(2000, len(before)))
    ratios = last[picks].mean(axis=1) / np.maximum(before[picks].mean(axis=1), 1e-9)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(last.mean() / max(before.mean(), 1e-9)), float(low), float(high)


def _drawn(led: dict[str, Lives], count: int, change: str) -> str:
    def shares(cut: NDArray[Any]) -> Interval:
        return proportion(int(cut.sum()), cut.size)

    def means(cut: NDArray[Any]) -> Interval:
        return mean(cut.mean(axis=1))

    edges = [0, *range(BEFORE, BEFORE + count, BLOCK), BEFORE + count, BEFORE + count + AFTER]
    spans = list(pairwise(edges))
    panels = {
        "goals reached": {
            k: [Block(a, b - 1, *shares(v.reached[:, a:b])) for a, b in spans]
            for k, v in led.items()
        },
        "episodes with contact or speeding": {
            k: [Block(a, b - 1, *shares(v.harmed[:, a:b])) for a, b in spans]
            for k, v in led.items()
        },
        "rms error of a forecast": {
            k: [Block(a, b - 1, *means(v.error[:, a:b])) for a, b in spans] for k, v in led.items()
        },
    }
    return picture(panels, {BEFORE: change, BEFORE + count: "as trained"})


def _shown(interval: Interval, sample: NDArray[Any]) -> Figure:
    return figure(*interval, n=int(sample.size))


def _text(one: Figure) -> str:
    bounds = "" if one["low"] is None else f"   [{one['low']:.4g}, {one['high']:.4g}]"
    return f"{one['value']:.4g}{bounds}   n = {one['n']}"
