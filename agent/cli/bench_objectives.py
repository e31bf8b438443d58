"""`bench objectives`: one world, network and planner, trained by each recipe of objectives."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch

from agent.cli.common import Figure, configure, figure, say, write_figures
from agent.config import schema
from agent.config.build import blueprint
from agent.config.schema import AgentConfig
from agent.evaluate.episodes import trials_of
from agent.evaluate.statistics import proportion, student
from agent.evaluate.workers import spread
from agent.record.files import kept
from agent.train.compare import compare, mixed, recipes
from agent.train.progress import Figures, Ledger

EPISODES, SEEDS = 100, (0, 1, 2)
SHOWN = ("effective_rank", "deviation_mean", "success", "learn_cpu_s")


@dataclass(frozen=True, slots=True)
class Job:
    """One recipe from one seed; its figures are kept in `path` and taken up again from there."""

    recipe: str
    config: AgentConfig
    seeds: tuple[int, ...]
    path: Path


def main(options: argparse.Namespace) -> int:
    """Train and measure every recipe of `recipes.yaml` beside the config; returns the exit code."""
    found = configure(options)
    listed = recipes(Path(options.config).with_name("recipes.yaml"))
    training = SEEDS if options.seed is None else (options.seed,)
    count = options.episodes or EPISODES
    first = trials_of(found.singles["world"].kind).EVALUATION_SEEDS
    folder = Path("runs") / f"objectives-{found.config.name}"
    if options.fresh:
        for old in folder.glob("*.json"):
            old.unlink()
    work = [
        Job(
            name, mixed(found, recipe, seed).config, tuple(range(first, first + count)),
            folder / f"{name}-seed{seed}.json",
        )
        for seed in training
        for name, recipe in listed.items()
    ]  # fmt: skip
    measured: dict[str, list[Figures]] = {name: [] for name in listed}
    for job, figures in spread(work, measure):
        measured[job.recipe].append(figures)
        text = "  ".join(f"{k} {figures[k]:.4g}" for k in SHOWN)
        say(f"  {job.recipe:<30} seed {job.config.seed}  {text}")
    write_figures(options, found, list(training), _summary(measured, count))
    return 0


def measure(job: Job) -> Figures:
    """Return a job's figures, from its file if that belongs to the same config and episodes."""
    torch.set_num_threads(1)
    found = blueprint(job.config)
    key = schema.config_hash({"config": found.resolved(), "seeds": list(job.seeds)})
    figures: Figures = kept(job.path, key, lambda: compare(found, job.seeds, _talking(job)))
    return figures


def _talking(job: Job) -> Ledger:
    """Return a ledger that keeps nothing and passes on what needs attention."""
    who = f"  {job.recipe}, seed {job.config.seed}:"
    return Ledger(
        lambda *_: None, lambda *_: None, lambda _: None, say=lambda line: say(f"{who}{line}")
    )


def _summary(measured: dict[str, list[Figures]], episodes: int) -> dict[str, Figure]:
    """Return every figure per recipe: over episodes for success, else over training seeds."""
    written: dict[str, Figure] = {}
    for recipe, runs in measured.items():
        for name in runs[0]:
            values = [run[name] for run in runs]
            n = len(values)
            if name == "success":
                hits = round(sum(values) * episodes)
                bounds = proportion(hits, n * episodes)
                written[f"{recipe}.{name}"] = figure(*bounds, n=n * episodes, unit="share")
            else:
                written[f"{recipe}.{name}"] = figure(*student(values), n=n)
    return written
