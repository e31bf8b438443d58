"""The scoreboard: every contestant in every world, on the same episodes, from 0 to 100.

0 is random commands, 100 the same agent with the true simulator in its world model's place.
Source: Agarwal et al. (2021), Deep RL at the edge of the statistical precipice, for what is told.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agent.config import schema
from agent.config.build import Blueprint, blueprint
from agent.config.schema import AgentConfig
from agent.core.errors import InputError
from agent.evaluate.baselines import commanded, random_policy
from agent.evaluate.episodes import Outcome, referable, trials_of
from agent.evaluate.sac import Sac
from agent.evaluate.statistics import scored
from agent.evaluate.workers import Job, live_through
from agent.record import checkpoint
from agent.record.files import keep, recalled
from worlds.environments import REGISTERED

OURS, REACTIVE, RANDOM, ORACLE, SAC = "ours", "mode1", "random", "oracle", "sac"
CONFIGS = Path("configs")
ELSEWHERE = {
    "rooms": "lab/rooms-hierarchical.yaml",
    "rooms_pixels": "lab/rooms-pixels-hierarchical.yaml",
}
"""Worlds whose agent with weights is another than the plain one."""

HOUSE = ("agent", "modules", "worlds")
"""Packages of ours: what a part of theirs does is no part of what tells kept runs apart."""

Run = dict[str, float | None]
"""A contestant over some `episodes`: `value`, the mean return where the world has `paid` (1 or 0),
else the share of goals reached; `broken`, contacts and speeding a tick, which can be both, None if
the world counts none; `trained_s` and `steps` of training, where they are known: seconds of
wall-clock, or of the processor where weights know them, since trainings of ours have shared
machines."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A contestant in a world from one training seed; `weights` are the agent's, if it has any.

    Baselines that learn are measured after so many `minutes` of it, each mark a run.
    """

    config: AgentConfig
    who: str
    seed: int
    episodes: tuple[int, ...]
    weights: Path | None = None
    minutes: tuple[float, ...] = ()


def suite() -> dict[str, Path | None]:
    """Return all worlds of ours that are acted in, with the config of each that has one."""
    names = {w: w.replace("_", "-") for w in REGISTERED}
    paths = {n: CONFIGS / ELSEWHERE.get(w, f"{n}.yaml") for w, n in names.items()}
    return {name: path if path.is_file() else None for name, path in paths.items()}


def cells(config: AgentConfig, seeds: int, count: int, minutes: Sequence[float]) -> list[Cell]:
    """Return what there is to measure: everyone, from every training seed, on `count` episodes.

    The episodes of a training seed are its own, and the same for all contestants. Who needs weights
    that are not there is left out. Raises InputError for an agent that only watches.
    """
    found = blueprint(config)
    if not found.wants:
        raise InputError(
            f"scoreboard: expected a config with a goal or terms, came {config.name}, which only"
            f" watches; use `python run_agent.py voe CONFIG`"
        )
    first, made = trials_of(found.singles["world"].kind).EVALUATION_SEEDS, []
    sensors = found.singles["world"].kind.sensors
    for seed in range(seeds):
        own = tuple(range(first + seed * count, first + (seed + 1) * count))
        made.append(Cell(config, RANDOM, seed, own))
        weights = weights_of(config, seed)
        if weights is not None:
            made += [Cell(c, who, seed, own, weights) for who, c in _agents(found).items()]
            if config.eval.oracle_episodes:
                referable(found)
                some = own[: config.eval.oracle_episodes]
                made.append(Cell(config, ORACLE, seed, some, weights))
        if minutes and sensors == sensors.scalars:
            made.append(Cell(config, SAC, seed, own, minutes=tuple(minutes)))
    return made


def _agents(found: Blueprint) -> dict[str, AgentConfig]:
    """Return the agent as configured, and where it has a policy, reacting with that alone."""
    config, agents = found.config, {OURS: found.config}
    able = hasattr(found.singles["configurator"].settings, "mode")
    if able and hasattr(found.singles["actor"].settings, "policy"):
        reactive = {**config.configurator, "mode": 1}
        agents[REACTIVE] = config.model_copy(update={"configurator": reactive})
    return agents


def weights_of(config: AgentConfig, seed: int) -> Path | None:
    """Return the checkpoint of a training seed, named as `train` names it; None if not there."""
    name = config.checkpoint.replace("seed0", f"seed{seed}")
    path = Path(name)
    return path if path.is_file() and (seed == 0 or name != config.checkpoint) else None


def measure(
    cell: Cell, folder: Path, live: bool = True, about: Mapping[str, Any] | None = None
) -> dict[str, Run]:
    """Return the runs of a cell by contestant: `sac15` after 15 minutes.

    They are kept in `folder`, with what else is told `about` their making, and found again there.
    Marks of a learner add up: one that is missing takes a training, the others stay.
    Not to `live` is to return only what is kept: nothing where nothing is.
    """
    torch.set_num_threads(1)
    known = {} if cell.weights is None else checkpoint.load(cell.weights)[1]
    path, key = folder / f"{cell.config.name}-{cell.who}-seed{cell.seed}.json", _key(cell, known)
    asked = {_mark(minutes) for minutes in cell.minutes}
    runs: dict[str, Run] = recalled(path, key) or {}
    if live and not (runs and asked <= set(runs)):
        runs |= _measured(cell, known.get("figures", {}))
        keep(path, key, runs, about)
    return {who: run for who, run in runs.items() if who in asked or not asked}


def _key(cell: Cell, about: Mapping[str, Any]) -> str:
    """Return what tells a cell's runs from those of other weights, episodes, configs or worlds.

    Of learners, whatever marks they were measured at.
    """
    return schema.config_hash(
        {
            "config": _told(cell),
            "code": _code(cell.config),
            "weights": about.get("sha256"),
            "told": [cell.who, cell.seed, cell.episodes],
        }
    )


def _code(config: AgentConfig) -> str:
    """Return a digest of the files that runs of a config hang on: another start is another world.

    They are those of its world's folder, of what scores it, and of every part that is not ours. A
    world of others' making offers `stamp()`, bytes that tell what it is made of.
    """
    found = blueprint(config)
    kind, trials = found.singles["world"].kind, trials_of(found.singles["world"].kind)
    folder = _file(kind).parent
    parts = [*found.singles.values(), *found.terms, *found.guardrails]
    others = {_file(c.kind) for c in parts if c.kind.__module__.split(".")[0] not in HOUSE}
    scorer = _file(trials if inspect.ismodule(trials) else type(trials))
    here = [*folder.glob("*.py"), *folder.glob("*.xml")]
    digest = hashlib.sha256()
    for path in [*sorted(here), *sorted({*others, scorer} - {*here})]:
        digest.update(path.read_bytes())
    if hasattr(kind, "stamp"):
        digest.update(kind.stamp())
    return digest.hexdigest()


def _file(thing: Any) -> Path:
    """Return the file of a module or a class, or of the class of anything else."""
    told = inspect.ismodule(thing) or inspect.isclass(thing)
    return Path(inspect.getfile(thing if told else type(thing)))


def _mark(minutes: float) -> str:
    return f"{SAC}{minutes:g}".replace(".", "_")


def _told(cell: Cell) -> dict[str, Any]:
    """Return what of its config a run depends on: of baselines', no more than what is asked."""
    whole = blueprint(cell.config).resolved()
    asked = {"ticks": cell.config.eval.ticks, **{n: whole[n] for n in ("world", "goal")}}
    if cell.weights is None:
        return asked
    return asked | {n: v for n, v in whole.items() if n not in ("run", "train", "eval")}


