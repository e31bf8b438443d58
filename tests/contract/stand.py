"""Where parts are put to the test: each that can be named, in an agent that is otherwise ours.

Registering a part enrols it: `cases(slot)` asks the resolver. Settings come from configs/*.yaml if
the part is used there, else from its defaults; weights are random but seeded, so that nothing is
zero by chance.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from agent.config import schema
from agent.config.build import Mind, blueprint
from agent.config.resolve import parts, resolve
from agent.core.loop import live
from agent.core.messages import Directive, Mode, Recollection, Rollout
from agent.core.subgoals import Subgoals
from agent.evaluate.episodes import trials_of
from tests.tiny import REACH, ROOT

FILLED = {
    "name": "part",
    "quantity": "fingertip",
    "thing": "fingertip",
    "limit": 0.3,
    "points": [[0.2, 0.2], [-0.1, 0.3], [0.3, -0.2]],
    "id": "tests.environments:Slope-v0",
    "levels": [{"ticks": 2, "latent": 6, "hidden": 8, "width": 16, "horizon": 3}],
    "planners": [{"use": "cem", "samples": 8, "iterations": 1, "elites": 4}] * 2,
    "path": str(ROOT / "docs" / "examples" / "arm.xml"),
    "robot": "examples",
    "task": {
        "there": {"goal": {"fingertip": "told"}, "done": {"quantity": "fingertip", "within": 0.1}},
        "back": {
            "after": ["there"],
            "goal": {"fingertip": "start"},
            "done": {"quantity": "fingertip", "within": 0.1},
            "attention": {"impact": 0.0},
        },
    },
}
"""What stands in for settings without a default."""

CLEAR = {"use": "at_least", "name": "clear", "quantity": "proximity", "limit": 0.03}
NEAR = {"use": "keep_in", "name": "near", "quantity": "fingertip", "ball": {"centre": [0.1, 0.2], "radius": 0.3}}  # fmt: skip
OWN = {
    "all_of": {"of": [CLEAR, NEAR]},
    "any_of": {"of": [CLEAR, NEAR]},
    "apart": {"quantity": "position", "other": "lead_position", "limit": 1.0},
    "keep_in": {"box": {"min": [-0.4, -0.1], "max": [0.4, None]}},
    "keep_out": {"ball": {"centre": [0.4, 0.0], "radius": 0.2}},
    "negation": {"of": CLEAR},
    "until": {"keep": CLEAR, "until": NEAR},
    "within": {"of": NEAR, "seconds": 0.2, "pace": 0.5},
}
"""Settings of guardrails that cannot be filled by name alone."""

HELD = {"menagerie": {"root": str(ROOT / "docs")}, "dmc": {"task": "reacher-easy"}}
"""Settings of worlds without which they would ask the network, or that mean something else."""

HOMES = {("perception", "pixels"): {"use": "reach_pixels"}}
"""Worlds of the parts that do not fit into `reach`."""


def cases(*slots: str) -> list[Any]:
    """Return (slot, name) of every part of the slots, with readable ids."""
    import pytest

    return [pytest.param(s, n, id=f"{s}-{n}") for s in slots for n in sorted(parts(s))]


TALL = {("actor", "hierarchical"): "hjepa"}
"""World models of the parts that need levels."""

BODIES = {("guardrail", "apart"): "lead.yaml"}
"""Configs of the parts that need another body than `reach`."""


def base(slot: str = "", name: str = "") -> dict[str, Any]:
    """Return configs/reach.yaml, or the config of the body that a part needs, as a mapping."""
    path = REACH.with_name(BODIES.get((slot, name), REACH.name))
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


@cache
def _shipped() -> list[dict[str, Any]]:
    """Return what stands in configs/, read once."""
    return [yaml.safe_load(p.read_text()) for p in sorted((ROOT / "configs").glob("*.yaml"))]


def part(slot: str, name: str) -> dict[str, Any]:
    """Return a config of the part: as used in configs/, else its defaults, gaps filled."""
    for whole in _shipped():
        home = whole.get("world", {}).get("use", "reach")
        if slot != "world" and home != "reach":
            continue  # settings name sensors of another body
        listed = whole.get({"term": "terms", "guardrail": "guardrails"}.get(slot, slot), {})
        if slot == "objective":
            listed = whole.get("train", {}).get("learner", {}).get("objectives", [])
        for used in listed if isinstance(listed, list) else [listed]:
            if used.get("use") == name:
                return copy.deepcopy(used)
    fields = resolve(slot, name).Config.model_fields
    own = {"guardrail": OWN, "world": HELD}.get(slot, {}).get(name, {})
    return {
        "use": name,
        **own,
        **{k: FILLED[k] for k, f in fields.items() if f.is_required() and k not in own},
    }


@cache
def _config(slot: str, name: str) -> Any:
    whole = base(slot, name)
    if slot in ("term", "guardrail"):
        whole[f"{slot}s"] = [part(slot, name)]
        whole["shown"] = getattr(resolve(slot, name), "shown", False)
    elif slot == "latent_variable":
        whole["world_model"][slot] = part(slot, name)
    elif slot == "objective":
        listed = [{"use": "prediction"}, part(slot, name)]
        whole["train"]["learner"]["objectives"] = listed
    else:
        whole[slot] = part(slot, name)
    if "hjepa" in (name, TALL.get((slot, name))):
        whole["world_model"] = part("world_model", "hjepa")
        whole["cost"]["above"] = ["pain"]
    whole["world"] = HOMES.get((slot, name), whole["world"])
    if slot != "actor":
        whole["actor"] |= {"samples": 8, "elites": 4, "iterations": 1}
    return blueprint(schema.validate(schema.AgentConfig, whole, "contract"))


def mind(slot: str, name: str) -> Mind:
    """Return a mind with the part in its slot and stirred weights."""
    made: Mind = _config(slot, name).assemble()
    generator = torch.Generator().manual_seed(7)
    for held in made.trainable().values():
        stir(held, generator)
    return made


def stir(held: nn.Module, generator: torch.Generator) -> None:
    """Add small seeded noise to all weights."""
    with torch.no_grad():
        for value in held.parameters():
            value.add_(0.05 * torch.randn(value.shape, generator=generator))
            value.requires_grad_(False)


def built(slot: str, name: str) -> Any:
    """Return one part, with stirred weights."""
    made = mind(slot, name)
    if slot == "objective":
        higher = dataclasses.replace(made.site, below=made.site.latent)
        found = made.blueprint.objectives[-1].build(higher)
        if isinstance(found, nn.Module):
            stir(found, torch.Generator().manual_seed(7))
        return found
    if slot == "latent_variable":
        return made.world_model.latent_variable
    if slot == "term":
        return made.terms[0]
    return made.rails[0] if slot == "guardrail" else getattr(made, slot)


class Spy:
    """A module that keeps what it read and posted, and whether it changed what it read."""

    def __init__(self, real: Any) -> None:
        """Stand before `real`."""
        self.real, self.posted, self.changed = real, [], []

    def __getattr__(self, name: str) -> Any:
        """Return the real one's."""
        return getattr(self.real, name)

    def tick(self, inbox: Any) -> Any:
        """Return the real one's message."""
        read = [inbox[k] for k in self.real.reads]
        read += [m for k in self.real.recalls if (m := inbox.last(k)) is not None]
        before = [{k: v.clone() for k, v in tensors(m).items()} for m in read]
        message = self.real.tick(inbox)
        for kept, seen in zip(before, read, strict=True):
            now = tensors(seen)
            self.changed += [
                f"{type(seen).__name__}.{k}" for k, v in kept.items() if not same(now[k], v)
            ]
        self.posted.append(message)
        return message


