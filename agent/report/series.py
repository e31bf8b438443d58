"""A recorded episode as arrays over time, named by the run's own layouts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from agent.core.loop import Tick
from agent.core.messages import (
    Appraisal,
    Forecast,
    Observation,
    Percept,
    Plan,
    Ruling,
    Task,
    Verdict,
)
from agent.record.playback import Episode, Record

Array = NDArray[np.float64]
LIMIT = r"(\|?)(\w+)\|?\s*(>=|<=|≥|≤|>|<)\s*([-+.\deE]+)(?:\s*[^\s()]+)?"
"""A guardrail's limit on one quantity, in words."""

Disc = tuple[float, float, float]
"""A round obstacle seen from above, for people: x, y, radius in the position's unit."""


@runtime_checkable
class PathReader(Protocol):
    """Turns latents and actions into positions people can look at, through readouts and model."""

    def read_path(self, latents: Tensor) -> Tensor:
        """Return positions [T 2] (m) of latents [T Z]."""
        ...

    def imagine_path(self, start: Tensor, actions: Tensor) -> Tensor:
        """Return the imagined positions [H 2] (m) of `actions` [H A] from latent `start` [Z]."""
        ...


@runtime_checkable
class GuardReader(PathReader, Protocol):
    """A `PathReader` that can also say what the guardrails think of a path."""

    def guard_path(self, start: Tensor, actions: Tensor) -> Tensor:
        """Return guardrail values [R H] of `actions` [H A], margin included; > 0 violates."""
        ...


@dataclass(frozen=True, slots=True)
class Limit:
    """A guardrail as people read it; `quantity` is None when the header's text says too little.

    `side` is +1 where the quantity must stay below `value`, -1 where above; with `size` it is its
    magnitude that counts. `margins` are the calibrated ones by step ahead, if the header has them;
    `unit` is the value's.
    """

    name: str
    words: str
    quantity: str | None = None
    side: int = 1
    value: float = 0.0
    size: bool = False
    margins: tuple[float, ...] = ()
    unit: str = ""

    def quantity_at(self, violation: Array) -> Array:
        """Return the quantity where the guardrail's value is `violation`; itself if unknown."""
        return violation if self.quantity is None else self.value + self.side * violation

    def margin(self, step: int) -> float | None:
        """Return the margin `step` steps ahead (from 1); the last one goes on."""
        return self.margins[min(step, len(self.margins)) - 1] if self.margins else None


@dataclass(frozen=True, slots=True)
class Life:
    """One agent's episode over T ticks; NaN where a message was missing.

    `sensors` maps a name to [T n]; `terms` and `ms` to [T]; `latents`, `forecasts` [T Z];
    `imagined` [T H Z], `values` [T R H] are the plan's; `goal` [G].
    `position` names the sensor the goal is a position of (2-D), if there is one.
    """

    index: int
    time_s: Array
    sensors: Mapping[str, Array]
    latents: Array
    forecasts: Array
    spread: Array
    z_spread: Array
    surprise: Array
    energy: Array
    anticipation: Array
    terms: Mapping[str, Array]
    imagined: Array
    values: Array
    tempted: Array
    ruling: NDArray[np.int64]
    ms: Mapping[str, Array]
    goal: Array
    position: str | None
    ticks: tuple[Tick, ...]

    @property
    def path(self) -> Array | None:
        """Return the realised positions [T 2], if the goal is a position."""
        return None if self.position is None else self.sensors[self.position]


