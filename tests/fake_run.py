"""A made-up run: random messages of every kind, shaped by their own specs, from a seed."""

from __future__ import annotations

import dataclasses
import math
import time
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agent.core.considered import Fan, Rival
from agent.core.loop import Tick
from agent.core.messages import Message
from agent.core.risk import Risk
from agent.core.spec import Spec, specs_of

SIZES = {"B": 1, "O": 8, "S": 5, "Z": 6, "G": 2, "T": 3, "R": 2, "N": 4, "H": 5, "A": 2, "F": 7}
HEADER: dict[str, Any] = {
    "config": "world: {use: reach}\nactor: {use: cem} # <b>&amp;</b>\n",
    "config_hash": "c0ffee" * 10,
    "seal": "5ea1" * 16,
    "seeds": [7],
    "goal": [[0.3, 0.2]],
    "layouts": {
        "sensors": [
            ["joint_angle", 2, "rad"],
            ["joint_speed", 2, "rad/s"],
            ["fingertip", 2, "m"],
            ["proximity", 1, "m"],
            ["impact", 1, "N"],
        ],
        "actuators": [["joint_velocity", 2, "rad/s"]],
        "goal": [["fingertip", 2, "m"]],
    },
    "terms": ["distance", "effort", "anticipation"],
    "guardrails": [
        {"name": "clear", "limit": "proximity >= 0.02 m"},
        {"name": "speed", "limit": "|joint_speed| <= 2 rad/s"},
    ],
    "rate_hz": 20.0,
    "machine": {"cores": 2},
    "versions": {"torch": torch.__version__},
    "checkpoint": "abcd",
}
CARD: dict[str, Any] = {
    "success": {"value": 1.0, "low": 0.2, "high": 1.0, "n": 1},
    "energy": {"distance": 0.3, "effort": 0.02},
    "verdicts": {"allowed": 30, "repaired": 6, "vetoed": 4},
    "refused_shortcuts": 12,
    "deadline_misses": 0,
    "contacts": 0,
    "speeding": 0,
    "ticks": 40,
    "baselines": {
        "random": {"value": 0.02, "low": 0.0, "high": 0.07, "n": 60, "contacts": 412},
        "oracle": {"value": 0.97, "low": 0.9, "high": 1.0, "n": 60, "contacts": 0},
    },
    "seeds": [7],
    "paths": {"folder": "runs/x", "report": "r.html", "video": None, "video_note": "no GL"},
    "tick_ms_p50": 12.1,
    "tick_ms_p99": 19.4,
}


def values(spec: Spec, rng: torch.Generator, sizes: dict[str, int], special: bool) -> Tensor:
    """Return a random tensor that keeps `spec`; `special` mixes in NaN, infinities, -0."""
    shape = [a if isinstance(a, int) else sizes[a] for a in spec.axes]
    if spec.dtype == "bool":
        return torch.rand(shape, generator=rng) < 0.5
    if spec.dtype == "int64":
        return torch.randint(0, 2, shape, generator=rng)
    drawn = torch.randn(shape, generator=rng)
    drawn = drawn.abs() if spec.low == 0.0 else drawn
    if special:
        odd = torch.tensor([math.nan, math.inf, -math.inf, -0.0, 1e-45, 3.4028235e38])
        which = torch.randint(0, 12, shape, generator=rng)
        drawn = torch.where(which < 6, odd[which.clamp(max=5)], drawn)
    return drawn


def message(
    kind: type,
    rng: torch.Generator,
    sizes: dict[str, int] | None = None,
    special: bool = False,
    levels: int = 1,
) -> Any:
    """Return a random message of `kind`; a plan follows so many of `levels` above."""
    given = {n: values(s, rng, SIZES | (sizes or {}), special) for n, s in specs_of(kind).items()}
    names = {f.name for f in dataclasses.fields(kind)}
    extras = {
        "horizon": 5,
        "budget_ms": math.inf,
        "risk": Risk("cvar", 0.25),
        "evaluations": 64,
        "elapsed_ms": 1.5,
        "iterations": 3,
        "reasons": ("clear; fallback",),
    }
    if "rival" in names:
        extras["rival"] = message(Rival, rng, sizes, special)
        extras["fan"] = message(Fan, rng, sizes, special)
        extras["above"] = message(kind, rng, sizes, special, levels - 1) if levels else None
    return kind(**given, **{n: v for n, v in extras.items() if n in names})


def ticks(count: int = 40, seed: int = 0) -> Iterator[Tick]:
    """Yield random ticks; module times included, a fault at tick 7."""
    rng = torch.Generator().manual_seed(seed)
    kinds = typing.get_args(Message)
    for index in range(count):
        said = {kind: message(kind, rng) for kind in kinds}
        faults = ("memory: ValueError: nothing there",) if index == 7 else ()
        yield Tick(index, said, {"perception": 0.2, "actor": 9.0 + index / 10}, faults)


def same(one: Any, other: Any) -> bool:
    """Say whether two messages are equal bit for bit (any NaN equals any NaN)."""
    if type(one) is not type(other):
        return False
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, Tensor):
            if a.dtype != b.dtype or a.shape != b.shape:
                return False
            if a.dtype == torch.float32:
                a = torch.where(a.isnan(), 0x7FC00000, a.view(torch.int32))
                b = torch.where(b.isnan(), 0x7FC00000, b.view(torch.int32))
            if not torch.equal(a, b):
                return False
        elif dataclasses.is_dataclass(a):
            if not same(a, b):
                return False
        elif a != b:
            return False
    return True


def until_written(folder: Path, count: int) -> None:
    """Wait until a recorder has put so many ticks on disk, for half a minute at most."""
    end = time.monotonic() + 30
    while (folder / "metrics.jsonl").read_bytes().count(b"\n") < count and time.monotonic() < end:
        time.sleep(0.02)
