"""Agents put together at random, and whether every command they send was judged step by step.

`python -m tests.contract.combinations 10000 --json FILE` tries that many and writes what came of it.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from agent.cli.common import SCHEMA, figure, machine, versions
from agent.config import schema
from agent.config.build import MARGINS, Blueprint, blueprint
from agent.config.resolve import parts, resolve
from agent.core.errors import HousecatError
from agent.evaluate.statistics import proportion
from agent.redteam.harness import Watch
from agent.redteam.hostile import CAST, TALL
from agent.redteam.modules import turned
from tests.contract.stand import FILLED, base, stir

SKIPPED = {"pixels", "still", "dynamic_programming"}
"""Parts of other bodies: a camera's, one without actuators, one of a few discrete states."""
SMALL: dict[str, Any] = {
    "width": 8, "samples": 4, "elites": 2, "iterations": 1, "restarts": 2, "steps": 1, "best": 1,
    "simulations": 4, "members": 2, "decoder_width": 8, "capacity": 16, "neighbours": 2,
    "contexts": 2, "policy": {"width": 8, "settle": 2}, "budget": 8, "expansions": 4, "task": FILLED["task"],
}  # fmt: skip
EVERYONE = CAST + TALL
QUANTITIES = ("proximity", "joint_speed", "joint_angle", "fingertip")


@dataclass(frozen=True, slots=True)
class Combination:
    """An agent, an episode and what goes wrong in it, all of it drawn from one `seed`.

    `slots` names the part in each slot; `rails` and `batch` say how many guardrails and rows;
    `horizon`, `mode` and `calibrated` steps of margins; `cast` indexes `EVERYONE` (-1: all are honest);
    `bad`: a value that the actor's message is spoilt with in the second tick (0: it is not).
    """

    seed: int
    slots: dict[str, str]
    rails: int
    batch: int
    horizon: int
    mode: int
    calibrated: int
    cast: int
    bad: float

    @staticmethod
    def drawn(seed: int) -> Combination:
        """Return the combination of this number."""
        draw = random.Random(seed)
        return Combination(
            seed=seed,
            slots={slot: draw.choice(names) for slot, names in CHOICES.items()}
            | draw.choice(({"actor": "hierarchical"}, {}, {}, {}, {})),
            rails=draw.randint(0, 3),
            batch=draw.randint(1, 3),
            horizon=draw.randint(1, 6),
            mode=draw.choice((1, 2)),
            calibrated=draw.randint(1, 8),
            cast=draw.choice((-1, -1, draw.randrange(len(EVERYONE)))),
            bad=draw.choice((0.0, 0.0, 0.0, float("nan"), float("inf"), 1e30)),
        )


CHOICES: dict[str, list[str]] = {
    slot: [name for name in sorted(parts(slot)) if name not in SKIPPED]
    for slot in ("perception", "world_model", "actor", "memory", "configurator")
}


def tried(what: Combination, ticks: int = 3) -> Counter[str]:
    """Live a few ticks and return counts.

    `refused`: nothing started, by name; else `lived`, `tall` if with levels above, with `ticks`, `commands` and `unvalidated`
    ones (see `agent.redteam.harness.Watched`), `uncaught` exceptions, and `sent`: commands that
    were no fallback.
    """
    torch.manual_seed(what.seed)
    try:
        found = combined(what)
        mind = found.assemble({**_weights(found), **_margins(what)})
        judge = found.assemble({**mind.tensors()})
        world = found.world(what.batch)
    except HousecatError:
        return Counter(refused=1)
    try:
        watch = Watch(mind, world, judge)
        if what.bad:
            watch.bends = {"actor": lambda plan: _spoilt(plan, what.bad)}
        lived = watch.live(range(what.seed, what.seed + what.batch), ticks, 1 if what.bad else None)
    except HousecatError:
        return Counter(refused=1)
    finally:
        world.close()
    return Counter(
        lived=1,
        tall=int(len(watch.levels) > 1),
        ticks=lived.ticks,
        commands=lived.ticks * what.batch,
        unvalidated=lived.unvalidated,
        uncaught=len(lived.uncaught),
        sent=sum(r != 2 for r in lived.rulings),
    )


