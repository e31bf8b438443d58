"""`bench planner`: our planners and those of others on the same network, problem and machine."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from agent.cli.common import Figure, figure, neighbour, say, write_figures
from agent.config.resolve import parts, resolve
from agent.evaluate.peers import peers
from agent.evaluate.planning import Contestant, Problem, floor, ours, timed_ms
from agent.evaluate.statistics import median
from agent.record.files import write_whole
from agent.report.planners import draw

SAMPLES, ITERATIONS, ELITES = 300, 10, 30
WORK = {"samples": SAMPLES, "iterations": ITERATIONS, "elites": ELITES}
ROUNDS, AGENTS = 40, 64


def main(options: argparse.Namespace) -> int:
    """Take turns, and print medians, ratios to the floor, and energies; returns the exit code."""
    torch.set_num_threads(1)
    seed = options.seed or 0
    problem, rounds = Problem(seed), options.episodes or ROUNDS
    contestants = [floor(problem, SAMPLES, ITERATIONS), *_ours(problem)]
    contestants += peers(problem, SAMPLES, ITERATIONS, ELITES)
    quiet = take_turns(contestants, rounds)
    figures = _summary(problem, contestants, quiet)
    figures |= _busy(contestants, quiet, rounds)
    figures |= _together(problem, rounds)
    for name, found in figures.items():
        say(f"  {name:<44} {found['value']:.4g} {found['unit']}")
    write_figures(options, None, [seed], figures)
    if options.out:
        write_whole(options.out, draw(figures))
    return 0


def _ours(problem: Problem) -> Iterator[Contestant]:
    """Our planners, with as many samples and iterations where they have such settings."""
    for use in parts("actor"):
        fields = resolve("actor", use).Config.model_fields
        settings = {name: value for name, value in WORK.items() if name in fields}
        if "samples" in settings:
            yield ours(problem, use, settings)


def take_turns(contestants: Sequence[Contestant], rounds: int) -> dict[str, np.ndarray]:
    """Return milliseconds per plan [rounds] by name; everyone plans once in every round."""
    spent: dict[str, list[float]] = {c.name: [] for c in contestants}
    with torch.no_grad():
        for index in range(rounds + 1):
            for contestant in contestants:
                _, ms = timed_ms(contestant.plan)
                if index:  # the first round warms up
                    spent[contestant.name].append(ms)
    return {name: np.array(ms) for name, ms in spent.items()}


def _summary(
    problem: Problem, contestants: Sequence[Contestant], spent: dict[str, np.ndarray]
) -> dict[str, Figure]:
    """Medians, ratios to the floor of the same round, and what the plans are worth."""
    lowest, figures = spent[contestants[0].name], dict[str, Figure]()
    rate = problem.flops(SAMPLES, ITERATIONS) / (float(np.median(lowest)) / 1e3) / 1e9
    figures["floor_gflops"] = figure(rate, n=len(lowest), unit="GFLOP/s")
    for contestant in contestants:
        name, ms = contestant.name, spent[contestant.name]
        figures[f"{name}.ms"] = figure(float(np.median(ms)), n=len(ms), unit="ms")
        figures[f"{name}.ms_p95"] = figure(float(np.quantile(ms, 0.95)), n=len(ms), unit="ms")
        figures[f"{name}.over_floor"] = figure(*median(ms / lowest), len(ms))
        with torch.no_grad():
            actions = contestant.plan()
            if len(actions) > 1 and contestant is not contestants[0]:
                worth = float(problem.total(actions[None])[0])
                figures[f"{name}.energy"] = figure(worth, n=1)
                figures[f"{name}.largest_command"] = figure(float(actions.abs().max()), n=1)
    return figures


def _busy(
    contestants: Sequence[Contestant], quiet: dict[str, np.ndarray], rounds: int
) -> dict[str, Figure]:
    """Repeat it beside a process that keeps one core busy: 95th percentiles over the quiet ones."""
    with neighbour():
        spent = take_turns(contestants, rounds)
    return {
        f"{name}.busy_p95_over_quiet": figure(
            float(np.quantile(ms, 0.95) / np.quantile(quiet[name], 0.95)), n=len(ms)
        )
        for name, ms in spent.items()
    }


def _together(problem: Problem, rounds: int) -> dict[str, Figure]:
    """Plans a second of `cem`: one agent after another, and many agents at once."""
    alone = ours(problem, "cem", dict(WORK))
    many = ours(problem, "cem", dict(WORK), AGENTS)
    one, batch = Contestant("alone", alone.plan), Contestant("together", many.plan)
    spent = take_turns([one, batch], max(rounds // 10, 3))
    gain = np.median(spent["alone"] * AGENTS / spent["together"])
    return {
        "alone.plans_per_s": figure(1e3 / float(np.median(spent["alone"])), unit="1/s"),
        f"together_{AGENTS}.plans_per_s": figure(
            1e3 * AGENTS / float(np.median(spent["together"])), unit="1/s"
        ),
        f"together_{AGENTS}.gain": figure(float(gain), n=len(spent["together"])),
    }