def life(
    slot: str, seeds: list[int], ticks: int, made: Mind, agent: Any = None
) -> tuple[list[Any], list[str]]:
    """Return what the module in `slot` posted in episodes of these seeds, and what it changed."""
    world = made.blueprint.world(len(seeds))
    try:
        agent = agent or made.agent(world)
        spy = Spy(agent.modules[slot])
        agent.modules[slot] = spy
        for tick in live(agent, world, seeds, trials_of(world).tasks(seeds), ticks):
            assert not tick.faults, tick.faults
        agent.modules[slot] = spy.real
        return spy.posted, spy.changed
    finally:
        world.close()


def tensors(message: Any) -> dict[str, Tensor]:
    """Return the tensor fields of a message."""
    found = {f.name: getattr(message, f.name) for f in dataclasses.fields(message)}
    return {k: v for k, v in found.items() if isinstance(v, Tensor)}


def same(one: Tensor, other: Tensor) -> bool:
    """Say whether two tensors are bit-equal (NaN equals NaN)."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return torch.equal(one.nan_to_num(), other.nan_to_num())


def directive(
    made: Mind, rows: int, horizon: int, mode: Mode = Mode.DELIBERATE, **more: Any
) -> Directive:
    """Return a directive with random goals within the arm's reach."""
    site = made.site
    generator = torch.Generator().manual_seed(3)
    fields: dict[str, Any] = {
        "goal": torch.rand(rows, site.goal.size, generator=generator) * 0.6 - 0.3,
        "weights": torch.ones(rows, len(site.terms)),
        "attention": torch.ones(rows, len(site.sensors.channels)),
        "mode": torch.full((rows,), int(mode)),
        "horizon": horizon,
        "latent": torch.randn(rows, site.latent, generator=generator),
        "stage": torch.randint(2, (rows,), generator=generator),
        "past": Recollection(
            torch.randn(rows, 3, site.latent, generator=generator),
            torch.rand(rows, 3, generator=generator),
            torch.rand(rows, 3, generator=generator),
            torch.tensor([True, True, False]).expand(rows, 3),
        ),
        "subgoals": Subgoals(
            torch.randn(rows, site.sensors.scalars.size, generator=generator),
            torch.ones(rows, site.sensors.scalars.size, dtype=torch.bool),
            torch.zeros(rows, dtype=torch.int64),
            torch.ones(rows, 1, dtype=torch.int64),
            ("there",),
        ),
        "foreseen": torch.randn(rows, 3, 2, site.goal.size, generator=generator),
        "carry": torch.zeros(rows, dtype=torch.bool),
    }
    return Directive(**(fields | more))


