"""`bench goals`: the same episodes with goals told in numbers, and shown as an observation."""

from __future__ import annotations

import argparse

import numpy as np

from agent.cli.common import Figure, checkpoints, configure, figure, mind_of, say, write_figures
from agent.config.build import Blueprint, blueprint
from agent.config.resolve import resolve
from agent.evaluate.episodes import Outcome, trials_of
from agent.evaluate.goals import asked
from agent.evaluate.statistics import mean, proportion
from agent.evaluate.workers import carry_out, jobs

EPISODES = 30
SEEDS = 900_000
LATENT = {"use": "latent_distance", "weight": 1.0}


def main(options: argparse.Namespace) -> int:
    """Compare ways of giving goals in the config's world; returns the exit code."""
    found = configure(options)
    weights = checkpoints(options, found)[0]
    first = SEEDS if options.seed is None else options.seed
    seeds = range(first, first + (options.episodes or EPISODES))
    mind, about = mind_of(arms(found)["shown"], weights)
    trials = trials_of(found.singles["world"].kind)
    gap = asked(mind, trials, seeds).goal - trials.tasks(seeds).goal
    lived: dict[str, Outcome] = {}
    for name, arm in arms(found).items():
        outcomes = [o for _, o in carry_out(jobs(arm.config, weights, seeds, False))]
        lived[name] = sum(outcomes[1:], outcomes[0])
        say(f"  {name}: {int(lived[name].reached.sum())}/{len(seeds)} goals reached")
    written = figures(lived, gap.norm(dim=1).double().numpy())
    for name, value in written.items():
        say(f"  {name:<24} {value['value']}  [{value['low']}, {value['high']}]  n = {value['n']}")
    write_figures(options, found, [int(about["seed"])], written)
    return 0


def arms(found: Blueprint) -> dict[str, Blueprint]:
    """Return the agent told its goals; shown them, and reading them out; and by latents alone.

    In the last, `latent_distance` takes the place of every task term.
    """
    config = found.config
    drives = [p for p in config.terms if resolve("term", p["use"]).kind == "intrinsic"]
    latent = {"shown": True, "terms": [LATENT, *drives]}
    return {
        "told": found,
        "shown": blueprint(config.model_copy(update={"shown": True})),
        "latent": blueprint(config.model_copy(update=latent)),
    }


def figures(lived: dict[str, Outcome], gap_m: np.ndarray) -> dict[str, Figure]:
    """Return `success`, ticks of `harm` (contact or speeding), and paired differences from told.

    `goal_error`: how far the goal that was read out of what was shown lay from the true one.
    """
    written: dict[str, Figure] = {"goal_error": figure(*mean(gap_m), len(gap_m), "m")}
    for name, outcome in lived.items():
        n = len(outcome.reached)
        written[f"success.{name}"] = figure(*proportion(int(outcome.reached.sum()), n), n, "share")
        harm = int(outcome.contacts.sum() + outcome.speeding.sum())
        written[f"harm.{name}"] = figure(harm, n=outcome.ticks, unit="ticks")
        if name != "told":
            worse = outcome.reached.astype(float) - lived["told"].reached
            written[f"success.{name}-told"] = figure(*mean(worse), n, "share")
    return written
