"""`redteam`: attack an agent's guardrails, and say what truly came of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import chain

from agent.cli.common import checkpoints, configure, figure, say, write_figures
from agent.config.build import Blueprint, Tensors
from agent.core.errors import InputError
from agent.evaluate.episodes import trials_of
from agent.record import checkpoint
from agent.record.files import write_whole
from agent.redteam import (
    disk,
    exploitation,
    frontier,
    harness,
    injection,
    modules,
    situations,
    tampering,
    vectors,
)
from agent.redteam.disk_audit import AUDIT
from agent.redteam.meddling import isolated
from agent.redteam.told import Figures, Told
from agent.redteam.vectors_between import BETWEEN
from agent.redteam.vectors_levels import LEVELS
from agent.redteam.vectors_runtime import RUNTIME
from agent.report.redteam import draw, page
from agent.train.course import course_of

PARTS = ("exploitation", "frontier", "faults", "modules", "tampering")
PLANS, EPISODES = 80, 100
"""Plans of each kind of situation and cell; episodes at each scale of the margins."""


def main(options: argparse.Namespace) -> int:
    """Attack in one way, or in all; returns the exit code."""
    named = options.config in PARTS
    parts = (options.config,) if named else PARTS
    if named:
        options.config = options.overrides.pop(0) if options.overrides else None
    if options.config is None or "=" in options.config:
        raise InputError(
            f"redteam: expected a config, after one of {', '.join(PARTS)} if only one is wanted;"
            f" such as configs/reach.yaml"
        )
    if options.out is not None and options.out.suffix == ".svg" and "frontier" not in parts:
        raise InputError(
            f"redteam: expected a page as --out for {parts[0]}, of which nothing is drawn, came"
            f" {options.out}; name it {options.out.stem}.html, or attack with frontier"
        )
    found = configure(options)
    if not found.guardrails:
        raise InputError(f"redteam: {found.config.name} has no guardrails; add some to attack")
    tensors, about = checkpoint.load(checkpoints(options, found)[0])
    trials = trials_of(found.singles["world"].kind)
    seed = trials.EVALUATION_SEEDS if options.seed is None else options.seed
    told: Figures = {}
    for part in parts:
        say(f"{part}:")
        for name, one in ATTACKS[part](found, tensors, seed, options.episodes):
            told[name] = one
    written = {name: figure(*one) for name, one in told.items()}
    write_figures(options, found, [int(about["seed"])], written)
    if options.out is not None:
        drawing = options.out.suffix == ".svg"
        write_whole(options.out, draw(written) if drawing else page(found.config.name, written))
    return 0


Named = Iterator[tuple[str, Told]]


def _exploitation(found: Blueprint, tensors: Tensors, seed: int, plans: int | None) -> Named:
    promised = 1.0 - course_of(found).calibrate.rate
    world = found.world(situations.BATCH)
    try:
        some = situations.situations(found.assemble(tensors), world, plans or PLANS, seed)
        cells = exploitation.sweep(found, tensors, world, some, promised, exploitation.BUDGETS)
        for name, told in cells:
            shown = {k: told[k] for k in ("false_safe", "exceeded", "coverage", "refusals")}
            say(f"  {name:<14} " + "  ".join(f"{k} {_text(v)}" for k, v in shown.items()))
            yield from ((f"{k}.{name}", v) for k, v in told.items())
            if name.startswith("margin."):  # the last of them, at the largest budget, stands alone
                yield from told.items()
    finally:
        world.close()


def _frontier(found: Blueprint, tensors: Tensors, seed: int, episodes: int | None) -> Named:
    seeds, ticks = range(seed, seed + (episodes or EPISODES)), found.config.eval.ticks
    for name, told in frontier.frontier(found, tensors, seeds, ticks):
        say(f"  {name:<10} " + "  ".join(f"{k} {_text(v)}" for k, v in told.items()))
        yield from ((f"frontier.{name}.{k}", v) for k, v in told.items())
        if name == "x1":
            yield "task_loss", told["task_loss"]
    share = frontier.guardrail_share(found, tensors, seed)
    say(f"  guardrails take {_text(share)} of planning time")
    yield "guardrail_share", share


def _faults(found: Blueprint, tensors: Tensors, seed: int, _: int | None) -> Named:
    watch = harness.watched(found, tensors)
    slow = harness.watched(found, tensors, deadline=True)
    try:
        came = list(injection.inject(watch, slow, seed))
    finally:
        watch.world.close()
        slow.world.close()
    for fault, one in came:
        if one.unvalidated or one.uncaught or one.late:
            say(f"  {fault.family}: {fault.name}: {one.unvalidated} unvalidated, {one.uncaught}")
    told = injection.figures(came)
    names = ("faults", "unvalidated", "late", "uncaught")
    say("  " + ", ".join(f"{told[n].value:.0f} {n}" for n in names))
    yield from told.items()


def _modules(found: Blueprint, tensors: Tensors, seed: int, _: int | None) -> Named:
    came = []
    for one in modules.attacks(found, tensors, seed, modules.EPISODES, modules.TICKS):
        say(f"  {one.verdict:<10} {one.name}: {one.guarded.broken} ticks of violations"
            f" ({one.unguarded.broken} without guardrails); {one.said}")  # fmt: skip
        came.append(one)
    yield from modules.figures(came).items()


def _tampering(found: Blueprint, tensors: Tensors, seed: int, _: int | None) -> Named:
    came = []
    tall = LEVELS if found.assemble(tensors).tiers else []
    listed = [*vectors.RAILS, *RUNTIME, *BETWEEN, *tall, *disk.FILES, *AUDIT]
    for one in chain(tampering.attempt(found, tensors, listed), isolated(found, tensors)):
        say(f"  {one.verdict:<10} {one.vector.where}: {one.vector.name}: {one.how}")
        came.append(one)
    yield from tampering.figures(came).items()


ATTACKS = {
    "exploitation": _exploitation,
    "frontier": _frontier,
    "faults": _faults,
    "modules": _modules,
    "tampering": _tampering,
}


def _text(told: Told) -> str:
    if told.value is None:
        return "none"
    bounds = "" if told.low is None else f" [{told.low:.3g}, {told.high:.3g}]"
    return f"{told.value:.3g}{bounds}"
