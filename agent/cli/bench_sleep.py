"""`bench sleep`: the same waking life, slept on and not, whole and part by part."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.cli.common import Figure, figure, say, write_figures
from agent.config import schema
from agent.config.build import Blueprint, Mind, Tensors, blueprint
from agent.config.schema import SleepConfig
from agent.core.errors import InputError
from agent.core.replay import Replay
from agent.evaluate.episodes import trials_of
from agent.evaluate.lives import Lives, Phase, lived
from agent.evaluate.statistics import Interval, mean, proportion
from agent.record import checkpoint
from agent.record.files import write_whole
from agent.report.slept import picture
from agent.train.sleep import foresight, sleep

WAKING, TESTS, NIGHTS = 8, 6, 2
NONE = {"world_model": False, "critic": False, "actor": False, "memory": False}
ALL = dict.fromkeys(NONE, True)
ARMS: dict[str, dict[str, bool]] = {
    "awake": NONE,
    "slept": ALL,
    "world_model": NONE | {"world_model": True},
    "critic": NONE | {"critic": True},
    "actor": NONE | {"actor": True},
    "keeping": ALL | {"memory": False},
}
"""What sleep does: nothing, everything, one part alone, everything without forgetting."""
REACTING = ("awake", "slept", "actor")
"""Those who live the tests by their policy alone, too."""
MODE1 = "configurator.mode=1"


@dataclass(frozen=True, slots=True)
class Tested:
    """Test episodes of one arm: lived as configured, and by the policy alone; what was foreseen.

    `far` is the rms error of latents over the planning horizon in these episodes, `old` that of
    one tick in the world of training, `kept` the share of ticks that memory still holds.
    """

    lives: list[Lives]
    reacted: list[Lives]
    far: list[float]
    old: list[float]
    kept: list[float]
    nights: list[dict[str, float]]


def main(options: argparse.Namespace) -> int:
    """Live, sleep, and count; returns the exit code."""
    torch.set_num_threads(1)
    path, own = Path(options.config), [o for o in options.overrides if not o.startswith("world.")]
    changes = [o for o in options.overrides if o.startswith("world.")]
    known = blueprint(schema.load(path, own))
    if not changes or known.config.sleep is None:
        raise InputError(
            "bench sleep: expected an agent that sleeps and what changes in its world, came"
            f" {'no change' if not changes else 'none that sleeps'}; such as"
            " configs/reach-sleeping.yaml world.gain_scale=0.5"
        )
    first = trials_of(known.singles["world"].kind).EVALUATION_SEEDS
    first = first if options.seed is None else options.seed
    paths = options.checkpoint or [Path(p) for p in known.config.eval.checkpoints]
    paths = paths or [Path(known.config.checkpoint)]
    count = options.episodes or TESTS
    figures: dict[str, Figure] = {}
    drawn: dict[str, dict[str, Tested]] = {}
    for change in changes:
        done = {name: Tested([], [], [], [], [], []) for name in ("before", *ARMS)}
        for index, weights in enumerate(paths):
            tensors, _ = checkpoint.load(weights)
            seed = first + index * (WAKING + count)
            _cell(path, own, change, tensors, seed, count, done)
            say(f"  {change}, {weights.name}: lived, slept on and tested")
        label = change.removeprefix("world.")
        drawn[label] = done
        figures |= {f"{label}.{name}": one for name, one in _figures(done).items()}
    for name, one in figures.items():
        say(f"  {name:<56} {_text(one)}")
    if options.out:
        write_whole(options.out, _picture(drawn))
        say(f"wrote {options.out}")
    write_figures(options, known, list(range(len(paths))), figures)
    return 0


def _cell(
    path: Path, own: list[str], change: str, tensors: Tensors, seed: int, count: int,
    done: dict[str, Tested],
) -> None:  # fmt: skip
    """Live `WAKING` episodes of the changed world, and test what each kind of sleep makes of it."""
    old, new = (blueprint(schema.load(path, [*own, *c])) for c in ([], [change]))
    ticks, start = new.config.eval.ticks, seed + WAKING

    def tested(name: str, where: list[str], mind: Mind, familiar: Replay | None) -> Replay:
        """Test `mind`, which goes on as it is; return the pieces of these episodes."""
        pieces: list[Replay] = []
        kinds = ([], [MODE1]) if name in REACTING else ([],)
        for reacts, column in zip(kinds, (done[name].lives, done[name].reacted), strict=False):
            plans = _settled(path, [*own, *where, *reacts])
            woken = _woken(plans, mind)
            column.append(lived(woken, [Phase("", plans, count)], start, 1, ticks))
            pieces.append(woken.memory.replay(_horizon(woken)))
        done[name].far.append(foresight(mind.world_model, pieces[0]))
        if familiar is not None:
            done[name].old.append(foresight(mind.world_model, familiar))
        return pieces[0]

    familiar = _ticks(tested("before", [], old.assemble(tensors), None))
    awake = new.assemble(tensors)
    lived(awake, [Phase("", new, WAKING)], seed, 1, ticks)
    for name, parts in ARMS.items():
        mind = _again(new, tensors, awake)
        asked = SleepConfig(**(_rest(new) | parts))
        nights = [sleep(mind, asked, night) for night in range(NIGHTS * any(parts.values()))]
        for night in nights:
            done[name].nights.append(night.figures)
        stored = len(awake.memory.life.number)
        done[name].kept.append(len(mind.memory.life.number) / stored)
        tested(name, [change], mind, familiar)


def _rest(new: Blueprint) -> dict[str, Any]:
    assert new.config.sleep is not None
    return new.config.sleep.model_dump()


def _again(new: Blueprint, tensors: Tensors, awake: Mind) -> Mind:
    """Return a mind as it was born, with the memories and lessons of `awake`, not practised."""
    mind = new.assemble(tensors)
    awake.memory.replay(1)
    mind.memory.life = awake.memory.life
    awake.actor.reset(1)
    if lessons := awake.actor.practice.lessons:
        mind.actor.practice.learn(*lessons)
    return mind


def _settled(path: Path, overrides: list[str]) -> Blueprint:
    """Return the agent that lives what it has become, and learns no more."""
    found = blueprint(schema.load(path, overrides))
    settled = found.config.actor | {"lasting": False}
    return blueprint(found.config.model_copy(update={"actor": settled}))


def _woken(plans: Blueprint, mind: Mind) -> Mind:
    """Return `mind`, built anew by `plans`, with the skill and under the margins it has now."""
    skill = mind.actor.practice.policy.state_dict()
    woken = plans.assemble(mind.tensors() | {f"actor.policy.{k}": v for k, v in skill.items()})
    rails = mind.guardrails
    if len(rails):
        ticks = max(_horizon(mind), rails.calibrated)
        woken.guardrails.widen(rails.margins(ticks) - rails.sealed_margins(ticks))
    return woken


def _horizon(mind: Mind) -> int:
    ticks: int = mind.configurator.config.horizon
    return ticks


def _ticks(pieces: Replay) -> Replay:
    """Return the first tick of every piece."""
    return replace(
        pieces, latents=pieces.latents[:, :2], commands=pieces.commands[:, :1],
        energies=pieces.energies[:, :1], surprises=pieces.surprises[:, :1],
    )  # fmt: skip


def _figures(done: dict[str, Tested]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for name, one in done.items():
        columns = _columns(one)
        for what, cut in columns.items():
            figures[f"{name}.{what}"] = _shown(cut)
        if name not in ("before", "awake"):
            than = _columns(done["awake"])
            for what in ("success", "error", "energy", "ticks"):
                gap = columns[what].astype(float) - than[what].astype(float)
                figures[f"{name}-awake.{what}"] = _mean(gap)
        if name != "before":
            figures[f"{name}.error_old"] = _mean(np.array(one.old))
            figures[f"{name}.kept"] = _mean(np.array(one.kept))
        figures[f"{name}.error_horizon"] = _mean(np.array(one.far))
        for what in sorted({k for night in one.nights for k in night}):
            told = np.array([night[what] for night in one.nights if what in night])
            figures[f"{name}.sleep.{what}"] = _mean(told)
    return figures


def _columns(one: Tested) -> dict[str, NDArray[Any]]:
    """Return what is measured in each test episode, by name."""

    def all_of(lives: list[Lives], name: str) -> NDArray[Any]:
        return np.concatenate([getattr(life, name).ravel() for life in lives])

    names = {"success": "reached", "harmed": "harmed", "error": "error", "energy": "energy",
             "ticks": "ticks", "critic_error": "doubt", "thought": "thought"}  # fmt: skip
    found = {name: all_of(one.lives, own) for name, own in names.items()}
    if one.reacted:
        found |= {f"mode1.{n}": all_of(one.reacted, names[n]) for n in ("success", "harmed")}
    return found


def _picture(drawn: dict[str, dict[str, Tested]]) -> str:
    panels: dict[str, Callable[[Tested], Interval]] = {
        "goals reached": lambda one: _interval(_columns(one)["success"]),
        "rms error of a forecast": lambda one: _interval(_columns(one)["error"]),
        "energy of an episode": lambda one: _interval(_columns(one)["energy"]),
    }
    told = {
        title: {label: {n: of(one) for n, one in arms.items()} for label, arms in drawn.items()}
        for title, of in panels.items()
    }
    return picture(told)


def _interval(cut: NDArray[Any]) -> Interval:
    if cut.dtype == np.bool_:
        return proportion(int(cut.sum()), cut.size)
    return mean(cut)


def _shown(cut: NDArray[Any]) -> Figure:
    return figure(*_interval(cut), n=cut.size, unit="share" if cut.dtype == np.bool_ else "")


def _mean(sample: NDArray[Any]) -> Figure:
    return figure(*mean(sample), n=sample.size)


def _text(one: Figure) -> str:
    bounds = "" if one["low"] is None else f"   [{one['low']:.4g}, {one['high']:.4g}]"
    return f"{one['value']:.4g}{bounds}   n = {one['n']}"
