"""`bench tick`: what the runtime itself costs per tick, module mathematics left out.

Other benches are handed on to files of their own.
"""

from __future__ import annotations

import argparse
import importlib
import time
from typing import Any

import numpy as np
import torch

from agent.cli.common import figure, say, write_figures
from agent.core.errors import InputError, nearest
from agent.core.gate import Gate
from agent.core.guardrails import Guardrails
from agent.core.loop import Agent
from agent.core.messages import Action, Observation, Task, Verdict
from agent.core.objective import GuardedObjective
from agent.core.protocols import Site
from agent.core.schedule import schedule
from agent.core.spec import Layout, compile_check, specs_of

SIZES = {"B": 1, "Z": 24, "A": 2, "O": 8, "S": 5, "G": 2, "T": 4, "R": 3, "N": 4}
HORIZON = 12
TICKS = 5000
BENCHES = {
    "tick": "",
    "anytime": "configs/reach.yaml",
    "continual": "configs/reach-adapting.yaml",
    "exploration": "configs/reach.yaml joint_angle joint_speed",
    "foresight": "configs/reach.yaml",
    "futures": "configs/lead.yaml",
    "goals": "configs/reach-pixels.yaml",
    "hierarchy": "configs/lab/rooms-hierarchical.yaml configs/rooms.yaml",
    "joint": "configs/lab/rooms-three.yaml train.levels.joint.steps=2000",
    "known": "configs/reach.yaml",
    "learning": "configs/reach.yaml",
    "memory": "configs/reach.yaml",
    "modes": "configs/lab/adaptive.yaml",
    "objectives": "configs/lab/reach.yaml",
    "pareto": "configs/reach.yaml",
    "pixels": "configs/reach-pixels.yaml",
    "planner": "",
    "practice": "configs/lab/practice.yaml",
    "preference": "configs/reach.yaml",
    "risk": "configs/lab/lead-risk.yaml",
    "sleep": "configs/reach-sleeping.yaml world.gain_scale=0.5",
    "watching": "configs/lab/watching.yaml",
    "world": "",
}
"""Every bench, and a config it could be given; those without one want none."""


def main(options: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
    what = options.config or "tick"
    if what not in BENCHES:
        raise InputError(f"bench: unknown bench '{what}'; {nearest(what, BENCHES)}")
    if BENCHES[what]:
        if not options.overrides or "=" in options.overrides[0]:
            raise InputError(f"bench {what}: expected a config, came none; such as {BENCHES[what]}")
        options.config = options.overrides.pop(0)
    if what != "tick":
        code: int = importlib.import_module(f"agent.cli.bench_{what}").main(options)
        return code
    torch.set_num_threads(1)
    times = np.array(overhead_us(TICKS))
    middle, tail = np.percentile(times, [50, 99])
    say(f"tick overhead: {middle:.1f} us median, {tail:.1f} us p99, n = {len(times)} ticks")
    figures = {
        "tick_overhead_us": figure(float(middle), n=len(times), unit="us"),
        "tick_overhead_us_p99": figure(float(tail), n=len(times), unit="us"),
    }
    write_figures(options, None, [0], figures)
    return 0


def overhead_us(ticks: int) -> list[float]:
    """Return microseconds per tick of the whole loop around six modules that compute nothing.

    Each posts a ready message; board, inboxes, compiled checks, timing, gate bookkeeping and seal
    verification are the real ones. The gate's re-imagination is module mathematics and left out.
    """
    from modules.actor.cem import CEM
    from modules.configurator.fixed import FixedConfigurator
    from modules.cost.composite import CompositeCost
    from modules.cost.guardrails.at_most import AtMost
    from modules.cost.readouts.probe import ProbeReadouts
    from modules.memory.episodic import EpisodicMemory
    from modules.perception.state import StatePerception
    from modules.world_model.jepa import JEPA
    from worlds.reach.world import ACTUATORS, SENSORS

    kinds = {
        "configurator": FixedConfigurator,
        "perception": StatePerception,
        "memory": EpisodicMemory,
        "cost": CompositeCost,
        "actor": CEM,
        "world_model": JEPA,
    }
    modules: dict[str, Any] = {name: _Ready(kind) for name, kind in kinds.items()}
    plan = schedule(modules)
    posters = {m.posts: n for n, m in modules.items()}
    posters |= {Observation: "world", Task: "task", Verdict: "gate", Action: "gate"}
    checks = {k: compile_check(k, specs_of(k), SIZES, who) for k, who in posters.items()}
    site = Site(SENSORS, ACTUATORS, 20.0, SIZES["Z"], Layout((SENSORS.channel("fingertip"),)))
    readouts = ProbeReadouts(ProbeReadouts.Config(compressed=("impact",)), site)
    limits = [
        AtMost(AtMost.Config(name=f"limit{i}", quantity="joint_speed", limit=2.0), site)
        for i in range(SIZES["R"])
    ]
    guardrails = Guardrails(limits, readouts.requires_grad_(False))
    objective = GuardedObjective(None, None, guardrails)  # type: ignore[arg-type]
    gate = _ReadyGate(guardrails, objective, ACTUATORS, torch.zeros(2))
    agent = Agent(modules, gate, plan, checks)
    agent.reset(_blank(Task))
    observation = _blank(Observation)
    times = []
    for _ in range(ticks + 100):
        begin = time.perf_counter_ns()
        tick = agent.tick(observation)
        times.append((time.perf_counter_ns() - begin) / 1e3)
        assert not tick.faults, tick.faults
    return times[100:]


class _Ready:
    """A module that reads everything it declares and posts a message made beforehand."""

    def __init__(self, kind: Any) -> None:
        self.reads, self.recalls, self.posts = kind.reads, kind.recalls, kind.posts
        self._message = _blank(kind.posts)

    def reset(self, batch: int) -> None:
        pass

    def tick(self, inbox: Any) -> Any:
        for kind in self.reads:
            inbox[kind]
        for kind in self.recalls:
            inbox.last(kind)
        return self._message


class _ReadyGate(Gate):
    """The real gate but for the imagination: its guardrail values come ready."""

    _ready = torch.full((1, SIZES["R"], HORIZON), -1.0)

    def _values(self, state: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        return self._ready

    def _margin(self, which: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(which))


def _blank(kind: type) -> Any:
    """Return a message of zeros with every tensor field in its declared shape."""
    sizes = {**SIZES, "H": HORIZON}
    fields = {
        name: torch.zeros(
            [a if isinstance(a, int) else sizes[a] for a in spec.axes],
            dtype=getattr(torch, spec.dtype),
        )
        for name, spec in specs_of(kind).items()
        if not spec.optional
    }
    return kind(**fields)
