"""`bench joint`: what training levels together gives, beside as many steps one after the other."""

from __future__ import annotations

import argparse
from typing import Any

from agent.cli.common import Figure, configure, figure, say, write_figures
from agent.config.build import Blueprint, blueprint
from agent.core.errors import InputError
from agent.evaluate.statistics import student
from agent.train.course import course_of
from agent.train.progress import Figures, silent
from agent.train.understanding import understand

SEEDS = (0, 1, 2)
KEPT = ("relative_error", "effective_rank", "probe_r2", "rms")
"""How the names of the held-out figures that are compared begin, behind that of the level."""


def main(options: argparse.Namespace) -> int:
    """Train percepts, levels and readouts both ways, for every seed; returns the exit code."""
    found = configure(options)
    seeds = SEEDS if options.seed is None else (options.seed,)
    measured: dict[str, list[Figures]] = {"apart": [], "joint": []}
    for seed in seeds:
        for arm, runs in measured.items():
            one = arranged(found, arm == "joint", seed)
            figures = understand(one, course_of(one), silent()).figures
            runs.append({k: v for k, v in figures.items() if _kept(k)})
            told = (f"{k} {v:.3g}" for k, v in runs[-1].items() if "relative_error" in k)
            say(f"  {arm:<6} seed {seed}  {'  '.join(told)}")
    write_figures(options, found, list(seeds), summary(measured))
    return 0


def arranged(found: Blueprint, joint: bool, seed: int) -> Blueprint:
    """Return the blueprint with this seed; if not `joint`, as many steps more of each level alone.

    Raises InputError if the config trains no levels together.
    """
    course = course_of(found)
    more = course.levels.joint
    if more is None:
        raise InputError(
            "bench joint: expected a config that trains levels together, came none;"
            " set train.levels.joint={steps: 500}"
        )
    train = found.config.train
    if not joint:
        levels = {k: v for k, v in train["levels"].items() if k != "joint"}
        levels["learner"] = _longer(levels, course.levels.learner.steps + more.steps)
        longer = _longer(train, course.learner.steps + more.steps)
        train = {**train, "learner": longer, "levels": levels}
    return blueprint(found.config.model_copy(update={"train": train, "seed": seed}))


def _longer(section: dict[str, Any], steps: int) -> dict[str, Any]:
    return {**section.get("learner", {}), "steps": steps}


def summary(measured: dict[str, list[Figures]]) -> dict[str, Figure]:
    """Return the mean over seeds of each way's figures, and of joint minus apart, seed by seed."""
    apart, joint = measured["apart"], measured["joint"]
    pairs = zip(joint, apart, strict=True)
    runs = measured | {"joint-apart": [{k: a[k] - b[k] for k in b} for a, b in pairs]}
    return {
        f"{arm}.{name}": figure(*student([run[name] for run in each]), n=len(each))
        for arm, each in runs.items()
        for name in each[0]
    }


def _kept(name: str) -> bool:
    return any(part.startswith(KEPT) for part in name.split("."))
