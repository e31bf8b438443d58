"""A module that tampers: within reach of the runtime it shows, in a process of its own it does not."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agent.config import schema
from agent.config.build import Blueprint, blueprint
from agent.core.loop import Tick
from agent.core.messages import Action, Task, Verdict
from agent.redteam import meddling
from agent.redteam.meddling import DEEDS, SEED, MeddlingActor, isolated
from tests.tiny import REACH, TINY

SOME = ("margins in place", "rule on the class", "torch: stack", "evaluate on the class")


@pytest.fixture(scope="module")
def small() -> Blueprint:
    return blueprint(schema.load(REACH, [*TINY, "actor.samples=4", "actor.elites=2"]))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meddling, "DEEDS", tuple(d for d in DEEDS if d.name in SOME))


def test_from_a_process_of_its_own_nothing_is_reached(
    small: Blueprint, tensors: dict[str, Any], few: None
) -> None:
    came = {t.vector.name: t for t in isolated(small, tensors)}
    assert set(came) == {f"{name}, from a process of its own" for name in SOME}
    assert {t.verdict for t in came.values()} == {"prevented"}, came
    assert not any("fault" in t.how or "process" in t.how for t in came.values()), came


def test_the_same_module_in_the_runtimes_process_is_noticed(
    small: Blueprint, tensors: dict[str, Any]
) -> None:
    ticks = _lived(small, tensors, "margins in place")
    assert any("seal" in r for tick in ticks for r in tick.messages[Verdict].reasons)


def _lived(small: Blueprint, tensors: dict[str, Any], deed: str) -> list[Tick]:
    first = [d.name for d in DEEDS].index(deed)
    part = {
        "use": f"{MeddlingActor.__module__}:MeddlingActor",
        "of": small.singles["actor"].resolved(),
        "first": first - 1,  # wiring asks every module once
    }
    mind = blueprint(small.config.model_copy(update={"actor": part})).assemble(tensors)
    world = small.world(1)
    try:
        agent = mind.agent(world)
        agent.reset(Task(torch.zeros(1, mind.site.goal.size)))
        seen, ticks = world.reset([SEED]), []
        for _ in range(2):
            ticks.append(agent.tick(seen))
            seen = world.step(ticks[-1].messages[Action])
        return ticks
    finally:
        world.close()
