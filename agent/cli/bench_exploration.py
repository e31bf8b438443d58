"""`bench exploration`: what each way of exploring visits, and how good a model it leaves behind."""

from __future__ import annotations

import argparse

import numpy as np
import torch

from agent.cli.common import configure, figure, say, write_figures
from agent.config import schema
from agent.core.errors import InputError, nearest
from agent.train.course import Course
from agent.train.exploration import POLICIES, coverage, explored, taught

SEEDS = 3
HORIZON = 12
FAR = 700_000
"""Training seeds from here on: far from those that the shipped weights learned from."""


def main(options: argparse.Namespace) -> int:
    """Compare the policies on the config's world; returns the exit code."""
    names = [w for w in options.overrides if "=" not in w]
    options.overrides = [w for w in options.overrides if "=" in w]
    found = configure(options)
    torch.set_num_threads(1)
    sensors = found.singles["world"].kind.sensors
    for name in names:
        if name not in sensors.names:
            hint = nearest(name, sensors.names)
            raise InputError(f"bench exploration: the world has no sensor '{name}'; {hint}")
    names = names or list(sensors.names[:2])
    course: Course = schema.validate(Course, found.config.train, "train")
    measured: dict[str, list[float]] = {}
    transitions = course.explore.episodes * course.explore.ticks
    for seed in range(SEEDS):
        first = FAR + seed * course.explore.episodes
        sets = {policy: explored(found, course, policy, first) for policy in POLICIES}
        errors = taught(found, course, sets, HORIZON, seed)
        for policy, share in coverage(sets, sensors, names).items():
            for key, value in {"coverage": share, **errors[policy]}.items():
                measured.setdefault(f"{policy}.{key}", []).append(value)
            text = "  ".join(f"{k} {v:.3f}" for k, v in errors[policy].items())
            say(f"  seed {seed}, {policy}: coverage {share:.3f}  {text}")
    written = {"transitions": figure(transitions)}
    for name, values in sorted(measured.items()):
        say(f"  {name:<22} {np.mean(values):.4g}   [{min(values):.4g}, {max(values):.4g}]")
        written |= {f"{name}.{i}": figure(v, n=transitions) for i, v in enumerate(values)}
    write_figures(options, found, list(range(SEEDS)), written)
    return 0