def rollout(made: Mind, e: int, b: int, k: int, h: int, seed: int = 0, **more: Any) -> Rollout:
    """Return a random rollout with every quantity of the sensors, in float64."""
    site, generator = made.site, torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    quantities = {c.name: draw(e, b, k, h, c.size) for c in site.sensors.channels}
    fields: dict[str, Any] = {
        "start": draw(b, site.latent),
        "actions": draw(b, k, h, site.actuators.size),
        "latents": draw(e, b, k, h, site.latent),
        "quantities": quantities,
    }
    return Rollout(**(fields | {"networks": e} | more))


def rows(seen: Rollout, cut: slice) -> Rollout:
    """Return some agents' futures."""
    return dataclasses.replace(
        seen,
        start=seen.start[cut],
        actions=seen.actions[cut],
        latents=seen.latents[:, cut],
        quantities={n: q[:, cut] for n, q in seen.quantities.items()},
    )


def leaves(seen: Rollout) -> dict[str, Tensor]:
    """Return every tensor of a rollout by name."""
    return {"actions": seen.actions, "latents": seen.latents, **seen.quantities}


def grown(seen: Rollout, leaf: Mapping[str, Tensor]) -> Rollout:
    """Return the rollout with its tensors taken from `leaf`."""
    quantities = {n: leaf[n] for n in seen.quantities}
    return dataclasses.replace(
        seen, actions=leaf["actions"], latents=leaf["latents"], quantities=quantities
    )


def slopes(
    function: Any, inputs: Mapping[str, Tensor], size: float = 1e-6
) -> Iterator[tuple[str, float, float]]:
    """Yield (input, gradient, finite difference) of a scalar function along random directions.

    `inputs` are float64; `function` takes them by name.
    """
    live_inputs = {n: v.clone().requires_grad_(True) for n, v in inputs.items()}
    value = function(live_inputs)
    if not value.requires_grad:
        return
    found = torch.autograd.grad(value, list(live_inputs.values()), allow_unused=True)
    generator = torch.Generator().manual_seed(11)
    for (name, at), slope in zip(inputs.items(), found, strict=True):
        way = torch.randn(at.shape, generator=generator, dtype=at.dtype)
        with torch.no_grad():
            up = function({**inputs, name: at + size * way})
            down = function({**inputs, name: at - size * way})
        analytic = 0.0 if slope is None else float((slope * way).sum())
        yield name, analytic, float(up - down) / (2 * size)