def _measured(cell: Cell, figures: Mapping[str, float]) -> dict[str, Run]:
    if cell.who == SAC:
        return _learning(cell)
    if cell.weights is not None:
        job = Job(cell.config, cell.weights, cell.episodes, cell.who == ORACLE)
        taken: Run = {"trained_s": figures.get("train_cpu_s", figures.get("train_s"))}
        return {cell.who: _run(live_through(job)) | taken}
    world = blueprint(cell.config).world(len(cell.episodes))
    try:
        return {cell.who: _run(random_policy(world, cell.episodes, cell.config.eval.ticks))}
    finally:
        world.close()


def _learning(cell: Cell) -> dict[str, Run]:
    """Return runs of SAC at every mark of one training; measuring takes none of its time."""
    found, runs = blueprint(cell.config), {}
    learner = Sac(found, cell.seed)
    world = found.world(len(cell.episodes))
    try:
        for minutes in cell.minutes:
            learner.learn(60 * minutes)
            lived = commanded(world, cell.episodes, cell.config.eval.ticks, learner)
            learned: Run = {"trained_s": learner.spent_s, "steps": float(learner.steps)}
            runs[_mark(minutes)] = _run(lived) | learned
    finally:
        world.close()
        learner.close()
    return runs


def _run(outcome: Outcome) -> Run:
    paid = outcome.more.get("return")
    broken = float((outcome.contacts + outcome.speeding).sum()) / outcome.ticks
    return {
        "value": float(np.mean(outcome.reached if paid is None else paid)),
        "broken": broken if outcome.counted else None,
        "paid": float(paid is not None),
        "episodes": float(len(outcome.reached)),
    }


def normalised(runs: Mapping[str, Sequence[Run]]) -> dict[str, list[float]]:
    """Return the scores of one world's runs, 0 the random mean, 100 the true simulator's.

    Empty where one of the two is missing, or where the true simulator is no better than chance.
    """
    values = {who: [float(run["value"] or 0.0) for run in some] for who, some in runs.items()}
    if not (values.get(RANDOM) and values.get(ORACLE)):
        return {}
    low, high = float(np.mean(values[RANDOM])), float(np.mean(values[ORACLE]))
    if high <= low:
        return {}
    return {who: [scored(v, low, high) for v in some] for who, some in values.items()}


__all__ = ["Cell", "Run", "cells", "measure", "normalised", "suite", "weights_of"]