def combined(what: Combination) -> Blueprint:
    """Return the agent's blueprint. Raises HousecatError if its parts do not go together."""
    draw = random.Random(what.seed + 1)
    raw = base()
    for slot, name in what.slots.items():
        known = resolve(slot, name).Config.model_fields
        raw[slot] = {"use": name, **{k: v for k, v in SMALL.items() if k in known}}
    tall = what.slots["actor"] == "hierarchical"
    if tall or what.slots["world_model"] == "hjepa":
        _heighten(raw, draw, tall)
    raw["configurator"] |= {"mode": what.mode, "horizon": what.horizon}
    raw["readouts"] |= {"width": 8}
    far = {"use": "subgoal"} if tall else {"use": "distance", "quantity": "fingertip"}
    raw["terms"] = [far, {"use": "effort", "weight": 0.02}]
    raw["latent"], raw["seed"] = draw.choice((4, 8)), what.seed % 1000
    raw["gate"] = {"fallback": [draw.uniform(-3, 3), draw.uniform(-3, 3)]}
    raw["guardrails"] = []
    for index in range(what.rails):
        side, limit = draw.choice(("at_least", "at_most")), draw.uniform(-1.5, 1.5)
        raw["guardrails"].append({
            "use": side, "name": f"rail{index}", "quantity": draw.choice(QUANTITIES),
            "limit": limit,
        })  # fmt: skip
    found = blueprint(schema.validate(schema.AgentConfig, raw, "combination"))
    if what.cast < 0:
        return found
    return turned(found, EVERYONE[what.cast], found.config.guardrails)


def _heighten(raw: dict[str, Any], draw: random.Random, tall: bool) -> None:
    """Put one or two levels above; where the actor is `tall`, with a planner of any kind each."""
    ticks = [2, 4][: draw.randint(1, 2)]
    raw["world_model"] = {"use": "hjepa", "width": 8, "members": 2, "levels": [
        {"ticks": t, "latent": 4, "hidden": 8, "width": 8, "horizon": draw.randint(1, 4)}
        for t in ticks
    ]}  # fmt: skip
    raw["cost"] = {"use": "composite", "above": ["subgoal" if tall else "effort"]}
    if tall:
        names = [n for n in CHOICES["actor"] if n != "hierarchical"]
        raw["actor"] = {"use": "hierarchical", "planners": [
            {"use": n, **{k: v for k, v in SMALL.items() if k in resolve("actor", n).Config.model_fields}}
            for n in (draw.choice(names) for _ in (0, *ticks))
        ]}  # fmt: skip


def _weights(found: Blueprint) -> dict[str, Any]:
    made, generator = found.assemble(), torch.Generator().manual_seed(found.config.seed)
    for part in made.trainable().values():
        honest = getattr(part, "honest", part)
        if isinstance(honest, nn.Module):
            stir(honest, generator)
    return made.tensors()


def _margins(what: Combination) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(what.seed)
    shape = what.rails, what.calibrated
    return {MARGINS: 0.3 * torch.rand(shape, generator=generator)} if what.rails else {}


def _spoilt(plan: Any, bad: float) -> Any:
    plan.actions.reshape(-1)[-1:] = bad
    return plan


def main() -> None:
    """Try so many combinations and say what came of them."""
    words = argparse.ArgumentParser()
    words.add_argument("count", type=int)
    words.add_argument("--json", type=Path)
    options = words.parse_args()
    torch.set_num_threads(1)
    whole: Counter[str] = Counter()
    begin = time.monotonic()
    for seed in range(options.count):
        came = tried(Combination.drawn(seed))
        whole.update(came)
        if came["unvalidated"] or came["uncaught"]:
            print(seed, Combination.drawn(seed), dict(came))
        if (seed + 1) % 500 == 0:
            print(f"{seed + 1}: {dict(whole)}, {time.monotonic() - begin:.0f} s", flush=True)
    print(f"{options.count}: {dict(whole)}, {time.monotonic() - begin:.0f} s")
    if options.json is not None:
        record = recorded(whole, options.count, options.json)
        options.json.write_text(json.dumps(record, indent=1) + "\n")


def recorded(whole: Counter[str], count_: int, path: Path) -> dict[str, Any]:
    """Return what is written of `count_` combinations and what came of them."""
    told = {"combinations": figure(count_)}
    for names, of, unit in (
        (("refused", "lived", "tall"), count_, "combinations"),
        (("sent", "unvalidated"), whole["commands"], "commands"),
        (("uncaught",), whole["ticks"], "ticks"),
    ):
        told |= {n: figure(*proportion(whole[n], of), of, f"share of {unit}") for n in names}
        told |= {f"{n}.count": figure(whole[n], unit=unit) for n in names}
    text = f"python -m tests.contract.combinations {count_} --json {path}"
    return {"schema": SCHEMA, "command": text, "config_hash": None, "seeds": [0],
            "machine": machine(), "versions": versions(), "figures": told}  # fmt: skip


if __name__ == "__main__":
    main()
