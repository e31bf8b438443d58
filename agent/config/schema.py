"""What a config may say. Parts are checked against their own `Config` when they are built."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, ValidationError

from agent.config import yaml
from agent.core.errors import InputError, nearest
from agent.core.replay import STRETCH
from agent.core.settings import Settings

Part = dict[str, Any]
"""A part of the agent: `use` names the class, everything else is its own `Config`."""


class GateConfig(Settings):
    """The gate: `fallback` command in actuator units; `deadline_ms` 0 means none.

    With `margins: adaptive` calibrated margins are widened while living, and never narrowed, so
    that in the long run a share `alpha` of forecasts is exceeded; `pace` is how fast.
    """

    fallback: list[float]
    deadline_ms: float = Field(default=0.0, ge=0)
    margins: Literal["sealed", "adaptive"] = "sealed"
    alpha: float = Field(default=0.1, gt=0, lt=1)
    pace: float = Field(default=0.05, gt=0, le=1)


class RunConfig(Settings):
    """What `run` lives: these episode seeds, so many ticks each.

    `reference` says whether random policy and true-simulator planner live them too. `goal` is asked
    in every episode, in the goal sensor's unit; none leaves it to the world, which asks by seed.
    """

    seeds: list[int] = Field(min_length=1)
    ticks: int = Field(default=100, ge=1)
    reference: bool = True
    goal: list[float] | None = None


class EvalConfig(Settings):
    """What `eval` measures: episodes in lock-step `batch`es, and the oracle on fewer of them.

    `checkpoints` are the training seeds to evaluate; none means the config's `checkpoint`.
    """

    checkpoints: list[str] = []
    ticks: int = Field(default=100, ge=1)
    batch: int = Field(default=100, ge=1)
    oracle_episodes: int = Field(default=50, ge=0)


class SleepConfig(Settings):
    """What an agent does between episodes of a life with what its memory holds, after each `every`.

    Pieces of `ticks` ticks are replayed. `world_model`, `critic` and `actor` say who learns from
    them; `memory`, whether what is redundant is forgotten afterwards.
    """

    every: int = Field(default=1, ge=1)
    ticks: int = Field(default=8, ge=1, lt=STRETCH)
    world_model: bool = True
    critic: bool = True
    actor: bool = True
    memory: bool = True


class VoeConfig(Settings):
    """What `voe` measures: `pairs` of clips per violation, of those named (none: all there are).

    The threshold of an alarm is the `quantile` of the scores of `calibration` possible clips of
    development seeds.
    """

    pairs: int = Field(default=200, ge=1)
    violations: list[str] = []
    calibration: int = Field(default=400, ge=1)
    quantile: float = Field(default=0.975, gt=0, lt=1)


class AgentConfig(Settings):
    """One agent in one world: six modules, their parts, guardrails, and how to train and run it.

    `goal` names the sensor that goals are about; without one, nothing is asked: the agent watches.
    With `shown`, goals are not told in numbers: the agent is shown what it would observe there.
    Without `sleep` nothing happens between two episodes.
    """

    name: str = Field(min_length=1)
    seed: int = Field(default=0, ge=0)
    latent: int = Field(ge=1)
    goal: str | None = None
    shown: bool = False
    world: Part
    perception: Part
    world_model: Part
    readouts: Part
    critic: Part
    cost: Part
    terms: list[Part]
    guardrails: list[Part]
    memory: Part
    configurator: Part
    actor: Part
    gate: GateConfig
    checkpoint: str
    train: dict[str, Any] = {}
    run: RunConfig
    eval: EvalConfig = EvalConfig()
    voe: VoeConfig = VoeConfig()
    sleep: SleepConfig | None = None


def load(path: Path, overrides: list[str] | None = None) -> AgentConfig:
    """Return the config in `path` with overrides applied.

    Raises InputError, one line, for anything that does not belong: unknown or misspelt keys (with
    the nearest name), wrong types, numeric strings, NaN, duplicate keys.
    """
    raw = yaml.override(_extended(path), overrides or [])
    config: AgentConfig = validate(AgentConfig, raw, str(path))
    return config


def _extended(path: Path, below: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Return the mapping in `path`, laid over that of the file its `extends` names, key by key.

    A key that is null is left out.
    """
    if path in below:
        raise InputError(f"{path}: 'extends' leads in a circle; remove one")
    raw = yaml.read(path)
    base = raw.pop("extends", None)
    if base is None:
        return raw
    if not isinstance(base, str):
        raise InputError(f"{path}: 'extends': expected the name of a file beside it, came {base!r}")
    return _laid_over(_extended(path.parent / base, (*below, path)), raw)


def _laid_over(base: dict[str, Any], raw: dict[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for key, value in raw.items():
        old = both.get(key)
        nested = isinstance(old, dict) and isinstance(value, dict)
        both[key] = _laid_over(old, value) if nested else value  # type: ignore[arg-type]
        if value is None:
            del both[key]
    return both


def validate(kind: type[Any], raw: Any, where: str) -> Any:
    """Return `kind` built from `raw`. Raises InputError naming the first fault and its key.

    Checked as strict JSON: YAML's lists may fill tuples, but no text becomes a number.
    """
    try:
        text = json.dumps(raw, default=str)
    except (TypeError, ValueError, RecursionError) as fault:
        raise InputError(f"{where}: {fault}; use plain keys and no aliases") from None
    try:
        return kind.model_validate_json(text)
    except ValidationError as fault:
        raise InputError(f"{where}: {_explain(kind, fault)}") from None


def _explain(kind: type[BaseModel], fault: ValidationError) -> str:
    """Return the first error of `fault` in one line: which key, what was expected, what came."""
    error = fault.errors(include_url=False)[0]
    keys = [str(k) for k in error["loc"]]
    path = ".".join(keys) or "the settings"
    more = f" (and {fault.error_count() - 1} more)" if fault.error_count() > 1 else ""
    if error["type"] == "extra_forbidden":
        known = _fields_at(kind, keys[:-1])
        return f"unknown key '{path}'; {nearest(keys[-1], known)}{more}"
    if error["type"] == "missing":
        return f"'{path}' is missing; add it{more}"
    came = error.get("input")
    text = error["msg"].removeprefix("Value error, ")
    return f"'{path}': {text}, came {came!r} ({type(came).__name__}){more}"


def _fields_at(kind: type[BaseModel], keys: list[str]) -> list[str]:
    for key in keys:
        field = kind.model_fields.get(key)
        said = (field.annotation, *get_args(field.annotation)) if field else ()
        inner = [one for one in said if isinstance(one, type) and issubclass(one, BaseModel)]
        if not inner:
            break
        kind = inner[0]
    return list(kind.model_fields)


def config_hash(resolved: dict[str, Any]) -> str:
    """Return the SHA-256 of a resolved config, independent of key order and formatting."""
    text = json.dumps(resolved, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
