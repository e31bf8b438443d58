"""Datasets that are given, not explored: files that say whose sensors they hold, checked."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from agent.core.errors import InputError
from agent.core.spec import Layout
from agent.train.dataset import HELD_OUT, Dataset

BODY = "body"
"""Key of the file's metadata under which the body is described, as JSON, or in its `about`."""


class Body(Protocol):
    """Whose experience it is: what a world and its class have."""

    sensors: Layout
    actuators: Layout
    rate_hz: float


def described(body: Body) -> dict[str, Any]:
    """Return sensors and actuators by name, size and unit, and the rate: what a file carries."""
    return {
        "sensors": [[c.name, c.size, c.unit] for c in body.sensors.channels],
        "actuators": [[c.name, c.size, c.unit] for c in body.actuators.channels],
        "rate_hz": float(body.rate_hz),
    }


def keep(dataset: Dataset, path: Path, body: Body) -> None:
    """Write a dataset with its body's description, as safetensors, whole or not at all."""
    part = path.with_suffix(path.suffix + ".part")
    tensors = {name: value.contiguous() for name, value in dataset.tensors().items()}
    save_file(tensors, part, {BODY: json.dumps(described(body))})
    os.replace(part, path)


def given(path: Path, body: Body, at_least: int = 1) -> Dataset:
    """Return the dataset in `path`, if it is whole and `body`'s own.

    `at_least` is the length in ticks that training needs. Raises InputError naming the file and
    what does not fit: sensors, actuators or rate of another world, missing commands, a value that
    is not finite (with sensor, episode and tick), commands out of limits, too little of it.
    """
    who = f"dataset {path}"
    tensors, about = _read(path, who)
    _same_body(about, described(body), who)
    for name, what in (("values", "sensors"), ("commands", "commands (actions)")):
        if name not in tensors:
            raise InputError(
                f"{who}: expected a tensor '{name}' with the {what} of every tick, came"
                f" {', '.join(sorted(tensors)) or 'none'}; record them, and import it again"
            )
    dataset = Dataset.from_tensors(tensors)
    check(dataset, body, who, at_least)
    return dataset


def check(dataset: Dataset, body: Body, who: str, at_least: int = 1) -> None:
    """Raise InputError, in the name of `who`, if a dataset is not fit to be learned from."""
    values, commands = dataset.values, dataset.commands
    episodes, ticks = (*commands.shape, 0, 0)[:2]
    wanted = [episodes, ticks + 1, body.sensors.size], [episodes, ticks, body.actuators.size]
    if [list(values.shape), list(commands.shape)] != list(wanted):
        raise InputError(
            f"{who}: expected sensors {wanted[0]} (one tick more than commands) and commands"
            f" {wanted[1]}, came {list(values.shape)} and {list(commands.shape)}; import it again"
            f" (a training's own states hold no images)"
        )
    ends = dataset.ends()
    whole = list(ends.shape) == [episodes] and ends.dtype == torch.int64
    if not whole or bool(((ends < 0) | (ends > ticks)).any()):
        came = f"{int(ends.min())} to {int(ends.max())}" if whole else f"{list(ends.shape)}"
        raise InputError(
            f"{who}: expected 'lived' to be whole numbers from 0 to {ticks}, one for each of"
            f" {episodes} episodes, came {came} in {ends.dtype}; import it again"
        )
    if ticks < at_least or episodes < HELD_OUT:
        raise InputError(
            f"{who}: expected {HELD_OUT} or more episodes of {at_least} or more ticks, came"
            f" {episodes} of {ticks}; record more, or lower the horizons under 'train'"
        )
    _finite(values, body.sensors, "sensor", who)
    _finite(commands, body.actuators, "command", who)
    low, high = body.actuators.bounds()
    outside = ((commands < low) | (commands > high)).nonzero()
    if len(outside):
        episode, tick, column = outside[0].tolist()
        raise InputError(
            f"{who}: episode {episode}, tick {tick}: expected a {_name(body.actuators, column)}"
            f" within [{low[column]:g}, {high[column]:g}], came"
            f" {commands[episode, tick, column]:g}; convert it to the actuator's unit"
        )


def _read(path: Path, who: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not path.is_file():
        raise InputError(
            f"{who}: expected a file, found none; write one with `python run_agent.py import`"
        )
    try:
        with safe_open(path, framework="pt") as file:
            stored = file.metadata() or {}
            kept = json.loads(stored.get("about", "{}")).get(BODY, {})  # of a training's own states
            about = json.loads(stored[BODY]) if BODY in stored else kept
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118
    except (SafetensorError, json.JSONDecodeError) as fault:
        raise InputError(
            f"{who}: expected a safetensors file, came '{fault}'; import it again"
        ) from None


def _same_body(came: dict[str, Any], wanted: dict[str, Any], who: str) -> None:
    """Raise InputError at the first thing in which the bodies differ."""
    if not came:
        raise InputError(
            f"{who}: expected a description of the body in its metadata, came none;"
            f" write it with `python run_agent.py import`"
        )
    for kind in ("sensors", "actuators"):
        theirs = {c[0]: c[1:] for c in came.get(kind, [])}
        ours = {c[0]: c[1:] for c in wanted[kind]}
        for name in [*ours, *theirs]:
            if theirs.get(name) != ours.get(name):
                raise InputError(
                    f"{who}: {kind[:-1]} '{name}': the world has {_sized(ours.get(name))}, the"
                    f" dataset {_sized(theirs.get(name))}; use a dataset of this world, or name the"
                    f" world it is of"
                )
        if list(theirs) != list(ours):
            raise InputError(
                f"{who}: expected the {kind} in the order {', '.join(ours)}, came"
                f" {', '.join(theirs)}; import it again"
            )
    if came.get("rate_hz") != wanted["rate_hz"]:
        raise InputError(
            f"{who}: expected {wanted['rate_hz']:g} ticks a second, came {came.get('rate_hz')};"
            f" resample it to the world's rate"
        )


def _sized(found: list[Any] | None) -> str:
    return "none" if found is None else f"{found[0]} in {found[1]}"


def _finite(values: Tensor, layout: Layout, what: str, who: str) -> None:
    broken = (~torch.isfinite(values)).nonzero()
    if len(broken):
        episode, tick, column = broken[0].tolist()
        raise InputError(
            f"{who}: episode {episode}, tick {tick}: expected a finite {what}"
            f" '{_name(layout, column)}', came {values[episode, tick, column]:g}"
            f" ({len(broken)} such values); drop or repair these episodes"
        )


def _name(layout: Layout, column: int) -> str:
    for channel, where in layout.slices():
        if where.start <= column < where.stop:
            return channel.name
    raise AssertionError(column)
