"""`bench memory`: time and recall of retrieval by what is stored, and how much noise it stands."""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import Tensor

from agent.cli.common import Figure, checkpoints, configure, figure, mind_of, say, write_figures
from agent.config.build import Blueprint, Mind
from agent.evaluate.remembering import flipped, noisy, recovered, search
from agent.evaluate.statistics import mean, proportion
from agent.record.files import write_whole
from agent.report.memory import picture
from agent.train.explore import Explorer

FIRST_SEED = 600_000
"""Of the episodes whose latents are stored: none that the agent was trained on."""
BATCH, QUERIES, COMPARED, CUES = 64, 1000, 100, 500
SIZES = (1_000, 10_000, 100_000, 1_000_000)
PATTERNS = (1_000, 10_000, 100_000)
WIDTHS, SHARES, NOISE = (64, 128, 256), (0.1, 0.2, 0.3, 0.4), 0.3
SHARP = 1.0
"""Beta for patterns of signs, whose products are whole numbers apart."""
BETA = 8.0


def main(options: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
    found = configure(options)
    mind, about = mind_of(found, checkpoints(options, found)[0])
    stored, queries = lived(found, mind, max(SIZES))
    say(f"  {len(stored)} latents of {found.config.name} stored, one thread")
    written: dict[str, Figure] = {}
    times = _times(stored, queries, written)
    exact = _exactness(stored, found.config.name, written)
    for name, value in written.items():
        bounds = "" if value["low"] is None else f"  [{value['low']:.4g}, {value['high']:.4g}]"
        say(f"  {name:<34} {value['value']:.4g}{bounds}  n = {value['n']} {value['unit']}")
    if options.out:
        write_whole(options.out, picture(times, exact, f"{NOISE:.0%} noise"))
        say(f"wrote {options.out}")
    write_figures(options, found, [int(about["seed"])], written)
    return 0


@torch.no_grad()
def lived(found: Blueprint, mind: Mind, stored: int) -> tuple[Tensor, Tensor]:
    """Return `stored` latents of random commands [n Z], and other moments to ask about."""
    ticks = 96
    episodes = -(-(stored + QUERIES) // (ticks + 1))
    world = found.world(BATCH)
    try:
        config = Explorer.Config(episodes=episodes, ticks=ticks)
        dataset = Explorer(config, world, FIRST_SEED).collect(lambda done, total: None)
    finally:
        world.close()
    parts = [mind.perception.encode(values) for values in torch.split(dataset.values, 500)]
    latents = torch.cat(parts).flatten(0, 1)
    return latents[:stored].contiguous(), latents[stored : stored + QUERIES].contiguous()


def _times(
    stored: Tensor, queries: Tensor, written: dict[str, Figure]
) -> dict[str, list[tuple[float, float]]]:
    """Measure retrieval among more and more of what is stored; returns curves to draw."""
    curves: dict[str, list[tuple[float, float]]] = {"all compared": [], "index": []}
    for size in SIZES:
        said = search(stored[:size], queries, BETA, COMPARED)
        for name, label, ms in (
            ("all", "all compared", said.all_ms),
            ("index", "index", said.index_ms),
        ):
            wall, busy = (np.percentile(part, (50, 99)) for part in zip(*ms, strict=True))
            written[f"{name}_ms.{size}"] = figure(float(wall[0]), n=len(ms), unit="ms")
            written[f"{name}_cpu_ms.{size}"] = figure(float(busy[0]), n=len(ms), unit="ms")
            written[f"{name}_cpu_ms_p99.{size}"] = figure(float(busy[1]), n=len(ms), unit="ms")
            curves[label].append((size, float(busy[0])))
        written[f"build_s.{size}"] = figure(said.build_s[0], n=1, unit="s")
        written[f"build_cpu_s.{size}"] = figure(said.build_s[1], n=1, unit="s")
        written[f"recall.{size}"] = figure(*mean(said.hit.numpy()), len(said.hit), "share")
    return curves


def _exactness(
    stored: Tensor, name: str, written: dict[str, Figure]
) -> dict[str, list[tuple[float, float]]]:
    """Measure what is retrieved through noise; returns curves to draw, at `NOISE`."""
    curves: dict[str, list[tuple[float, float]]] = {}

    def count(
        key: str, label: str, size: int, said: tuple[Tensor, Tensor], drawn: bool = True
    ) -> None:
        right, left = said
        value = proportion(int(right.sum()), len(right))
        written[f"exact.{key}.{size}"] = figure(*value, len(right), "share")
        written[f"noise_left.{key}.{size}"] = figure(*mean(left.numpy()), len(left), "share")
        if drawn:
            curves.setdefault(label, []).append((size, value[0]))

    for size in PATTERNS:
        for width in WIDTHS:
            for share in SHARES if width == WIDTHS[-1] else (NOISE,):
                patterns, truth, cue = flipped(width, size, share, CUES, seed=size + width)
                said = recovered(patterns, truth, cue, SHARP, level=False)
                key = f"signs{width}.noise{share:.0%}".replace("%", "")
                count(key, f"{width} random signs", size, said, share == NOISE)
        like = torch.randn(size, stored.shape[1], generator=torch.Generator().manual_seed(size))
        key = f"noise{NOISE:.0%}".replace("%", "")
        for kind, label, patterns in (
            (f"normal{stored.shape[1]}", f"{stored.shape[1]} random numbers", like),
            ("lived", f"latents of {name}", stored[:size]),
        ):
            truth, cue = noisy(patterns, NOISE, CUES, seed=size)
            said = recovered(patterns, truth, cue, BETA, level=True)
            count(f"{kind}.{key}", label, size, said)
    return curves
