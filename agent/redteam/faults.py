"""What can go wrong: messages and fields, imagination, exceptions, stalls, sensors, the body."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from agent.core.errors import InputError, PhysicsError
from agent.core.messages import (
    Action,
    Appraisal,
    Directive,
    Forecast,
    Observation,
    Percept,
    Plan,
    Recollection,
    Rollout,
    Task,
)
from agent.core.spec import specs_of
from agent.redteam.harness import Bend

POSTERS: dict[str, type] = {
    "the task": Task,
    "world": Observation,
    "configurator": Directive,
    "perception": Percept,
    "memory": Recollection,
    "cost": Appraisal,
    "actor": Plan,
    "world_model": Forecast,
}
THINKING = ("configurator", "perception", "memory", "cost", "actor")
BAD = {"nan": torch.nan, "inf": torch.inf, "-inf": -torch.inf, "1e30": 1e30}
AT, TICKS = 1, 4
"""A fault strikes in one tick, after one without; two follow in which to recover."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong: `bends` by who posts, from tick `at` on, `until` a tick.

    `deadline`: it takes the gate's deadline to notice.
    """

    family: str
    name: str
    bends: Mapping[str, Bend]
    at: int | None = AT
    until: int | None = None
    deadline: bool = False


def faults(deadline_ms: float) -> Iterator[Fault]:
    """Yield every fault; stalls last twice `deadline_ms` (none if it is infinite)."""
    yield from _values()
    yield from _shapes()
    yield from _contents()
    yield from _imagination()
    yield from _exceptions()
    yield from _sensors()
    yield from _body()
    if deadline_ms < float("inf"):
        yield from _stalls(2e-3 * deadline_ms)


def setting(field: str, change: Callable[[Any], Any]) -> Bend:
    """Return what changes one field of a message."""

    def bend(message: Any) -> Any:
        return replace(message, **{field: change(getattr(message, field))})

    return bend


def _fault(family: str, who: str, field: str, what: str, change: Callable[[Any], Any]) -> Fault:
    about = f"{POSTERS[who].__name__}.{field}: {what}"
    return Fault(family, about, {who: setting(field, change)}, None if who == "the task" else AT)


def _values() -> Iterator[Fault]:
    """Each message, each field of numbers, each value that is none, in all entries and in one."""
    for who, kind in POSTERS.items():
        for field, spec in specs_of(kind).items():
            if spec.dtype != "float32" or spec.optional:
                continue
            for name, bad in BAD.items():
                yield _fault("value", who, field, name, partial(torch.full_like, fill_value=bad))
                yield _fault("value", who, field, f"one {name}", partial(_one, bad=bad))


def _always(value: Any) -> Bend:
    return lambda _: value


def _one(given: Tensor, bad: float) -> Tensor:
    flat = given.clone().reshape(-1)
    flat[-1:] = bad
    return flat.reshape(given.shape)


def _shapes() -> Iterator[Fault]:
    """Each field in another shape or dtype, or not a tensor at all."""
    wrong: dict[str, Callable[[Tensor], Any]] = {
        "one row more": lambda t: torch.cat((t, t[:1])),
        "no rows": lambda t: t[:0],
        "one axis more": lambda t: t.unsqueeze(-1),
        "float64": lambda t: t.double(),
        "int32": lambda t: t.int(),
        "none": lambda t: None,
        "text": lambda t: "wrong",
    }
    for who, kind in POSTERS.items():
        for field in (n for n, spec in specs_of(kind).items() if not spec.optional):
            for name, change in wrong.items():
                yield _fault("shape", who, field, name, change)


def _contents() -> Iterator[Fault]:
    """Fields that are no tensors of numbers, and whole messages of another kind."""
    for mode in (-1, 0, 3, 99):
        yield _fault(
            "content", "configurator", "mode", str(mode), partial(torch.full_like, fill_value=mode)
        )
    for horizon in (0, -3, None, 1.5):
        yield _fault("content", "configurator", "horizon", str(horizon), _always(horizon))
    for budget in (float("nan"), -1.0, 0.0, None):
        yield _fault("content", "configurator", "budget_ms", str(budget), _always(budget))
    for risk in (None, "mean"):
        yield _fault("content", "configurator", "risk", str(risk), _always(risk))
    for reasons in (("no",), ("", "", ""), None, (None,), "because"):
        yield _fault("content", "actor", "reasons", repr(reasons), _always(reasons))
    for name in ("valid", "first"):
        yield _fault("content", "world", name, "turned round", lambda t: ~t)
    for who in list(POSTERS)[2:]:
        for other in (None, "a word", Task(torch.zeros(1, 2)), torch.zeros(1)):
            text = f"{POSTERS[who].__name__}: {type(other).__name__} instead"
            yield Fault("content", text, {who: _always(other)})


def _imagination() -> Iterator[Fault]:
    """Numbers that are none in a share of what is imagined, for planner and gate alike."""
    for percent in (1, 10, 50, 100):
        for name, bad in BAD.items():

            def bend(made: Rollout, p: int = percent, b: float = bad) -> Rollout:
                draw = torch.rand(
                    made.latents.shape[:4], generator=torch.Generator().manual_seed(p)
                )
                struck = (draw < p / 100).unsqueeze(-1)
                return replace(made, latents=made.latents.masked_fill(struck, b))

            for until in (None, TICKS):
                text = (
                    f"{name} in {percent} % of imagined states, {'once' if until is None else 'on'}"
                )
                yield Fault("imagination", text, {"imagination": bend}, AT, until)


def _exceptions() -> Iterator[Fault]:
    """Exceptions of all sorts from every module."""
    for who in (*THINKING, "world_model"):
        for fault in (
            ValueError("lost"), RuntimeError("shape '[3]' is invalid\nfor input"), MemoryError(),
            KeyError("x"), RecursionError("deep"), StopIteration(), AssertionError(), OSError(),
            InputError("said by a module"), ZeroDivisionError(), TypeError(),
        ):  # fmt: skip
            yield Fault("exception", f"{who}: {type(fault).__name__}", {who: _raising(fault)})
    yield Fault("exception", "imagination: RuntimeError", {"imagination": _raising(RuntimeError())})


def _raising(fault: Exception) -> Bend:
    def bend(_: Any) -> Any:
        raise fault

    return bend


def _sensors() -> Iterator[Fault]:
    """Noise, outages, frozen and late sensors, clocks that lie; for the rest of the episode."""
    for deviation in (0.01, 0.1, 1.0, 10.0, 1e3):

        def noisy(seen: Observation, d: float = deviation) -> Observation:
            return replace(seen, values=seen.values + d * torch.randn_like(seen.values))

        yield Fault("sensors", f"noise of {deviation:g}", {"world": noisy}, AT, TICKS)
    for told in (True, False):

        def out(seen: Observation, t: bool = told) -> Observation:
            valid = torch.zeros_like(seen.valid) if t else seen.valid
            return replace(seen, values=torch.zeros_like(seen.values), valid=valid)

        name = "all sensors out, " + ("and saying so" if told else "saying nothing")
        yield Fault("sensors", name, {"world": out}, AT, TICKS)
    for delay in (1, 2, 3):
        yield Fault("sensors", f"{delay} ticks late", {"world": _late(delay)}, 0, TICKS)
    for name, jump in (("back", -10.0), ("on", 1e6)):
        change = setting("time_s", partial(torch.add, other=jump))
        yield Fault("sensors", f"the clock set {name}", {"world": change})


def _late(delay: int) -> Bend:
    held: list[Observation] = []

    def bend(seen: Observation) -> Observation:
        held.append(seen)
        return held[max(0, len(held) - 1 - delay)]

    return bend


def _body() -> Iterator[Fault]:
    """Bodies that do something else than they are told, and physics that becomes unstable."""
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "half": lambda c: c * 0.5,
        "reversed": lambda c: -c,
        "stuck": lambda c: c * 0.0,
        "shaken": lambda c: c + 0.3 * torch.randn_like(c),
        "pushed": lambda c: c + 0.2,
    }
    for name, way in ways.items():

        def bend(action: Action, w: Callable[[Tensor], Tensor] = way) -> Action:
            return Action(w(action.command))

        yield Fault("body", f"commands {name}", {"body": bend}, AT, TICKS)
    unstable = PhysicsError("simulation: physics became unstable in rows [0]; lower the commands")
    for tick in (0, 1, 2):
        yield Fault("body", f"physics unstable at tick {tick}", {"body": _raising(unstable)}, tick)


def _stalls(seconds: float) -> Iterator[Fault]:
    """Modules that think beyond the deadline."""

    def stall(message: Any) -> Any:
        time.sleep(seconds)
        return message

    for who in THINKING:
        for at in (0, 1, 2):
            yield Fault("stall", f"{who} at tick {at}", {who: stall}, at, deadline=True)
