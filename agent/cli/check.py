"""`check`: is the config right, and does everything fit? Prints and draws the wiring."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.cli.common import checkpoints, configure, figure, mind_of, say, write_figures
from agent.cli.preflight import preflight
from agent.config.build import Blueprint, Mind
from agent.evaluate.episodes import referable
from agent.report.wiring import draw
from agent.train.climbing import expect_climbable
from agent.train.course import course_of
from agent.train.understanding import expect_explorable


def main(options: argparse.Namespace) -> int:
    """Validate config, training and references included, names, settings, weights and wiring.

    A checkpoint that does not exist yet is said, not an error: the wiring is then checked with
    untrained parts. Returns the exit code.
    """
    found = configure(options)
    path = checkpoints(options, found)[0]
    if path.exists() or options.checkpoint:
        mind, about = mind_of(found, path)
    else:
        say(f"no checkpoint at {path} yet; checking untrained parts")
        mind, about = found.assemble(), {}
    _expect_trainable(found, mind)
    if found.wants and (found.config.eval.oracle_episodes or found.config.run.reference):
        referable(found)
    world = found.world(1)
    try:
        agent = mind.agent(world)
    finally:
        world.close()
    preflight(mind, agent, about)
    target = options.out or Path("wiring.svg")
    draw(agent.schedule, target)
    say(f"config and wiring are sound; graph in {target}")
    parameters = sum(p.numel() for m in mind.trainable().values() for p in m.parameters())
    write_figures(options, found, [found.config.seed], {"parameters": figure(parameters)})
    return 0


def _expect_trainable(found: Blueprint, mind: Mind) -> None:
    """Raise InputError if the section `train` does not fit; nothing is trained."""
    course = course_of(found)
    expect_climbable(mind, course.levels, course.learner)
    expect_explorable(mind, course)
