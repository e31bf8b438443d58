"""`bench practice`: less thought with practice, and what thought and habit take."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agent.cli.common import Figure, checkpoints, configure, figure, say, write_figures
from agent.config.build import Blueprint, Mind, blueprint
from agent.core.errors import InputError
from agent.core.messages import Mode, Plan
from agent.evaluate.effort import Decide, efforts
from agent.evaluate.episodes import trials_of
from agent.evaluate.practice import Practised, course, practise
from agent.evaluate.statistics import mean, median, proportion
from agent.record import checkpoint
from agent.record.files import write_whole
from agent.report.recovery import Block, picture
from agent.train.asking import directives
from modules.actor.cem import CEM

GOALS, ROUNDS, ELSEWHERE, BACK = 2, 10, 6, 2
LIVES, CASES = 6, 20
LARGE = {"samples": 300, "iterations": 10, "elites": 30}
"""The search that others' planners make by default."""
SOME = 4
"""Rounds that the first and the last are."""
STRIDE = 1000
"""Seeds set aside for a life."""


def main(options: argparse.Namespace) -> int:
    """Lead lives, practising and always deliberating, and count; returns the exit code."""
    base = configure(options)
    if "lasting" not in type(base.singles["actor"].settings).model_fields:
        raise InputError(
            f"bench practice: expected an actor that practises, came '{base.config.actor['use']}';"
            f" use habit, as configs/lab/practice.yaml does"
        )
    first = trials_of(base.singles["world"].kind).EVALUATION_SEEDS
    first = first if options.seed is None else options.seed
    rounds = options.episodes or ROUNDS
    figures: dict[str, Figure] = {}
    led: dict[str, Practised] = {}
    paths = checkpoints(options, base)
    for kind, found in kinds(base).items():
        for index, path in enumerate(paths * (options.lives or LIVES)):
            tensors, _ = checkpoint.load(path)
            life = course(first + index * STRIDE, GOALS, rounds, ELSEWHERE, BACK)
            told = partial(_say, f"{kind}, life {index + 1}, {path.name}")
            one = practise(found.assemble(tensors), life, base.config.eval.ticks, told)
            led[kind] = led[kind] + one if kind in led else one
    figures |= lived(led, rounds)
    if options.out:
        write_whole(options.out, drawn(led, rounds))
    figures |= taken(base, paths[0], first)
    for name, shown in figures.items():
        say(f"  {name:<44} {_text(shown)}")
    write_figures(options, base, list(range(len(paths))), figures)
    return 0


def kinds(base: Blueprint) -> dict[str, Blueprint]:
    """Return the agents to compare: as it is, always deliberating, with its shipped skill."""
    changes: dict[str, dict[str, Any]] = {
        "practising": {},
        "always deliberating": {"patience": 0},
        "skilled": {"fresh": False, "lasting": False},
    }
    return {name: _with(base, base.config.actor | some) for name, some in changes.items()}


def lived(led: dict[str, Practised], rounds: int) -> dict[str, Figure]:
    """Return the figures of lives: by stretch, and over all episodes."""
    figures: dict[str, Figure] = {}
    for kind, lives in led.items():
        tag = kind.replace(" ", "_")
        for name, span in spans(rounds).items():
            cut = slice(*span)
            figures[f"{tag}.thought_{name}"] = _mean(lives.thought[:, cut])
            figures[f"{tag}.success_{name}"] = _share(lives.reached[:, cut])
        figures[f"{tag}.success"] = _share(lives.reached)
        figures[f"{tag}.harmed"] = _share(lives.harmed)
        figures[f"{tag}.ticks"] = _mean(lives.ticks)
    return figures


def spans(rounds: int) -> dict[str, tuple[int, int]]:
    """Return stretches of a life: first and last rounds of practised goals, others, those again."""
    end, some = GOALS * rounds, GOALS * min(SOME, rounds)
    away = end + ELSEWHERE
    back = away + BACK * GOALS
    first, last = (0, some), (end - some, end)
    return {"first": first, "last": last, "elsewhere": (end, away), "back": (away, back)}


