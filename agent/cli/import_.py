"""`import`: experience recorded elsewhere, as a dataset file that `train` learns from."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.cli.common import say
from agent.config import schema
from agent.config.build import Blueprint, blueprint
from agent.core.errors import InputError
from agent.train.course import Course
from agent.train.given import keep
from agent.train.minari import imported

KINDS = ("minari:",)
RATE = "rate_hz"


def main(options: argparse.Namespace) -> int:
    """Write the dataset that the command line names; returns the exit code."""
    source = options.config or ""
    kind, _, name = source.partition(":")
    if f"{kind}:" not in KINDS or not name or not options.overrides:
        raise InputError(
            f"import: expected minari:ID CONFIG SENSOR=COLUMNS ... rate_hz=N, came '{source}';"
            f" such as import minari:me/arm-v0 configs/reach.yaml joint_angle=[0:2] rate_hz=20"
        )
    path, *given = options.overrides
    body = blueprint(schema.load(Path(path))).singles["world"].kind
    # A word without a dot is about the dataset, so that a misspelt sensor is called one.
    own = [g for g in given if "." not in g.partition("=")[0]]
    found = blueprint(schema.load(Path(path), [g for g in given if g not in own]))
    said = {k: v for k, _, v in (g.partition("=") for g in own)}
    rate = _rate(said.pop(RATE, None))
    target = options.out or Path("runs") / f"{name.replace('/', '-')}.safetensors"
    dataset, left = imported(name, body, said, rate, _ticks(found))
    target.parent.mkdir(parents=True, exist_ok=True)
    keep(dataset, target, body)
    say(f"  {len(dataset)} episodes of {dataset.ticks} ticks; {left} ticks too short for one")
    say(f"wrote {target}: python run_agent.py train {path} train.dataset={target}")
    return 0


def _rate(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        raise InputError(f"import: rate_hz: expected a number, came '{text}'") from None


def _ticks(found: Blueprint) -> int:
    course: Course = schema.validate(Course, found.config.train, "train")
    return course.explore.ticks
