"""`bench preference`: a hidden preference of demonstrators, learned from what they did."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agent.cli.common import Figure, checkpoints, configure, figure, say, write_figures
from agent.config.build import Blueprint, Mind, blueprint
from agent.core.loop import Tick
from agent.core.messages import Action, Directive, Observation, Rollout
from agent.core.protocols import Site
from agent.core.settings import Settings
from agent.evaluate.episodes import Outcome, episodes, trials_of
from agent.evaluate.statistics import mean, proportion
from agent.record import checkpoint
from agent.train.dataset import Dataset
from agent.train.preference import Preferring, fit_preference
from agent.train.progress import silent

DEMONSTRATIONS, SHOWN_SEEDS = 48, 700_000
EPISODES = 40


class Sparing:
    """The hidden preference: to turn the first joint slowly; its squared speed, in (rad/s)^2."""

    class Config(Settings):
        """`weight` per (rad/s)^2 and tick."""

        name: str = "sparing"
        quantity: str = "joint_speed"
        weight: float = 2.0

    kind = "intrinsic"

    def __init__(self, config: Config, site: Site) -> None:
        """Spare the first component of `config.quantity`."""
        self.name, self.weight, self.quantity = config.name, config.weight, config.quantity

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return the squared speed of every imagined step, [E B K H]."""
        return rollout.quantities[self.quantity][..., 0].square()


def main(options: argparse.Namespace) -> int:
    """Demonstrate, learn, and live the same episodes before and after; returns the exit code."""
    found = configure(options)
    tensors, about = checkpoint.load(checkpoints(options, found)[0])
    trials = trials_of(found.singles["world"].kind)
    first = trials.EVALUATION_SEEDS if options.seed is None else options.seed
    seeds = range(first, first + (options.episodes or EPISODES))
    expert = _with(found, {"use": "agent.cli.bench_preference:Sparing"}).assemble(tensors)
    apprentice = learner(found, tensors)
    watched, _, goals = demonstrate(expert, range(SHOWN_SEEDS, SHOWN_SEEDS + DEMONSTRATIONS))
    say(f"  watched {len(watched)} demonstrations of {watched.ticks} ticks")
    lived = {"demonstrator": demonstrate(expert, seeds), "before": demonstrate(apprentice, seeds)}
    term = next(t for t in apprentice.terms if t.name == "preference")
    told = fit_preference(apprentice, term, watched, goals, Preferring(), silent())
    say("  learned: " + ", ".join(f"{k} {v:.3g}" for k, v in told.items()))
    lived["after"] = demonstrate(apprentice, seeds)
    if options.out is not None:
        checkpoint.save(options.out, apprentice.tensors(), about)
    cost = {name: hidden(data, found) for name, (data, _, _) in lived.items()}
    written = figures(cost, {name: outcome for name, (_, outcome, _) in lived.items()})
    for name, value in written.items():
        say(f"  {name:<28} {value['value']}  [{value['low']}, {value['high']}]  n = {value['n']}")
    write_figures(options, found, [int(about["seed"])], written)
    return 0


def _with(found: Blueprint, term: dict[str, object]) -> Blueprint:
    """Return the agent with one more term."""
    return blueprint(found.config.model_copy(update={"terms": [*found.config.terms, term]}))


def learner(found: Blueprint, tensors: dict[str, Tensor]) -> Mind:
    """Return the mind of these weights with one more term, a preference that is untrained yet."""
    with_it = _with(found, {"use": "preference"})
    own = {
        k: v for k, v in with_it.assemble().tensors().items() if k.startswith("terms.preference")
    }
    return with_it.assemble(tensors | own)


def demonstrate(mind: Mind, seeds: Sequence[int]) -> tuple[Dataset, Outcome, Tensor]:
    """Return what one could watch of a mind at work, what truly happened, and the goals."""
    seen: list[Tensor] = []
    moves: list[Tensor] = []

    def watch(tick: Tick) -> None:
        seen.append(tick.messages[Observation].values)
        moves.append(tick.messages[Action].command)

    world = mind.blueprint.world(len(seeds))
    try:
        outcome = episodes(mind, world, seeds, mind.blueprint.config.eval.ticks, watch)
        goals = trials_of(world).tasks(seeds).goal
    finally:
        world.close()
    commands = torch.stack(moves[:-1], dim=1)
    return Dataset(torch.stack(seen, dim=1), commands), outcome, goals


def hidden(data: Dataset, found: Blueprint) -> NDArray[np.float64]:
    """Return the hidden cost of each episode, in (rad/s)^2, mean over ticks, by its own sensors."""
    where = found.singles["world"].kind.sensors["joint_speed"]
    speed = data.values[..., where][..., 0]
    return speed.square().mean(dim=1).double().numpy()


def figures(cost: dict[str, NDArray[np.float64]], lived: dict[str, Outcome]) -> dict[str, Figure]:
    """Return `hidden` cost, `success` and `harm` of each, and paired differences in hidden cost.

    `recovered` is the share of what lay between before and the demonstrators that was closed, of
    the means over episodes, with a bootstrap interval over episodes.
    """
    written: dict[str, Figure] = {}
    for name, outcome in lived.items():
        n = len(outcome.reached)
        written[f"hidden.{name}"] = figure(*mean(cost[name]), n, "(rad/s)^2")
        written[f"success.{name}"] = figure(*proportion(int(outcome.reached.sum()), n), n, "share")
        harm = int(outcome.contacts.sum() + outcome.speeding.sum())
        written[f"harm.{name}"] = figure(harm, n=outcome.ticks, unit="ticks")
    gone = cost["before"] - cost["after"]
    most = cost["before"] - cost["demonstrator"]
    n = len(gone)
    written["hidden.before-after"] = figure(*mean(gone), n, "(rad/s)^2")
    written["hidden.after-demonstrator"] = figure(*mean(most - gone), n, "(rad/s)^2")
    draws = np.random.default_rng(0).integers(n, size=(2000, n))
    shares = gone[draws].mean(axis=1) / most[draws].mean(axis=1)
    low, high = np.quantile(shares, (0.025, 0.975)).tolist()
    written["recovered"] = figure(float(gone.mean() / most.mean()), low, high, n, "share")
    return written