def drawn(led: dict[str, Practised], rounds: int) -> str:
    """Return the picture: share of ticks thought, and goals reached, over a life."""
    end, found = GOALS * rounds, spans(rounds)
    edges = [*range(0, end, 2 * GOALS), end]
    cuts = [*pairwise(edges), found["elsewhere"], found["back"]]
    panels = {
        "share of ticks deliberated": {
            kind: [Block(a, b - 1, *mean(lives.thought[:, a:b])) for a, b in cuts]
            for kind, lives in led.items()
        },
        "goals reached": {
            kind: [
                Block(a, b - 1, *proportion(int(cut.sum()), cut.size))
                for a, b in cuts
                for cut in [lives.reached[:, a:b]]
            ]
            for kind, lives in led.items()
        },
    }
    return picture(panels, {end: "other goals", end + ELSEWHERE: "practised goals"})


def taken(base: Blueprint, path: Path, first: int) -> dict[str, Figure]:
    """Return what decisions take, from the first ticks of episodes from seed `first` on."""
    tensors, _ = checkpoint.load(path)
    actor = base.config.actor
    plain = {k: v for k, v in actor.items() if k in CEM.Config.model_fields} | {"use": "cem"}
    mind = _with(base, plain).assemble(tensors)
    large = _with(base, plain | LARGE).assemble(tensors)
    latents, goals = _cases(mind, first)
    policy = mind.actor.policy

    def network(case: int) -> Tensor:
        with torch.no_grad():
            command: Tensor = policy(latents[case], goals[case])[:, 0]
            return command

    deciders: dict[str, Decide] = {
        "policy": network,
        "mode1": _planned(mind, Mode.REACTIVE, latents, goals),
        "mode2": _planned(mind, Mode.DELIBERATE, latents, goals),
        "cem_300x10": _planned(large, Mode.DELIBERATE, latents, goals),
    }
    found = efforts(deciders, range(CASES))
    figures: dict[str, Figure] = {}
    for name, effort in found.items():
        figures[f"{name}.multiply_adds"] = figure(effort.multiply_adds)
        figures[f"{name}.ms"] = figure(*median(effort.ms), n=CASES, unit="ms")
    for quick in ("policy", "mode1"):
        for slow in ("mode2", "cem_300x10"):
            work = found[slow].multiply_adds / found[quick].multiply_adds
            ratios = np.array(found[slow].ms) / np.array(found[quick].ms)
            figures[f"{slow}_over_{quick}.multiply_adds"] = figure(work)
            figures[f"{slow}_over_{quick}.ms"] = figure(*median(ratios), n=CASES)
    return figures


def _cases(mind: Mind, first: int) -> tuple[list[Tensor], list[Tensor]]:
    """Return latents [1 Z] and goals [1 G] of the beginnings of episodes."""
    world = mind.blueprint.world(1)
    try:
        trials, latents, goals = trials_of(world), [], []
        for seed in range(first, first + CASES):
            with torch.no_grad():
                latents.append(mind.perception.encode(world.reset([seed]).values))
            goals.append(trials.tasks([seed]).goal)
    finally:
        world.close()
    return latents, goals


def _planned(mind: Mind, mode: Mode, latents: list[Tensor], goals: list[Tensor]) -> Decide:
    ask = directives(mind)

    def decide(case: int) -> Tensor:
        mind.actor.reset(1)
        asked = replace(ask(goals[case]), mode=torch.tensor([int(mode)]))
        made: Plan = mind.actor.plan(latents[case], asked)
        return made.actions[:, 0]

    return decide


def _with(base: Blueprint, actor: dict[str, Any]) -> Blueprint:
    return blueprint(base.config.model_copy(update={"actor": actor}))


def _say(name: str, text: str) -> None:
    say(f"  {name}: {text}")


def _share(cut: NDArray[Any]) -> Figure:
    return figure(*proportion(int(cut.sum()), cut.size), n=cut.size, unit="share")


def _mean(cut: NDArray[Any]) -> Figure:
    return figure(*mean(cut), n=cut.size)


def _text(one: Figure) -> str:
    bounds = "" if one["low"] is None else f"   [{one['low']:.4g}, {one['high']:.4g}]"
    return f"{one['value']:.4g}{bounds}"
