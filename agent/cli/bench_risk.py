"""`bench risk`: the same episodes lived under every attitude to risk, side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from agent.cli.common import Figure, checkpoints, configure, figure, say, write_figures
from agent.config.schema import AgentConfig
from agent.core.risk import Risk
from agent.evaluate.episodes import Outcome, trials_of
from agent.evaluate.statistics import mean, proportion
from agent.evaluate.workers import carry_out, jobs
from agent.record import checkpoint

EPISODES = 200
ATTITUDES = (Risk("mean"), Risk("cvar", 0.25), Risk("worst"), Risk("free_energy", 0.02))


def main(options: argparse.Namespace) -> int:
    """Compare attitudes in the config's world; returns the exit code."""
    found = configure(options)
    weights = checkpoints(options, found)[0]
    _, about = checkpoint.load(weights)
    trials = trials_of(found.singles["world"].kind)
    first = trials.EVALUATION_SEEDS if options.seed is None else options.seed
    seeds = range(first, first + (options.episodes or EPISODES))
    lived: dict[str, Outcome] = {}
    for risk in ATTITUDES:
        lived[risk.kind] = live(found.config, weights, seeds, risk)
        say(
            f"  {risk.kind} {risk.alpha:g}: {int((lived[risk.kind].contacts > 0).sum())} collisions"
        )
    written = figures(lived)
    for name, value in written.items():
        say(f"  {name:<28} {value['value']}  [{value['low']}, {value['high']}]  n = {value['n']}")
    write_figures(options, found, [int(about["seed"])], written)
    return 0


def live(config: AgentConfig, weights: Path, seeds: range, risk: Risk) -> Outcome:
    """Return what happened in episodes of `seeds`, planned with this attitude."""
    settings = config.configurator | {"risk": risk.kind, "risk_alpha": risk.alpha}
    bent = config.model_copy(update={"configurator": settings})
    outcomes = [outcome for _, outcome in carry_out(jobs(bent, weights, seeds, False))]
    return sum(outcomes[1:], outcomes[0])


def figures(lived: dict[str, Outcome]) -> dict[str, Figure]:
    """Return shares of episodes by attitude, and paired differences from planning for the mean.

    `collided`: the world counted a contact in at least one tick; `reached`: the task was done;
    `contact_ticks` and `closest_m`: means over episodes; `reach_ticks` over those that reached.
    `collided.KIND-mean` and so on are means over episodes (`reach_ticks`: that both reached) of the
    difference, on the same seeds, with a bootstrap interval over episodes.
    """
    shares = {kind: {"collided": o.contacts > 0, "reached": o.reached} for kind, o in lived.items()}
    written: dict[str, Figure] = {}
    for kind, outcome in lived.items():
        n = len(outcome.reached)
        for name, events in shares[kind].items():
            written[f"{name}.{kind}"] = figure(*proportion(int(events.sum()), n), n, "share")
        written[f"contact_ticks.{kind}"] = figure(*mean(outcome.contacts), n, "ticks")
        written[f"closest_m.{kind}"] = figure(*mean(outcome.closest_m), n, "m")
        done = outcome.reach_tick[outcome.reached]
        written[f"reach_ticks.{kind}"] = figure(*mean(done), len(done), "ticks")
    for kind in lived.keys() - {"mean"}:
        for name, events in shares[kind].items():
            gap = events.astype(np.float64) - shares["mean"][name]
            written[f"{name}.{kind}-mean"] = figure(*mean(gap), len(gap), "share")
        nearer = lived[kind].closest_m - lived["mean"].closest_m
        written[f"closest_m.{kind}-mean"] = figure(*mean(nearer), len(nearer), "m")
        both = lived[kind].reached & lived["mean"].reached
        late = (lived[kind].reach_tick - lived["mean"].reach_tick)[both]
        written[f"reach_ticks.{kind}-mean"] = figure(*mean(late), len(late), "ticks")
    return dict(sorted(written.items()))
