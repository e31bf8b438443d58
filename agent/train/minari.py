"""Experience recorded elsewhere: a Minari dataset, cut into episodes for a world of ours.

Source: Farama Foundation, Minari: observations [T+1 ...] and actions [T A] per episode.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.core.errors import InputError, nearest
from agent.core.spec import Layout
from agent.train.dataset import Dataset
from agent.train.given import Body, check

COLUMNS = re.compile(r"^(?P<key>[\w./]*)(?:\[(?P<low>\d+):(?P<high>\d+)\])?$")


def imported(
    name: str, body: Body, mapping: Mapping[str, str], rate_hz: float | None, ticks: int
) -> tuple[Dataset, int]:
    """Return Minari dataset `name` as experience of `body`, and how many ticks were left over.

    `mapping` says where each sensor and actuator is: `key`, `[low:high]` or `key[low:high]`, the
    key being a path (`a.b`) into observations or actions that are dictionaries. Actuators may be
    left out if the actions have as many columns as all of them. `rate_hz` is asked for because
    Minari does not record it. Episodes are cut into pieces of `ticks`; what is left is dropped.
    Raises InputError naming the dataset and what does not fit, episode and tick included.
    """
    who = f"dataset minari:{name}"
    if rate_hz is None or rate_hz != body.rate_hz:
        raise InputError(
            f"{who}: expected {body.rate_hz:g} ticks a second, came"
            f" {'no rate' if rate_hz is None else f'{rate_hz:g}'}; resample it to the world's rate,"
            f" then say rate_hz={body.rate_hz:g}"
        )
    known = (*body.sensors.names, *body.actuators.names)
    for said in mapping:
        if said not in known:
            raise InputError(f"{who}: the world has no '{said}'; {nearest(said, known)}")
    if not any(a in mapping for a in body.actuators.names):
        mapping = {**mapping, **_in_order(body.actuators)}
    values, commands, left = [], [], 0
    for episode in _loaded(name, who):
        here = f"{who}: episode {episode.id}"
        seen = _packed(episode.observations, body.sensors, mapping, here, "observations")
        told = _packed(episode.actions, body.actuators, mapping, here, "actions")
        if len(told) != len(seen) - 1 or not len(told):
            raise InputError(
                f"{here}: expected an action between any two of its {len(seen)} observations, came"
                f" {len(told)} actions; record actions too, one fewer than observations"
            )
        for start in range(0, len(told) - ticks + 1, ticks):
            values.append(seen[start : start + ticks + 1])
            commands.append(told[start : start + ticks])
        left += len(told) % ticks
    if not values:
        raise InputError(
            f"{who}: expected an episode of {ticks} or more ticks, came none; lower"
            f" train.explore.ticks"
        )
    whole, moves = (torch.from_numpy(np.stack(part)).float() for part in (values, commands))
    dataset = Dataset(whole, moves)
    check(dataset, body, who)
    return dataset, left


def _loaded(name: str, who: str) -> list[Any]:
    try:
        import minari
    except ImportError:
        raise InputError(
            "import: expected the package 'minari', found none; pip install -e '.[minari]'"
        ) from None
    try:
        return list(minari.load_dataset(name).iterate_episodes())
    except (FileNotFoundError, ValueError, KeyError) as fault:
        reason = " ".join(str(fault).split())
        raise InputError(
            f"{who}: expected a local dataset, came '{reason}'; get it with"
            f" `minari download {name}`"
        ) from None


def _in_order(layout: Layout) -> dict[str, str]:
    return {c.name: f"[{where.start}:{where.stop}]" for c, where in layout.slices()}


def _packed(
    source: Any, layout: Layout, mapping: Mapping[str, str], here: str, what: str
) -> NDArray[np.float64]:
    """Return the channels of `layout` [T n] out of an episode's observations or actions."""
    columns = []
    for channel in layout.channels:
        if channel.name not in mapping:
            raise InputError(
                f"{here}: '{channel.name}' is not mapped; say where it is in the {what}, such as"
                f" {channel.name}=[0:{channel.size}]"
            )
        said = mapping[channel.name]
        found = _column(source, said, f"{here}: {channel.name}={said}", what)
        if found.shape[1] != channel.size:
            raise InputError(
                f"{here}: {channel.name}={said}: expected {channel.size} columns, came"
                f" {found.shape[1]}; name as many as the world's sensor or actuator has"
            )
        columns.append(found)
    return np.concatenate(columns, axis=1)


def _column(source: Any, said: str, here: str, what: str) -> NDArray[np.float64]:
    match = COLUMNS.match(said)
    if match is None:
        raise InputError(f"{here}: expected KEY, [LOW:HIGH] or KEY[LOW:HIGH]; write it so")
    for key in filter(None, match["key"].split(".")):
        if not isinstance(source, Mapping) or key not in source:
            keys = ", ".join(source) if isinstance(source, Mapping) else "no keys"
            raise InputError(f"{here}: the {what} have no '{key}'; they have {keys}")
        source = source[key]
    if source is None or isinstance(source, Mapping | tuple):
        raise InputError(f"{here}: expected an array in the {what}, came {type(source).__name__}")
    array = np.asarray(source, dtype=np.float64)
    array = array.reshape(len(array), math.prod(array.shape[1:]))
    if match["low"] is None:
        return array
    return array[:, int(match["low"]) : int(match["high"])]
