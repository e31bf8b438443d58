"""The bookkeeping of long stages: progress, and going on where an interrupted one stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from agent.core.errors import InputError

Figures = dict[str, float]
State = dict[str, Tensor]


class Resumable(Protocol):
    """What `torch.nn.Module` offers a stage."""

    def state_dict(self) -> dict[str, Any]:
        """Return all tensors by name."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> Any:
        """Take back what `state_dict` gave."""
        ...


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where stages report to and keep their state; the caller decides what that means on disk.

    `log(stage, step, total, figures)` reports progress. `save(name, tensors, figures)` keeps a
    state and `load(name)` returns the last one kept under that name, or None. States of running
    stages are kept every `every_s` seconds. `say(line)` tells the user what needs attention. Files
    too large for a state lie in `folder`; without one they stay in memory.
    """

    log: Callable[[str, int, int, Figures], None]
    save: Callable[[str, State, Figures], None]
    load: Callable[[str], tuple[State, Figures] | None]
    every_s: float = 20.0
    say: Callable[[str], None] = lambda _: None
    folder: Path | None = None


def silent() -> Ledger:
    """Return a ledger that forgets everything."""
    return Ledger(lambda *_: None, lambda *_: None, lambda _: None)


def descend(
    stage: str,
    steps: int,
    step: Callable[[int], Figures],
    part: Resumable,
    optimiser: torch.optim.Optimizer,
    ledger: Ledger,
    log_every: int = 100,
) -> None:
    """Call `step(i)` for i below `steps`, resuming where the ledger's state of `stage` ends.

    `part` holds every tensor that training changes. If `step` is a function of i and of that state,
    an interrupted and resumed stage ends bit-equal to an uninterrupted one.

    Raises InputError if training diverges: a figure, or a weight about to be kept, is not finite.
    What was kept before stays.
    """
    done = 0
    kept = ledger.load(stage)
    if kept is not None:
        done = _restore(kept, part, optimiser)
    saved = time.monotonic()
    for index in range(done, steps):
        figures = step(index)
        _check_finite(stage, index, figures)
        last = index == steps - 1
        if last or index % log_every == 0:
            ledger.log(stage, index + 1, steps, figures)
        if last or time.monotonic() - saved >= ledger.every_s:
            state = _snapshot(part, optimiser)
            broken = (k.partition(".")[2] for k, v in state.items() if not v.isfinite().all())
            _check_finite(stage, index, dict.fromkeys(broken, math.nan))
            ledger.save(stage, state, {"done": float(index + 1)})
            saved = time.monotonic()


def _check_finite(stage: str, index: int, figures: Figures) -> None:
    for name, value in figures.items():
        if not math.isfinite(value):
            raise InputError(
                f"{stage}: expected a finite {name} at step {index}, came {value}: training"
                f" diverged; lower its rate, or the weight of what grew (the last good state stays)"
            )


def _snapshot(part: Resumable, optimiser: torch.optim.Optimizer) -> State:
    state = {f"part.{name}": value.detach().clone() for name, value in part.state_dict().items()}
    for index, slots in optimiser.state_dict()["state"].items():
        for name, value in slots.items():
            state[f"optimiser.{index}.{name}"] = value.detach().clone()
    return state


def _restore(kept: tuple[State, Figures], part: Resumable, optimiser: torch.optim.Optimizer) -> int:
    tensors, figures = kept
    part.load_state_dict(
        {k.removeprefix("part."): v for k, v in tensors.items() if k.startswith("part.")}
    )
    whole = optimiser.state_dict()
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, index, name = key.split(".", 2)
            slots.setdefault(int(index), {})[name] = value.clone()
    optimiser.load_state_dict({"state": slots, "param_groups": whole["param_groups"]})
    return int(figures["done"])