def live_through(record: Record, episode: Episode, agent: int = 0) -> Life:
    """Return an episode of `record` as arrays, seen by one agent of the batch."""
    header, ticks = record.header, episode.ticks
    layouts = header.get("layouts", {})
    names = [n for n, _, _ in layouts.get("sensors", ())]
    ends = np.cumsum([s for _, s, _ in layouts.get("sensors", ())]).tolist()

    def column(kind: type, take: Callable[[Any], Any]) -> Array:
        return _stack([_taken(t.messages.get(kind), take, agent) for t in ticks])

    values = column(Observation, lambda m: m.values)
    values = values if values.ndim == 2 else np.full((len(ticks), ends[-1] if ends else 0), np.nan)
    terms = column(Appraisal, lambda m: m.terms)
    modules = dict.fromkeys(n for t in ticks for n in t.elapsed_ms)
    rulings = column(Verdict, lambda m: m.ruling)
    goals = column(Task, lambda m: m.goal)
    goal = layouts.get("goal", [])
    spot = goal[0][0] if len(goal) == 1 and goal[0][1] == 2 and goal[0][0] in names else None
    return Life(
        index=episode.index,
        time_s=_clock(column(Observation, lambda m: m.time_s), float(header.get("rate_hz", 1))),
        sensors={
            n: values[:, e - s : e] for (n, s, _), e in zip(layouts["sensors"], ends, strict=True)
        }
        if names
        else {},
        latents=column(Percept, lambda m: m.latent),
        forecasts=column(Forecast, lambda m: m.latent),
        spread=column(Forecast, lambda m: m.spread),
        z_spread=column(Forecast, lambda m: getattr(m, "z_spread", np.zeros_like(m.spread))),
        surprise=column(Percept, lambda m: m.surprise),
        energy=column(Appraisal, lambda m: m.energy),
        anticipation=column(Appraisal, lambda m: m.anticipation),
        terms={n: terms[:, k] for k, n in enumerate(header.get("terms", ())) if terms.ndim == 2},
        imagined=column(Plan, lambda m: m.latents),
        values=column(Plan, lambda m: m.guardrails),
        tempted=np.nan_to_num(column(Plan, lambda m: m.temptation_violation)),
        ruling=np.nan_to_num(rulings, nan=float(Ruling.VETOED)).astype(np.int64),
        ms={n: np.array([t.elapsed_ms.get(n, np.nan) for t in ticks]) for n in modules},
        goal=goals[0] if goals.ndim == 2 else np.zeros(0),
        position=spot,
        ticks=ticks,
    )


def limits(header: Mapping[str, Any]) -> list[Limit]:
    """Return the run's guardrails, parsed from texts such as `|joint_speed| <= 2 rad/s`.

    What is made of several has no one quantity to draw: its own value is drawn.
    """
    found = []
    for guardrail in header.get("guardrails", ()):
        words = str(guardrail.get("limit", ""))
        margins, unit = tuple(guardrail.get("margins", ())), str(guardrail.get("unit", ""))
        match = re.fullmatch(LIMIT, words)
        if match is None:
            found.append(Limit(guardrail["name"], words, margins=margins, unit=unit))
            continue
        bars, quantity, relation, value = match.groups()
        side = -1 if relation[0] in ">≥" else 1
        found.append(
            Limit(guardrail["name"], words, quantity, side, float(value), bool(bars), margins, unit)
        )
    return found


def refusals(life: Life, most: int = 3, apart_s: float = 1.0) -> list[int]:
    """Return up to `most` ticks at which a plan was refused, `apart_s` seconds apart.

    Where the planner was tempted comes first, the strongest first; one place is kept for the
    gate, if it stepped in.
    """
    planner = _peaks(life.tempted, life.time_s, apart_s)
    stepped_in = (life.ruling != int(Ruling.ALLOWED)) * (1.0 + life.ruling)
    gate = _peaks(stepped_in, life.time_s, apart_s)
    kept = planner[: most - min(1, len(gate))]
    return list(dict.fromkeys([*kept, *gate, *planner]))[:most]


def _peaks(values: Array, time_s: Array, apart_s: float) -> list[int]:
    """Return the indices of the largest positive values [T], none within `apart_s` of another."""
    found: list[int] = []
    for t in np.argsort(-values, kind="stable").tolist():
        if values[t] > 0 and all(abs(time_s[t] - time_s[other]) >= apart_s for other in found):
            found.append(t)
    return found


def array(values: Tensor) -> Array:
    """Return a tensor as a float64 array."""
    rows: Array = values.detach().double().numpy()
    return rows


def _taken(message: Any, take: Callable[[Any], Any], agent: int) -> Array | None:
    if message is None:
        return None
    taken = take(message)
    if taken.shape[0] <= agent:
        return None
    return array(taken[agent])


def _stack(parts: Sequence[Array | None]) -> Array:
    """Stack what is there; shorter leading axes (a plan's horizon may vary) are filled with NaN."""
    shapes = [p.shape for p in parts if p is not None]
    if not shapes:
        return np.full(len(parts), np.nan)
    whole = np.full((len(parts), *np.max(np.array(shapes), axis=0).astype(int)), np.nan)
    for t, part in enumerate(parts):
        if part is not None:
            corner: Any = (t, *(slice(0, n) for n in part.shape))
            whole[corner] = part
    return whole


def _clock(time_s: Array, rate_hz: float) -> Array:
    return np.where(np.isfinite(time_s), time_s, np.arange(len(time_s)) / rate_hz)
