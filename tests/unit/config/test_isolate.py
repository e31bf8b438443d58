"""A module in a process of its own: the same plans, and no way to take the runtime with it."""

from __future__ import annotations

import dataclasses
import gc
import os
import signal
import subprocess
import sys
import time
import typing
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from agent.config import schema
from agent.config.build import Mind, blueprint
from agent.config.isolate import Isolated
from agent.config.parcel import decode, encode, pack, unpack
from agent.core.errors import InputError, WiringError
from agent.core.loop import Agent, Tick, live
from agent.core.messages import Action, Message, Observation, Plan, Ruling, Task, Verdict
from agent.core.spec import specs_of
from tests.fake_run import message, same
from tests.tiny import REACH, TINY, environment

KINDS = typing.get_args(Message)


def settled(*overrides: str) -> Any:
    return blueprint(schema.load(REACH, [*TINY, *overrides]))


def wayward(*deeds: str) -> Any:
    said = f"deeds: [{', '.join(deeds)}]"
    return settled(f"actor={{use: tests.wayward:Wayward, isolate: true, {said}}}")


def without_policy(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n: t for n, t in tensors.items() if not n.startswith("actor.")}


@settings(deadline=None, derandomize=True, max_examples=60)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 2**31), batch=st.integers(1, 3))
def test_every_message_travels_bit_for_bit(kind: type, seed: int, batch: int) -> None:
    said = message(kind, torch.Generator().manual_seed(seed), {"B": batch}, special=True)
    assert same(unpack(kind, decode(encode(pack(said)))), said)


rubbish = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(), st.text(), st.binary()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(data=st.data(), kind=st.sampled_from(KINDS))
def test_what_is_no_message_is_refused_or_is_one(data: st.DataObject, kind: type) -> None:
    whole = pack(message(kind, torch.Generator().manual_seed(0)))
    whole[data.draw(st.sampled_from(sorted(whole)))] = data.draw(rubbish)
    try:
        said = unpack(kind, decode(encode(whole)))
    except Exception as fault:  # noqa: BLE001 - the loop takes any of them for a failed module
        assert not isinstance(fault, AssertionError)
    else:
        for name, spec in specs_of(kind).items():
            value = getattr(said, name)
            assert isinstance(value, Tensor) or (spec.optional and value is None)
    with pytest.raises(ValueError, match="expected the fields"):
        unpack(kind, data.draw(rubbish))


def lived(mind: Mind, world: Any, task: Task, count: int) -> list[Tick]:
    return list(live(mind.agent(world), world, [1_000_000], task, count))


@pytest.mark.parametrize("slots", [("actor",), ("configurator", "memory")])
def test_an_isolated_module_says_the_same(
    slots: tuple[str, ...], mind: Mind, tensors: dict[str, Tensor], world: Any, task: Task
) -> None:
    """Two episodes, so that what it keeps between ticks and forgets between episodes is tried."""
    apart = settled(*(f"{slot}.isolate=true" for slot in slots)).assemble(tensors)
    assert all(isinstance(apart.modules()[slot], Isolated) for slot in slots)
    for _ in range(2):
        pairs = zip(lived(mind, world, task, 6), lived(apart, world, task, 6), strict=True)
        for ours, theirs in pairs:
            assert not theirs.faults
            assert ours.messages.keys() == theirs.messages.keys()
            for kind, said in ours.messages.items():
                other = theirs.messages[kind]
                if kind is Plan:
                    other = dataclasses.replace(other, elapsed_ms=said.elapsed_ms)
                assert same(said, other), kind


def asked(agent: Agent, seen: Observation) -> str:
    """Tick once; return why the fallback went out, or "" where the plan did."""
    tick = agent.tick(seen)
    verdict, action = tick.messages[Verdict], tick.messages[Action]
    low, high = agent.gate._low, agent.gate._high
    assert bool(((action.command >= low) & (action.command <= high)).all())
    if verdict.ruling.tolist() != [Ruling.VETOED]:
        return ""
    assert torch.equal(action.command[0], agent.gate.fallback)
    return str(verdict.reasons[0])


def test_whatever_it_does_costs_one_tick_and_harms_nothing(
    tensors: dict[str, Tensor], world: Any, task: Task, seen: Observation
) -> None:
    deeds = ["rest"] * 2 + [
        "rest", "fail", "nothing", "text", "short", "chat", "meddle", "dawdle", "rest", "die", "rest",
    ]  # fmt: skip
    mind = wayward(*deeds).assemble(without_policy(tensors))
    agent = mind.agent(world)
    module: Any = agent.modules["actor"]
    agent.reset(task)
    assert asked(agent, seen) == ""
    assert asked(agent, seen) == "actor (isolated): ValueError: not today"
    assert "actor (isolated): TypeError" in asked(agent, seen)
    assert "posted what is no Plan" in asked(agent, seen)
    assert "actor posted Plan.actions: expected float32[" in asked(agent, seen)
    assert asked(agent, seen) == ""
    assert asked(agent, seen) == ""  # a wild plan is clamped or replaced, by untouched guardrails
    assert mind.guardrails.verify()
    module.limit_s = 0.2
    assert asked(agent, seen) == "actor (isolated): no answer within 200 ms"
    module.limit_s = 30.0
    assert asked(agent, seen) == ""
    assert "actor (isolated): its process ended (code 7" in asked(agent, seen)
    start = time.monotonic()
    assert "actor (isolated): its process ended (code 7" in asked(agent, seen)
    assert time.monotonic() - start < 5.0
    agent.reset(task)  # another process, which has its deeds before it
    assert asked(agent, seen) == ""


def test_bytes_that_are_no_answer_end_the_line(
    tensors: dict[str, Tensor], world: Any, task: Task, seen: Observation
) -> None:
    agent = wayward("rest", "rest", "garble").assemble(without_policy(tensors)).agent(world)
    agent.reset(task)
    assert "its process ended (code -9; its answer has" in asked(agent, seen)


def test_a_process_that_hangs_is_ended(
    tensors: dict[str, Tensor], world: Any, task: Task, seen: Observation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    agent = wayward("rest", "rest", "hang").assemble(without_policy(tensors)).agent(world)
    module: Any = agent.modules["actor"]
    agent.reset(task)
    monkeypatch.setattr("agent.config.isolate.HANG_S", 0.6)
    module.limit_s = 0.4
    assert asked(agent, seen) == "actor (isolated): no answer within 400 ms"
    asked(agent, seen)
    assert "was silent for" in asked(agent, seen)
    assert module._line.code() == -signal.SIGKILL


def test_the_process_goes_with_the_mind(tensors: dict[str, Tensor], world: Any) -> None:
    mind = wayward().assemble(without_policy(tensors))
    mind.agent(world)
    process = mind.actor._line._process
    del mind
    gc.collect()
    assert process.wait(10) is not None


PARENT = """
import sys
from pathlib import Path
from agent.config import schema
from agent.config.build import blueprint
from agent.core.loop import live
from agent.evaluate.episodes import trials_of
found = blueprint(schema.load(Path(sys.argv[1]), [
    "actor={use: tests.wayward:Wayward, isolate: true, deeds: [rest, rest, hang]}"]))
mind, world = found.assemble(), found.world(1)
agent = mind.agent(world)
print(mind.actor._line._process.pid, flush=True)
for _ in live(agent, world, [900000], trials_of(world).tasks([900000]), 9):
    pass
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_process_does_not_outlive_its_parent(how: signal.Signals, tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(REACH)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(1.0)
    parent.send_signal(how)
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 10.0
    while gone(child) is False and time.monotonic() < until:
        time.sleep(0.1)
    assert gone(child)


def gone(process: int) -> bool:
    try:
        os.kill(process, 0)
        status = Path(f"/proc/{process}/stat")
        return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except ProcessLookupError:
        return True


@pytest.mark.parametrize("slot", ["world_model", "cost", "perception"])
def test_what_the_gate_relies_on_stays(slot: str) -> None:
    with pytest.raises(InputError, match=rf"{slot}.isolate: expected one of actor, .* came {slot}"):
        settled(f"{slot}.isolate=true")


def test_isolate_is_true_or_false_and_of_modules_alone() -> None:
    with pytest.raises(InputError, match="actor.isolate: expected true or false, came 'yes'"):
        settled("actor.isolate='yes'")
    with pytest.raises(InputError, match="unknown key 'isolate'"):
        settled("readouts.isolate=true")


def test_an_actor_cannot_plan_apart_from_a_model_that_adapts() -> None:
    with pytest.raises(InputError, match="does not change while it is lived with, came adapting"):
        settled("actor.isolate=true", "world_model={use: adapting}").assemble()


def test_an_actor_that_plans_at_levels_above_stays_where_the_gate_is() -> None:
    wanted = [
        "actor={use: hierarchical, isolate: true, planners: [{use: cem}, {use: cem}]}",
        "world_model={use: hjepa, levels: [{ticks: 2}]}",
        "cost.above=[pain]",
    ]
    with pytest.raises(InputError, match="expected an actor of one level, .* came hierarchical"):
        settled(*wanted).assemble()


def test_the_true_simulator_stays_where_it_is(tensors: dict[str, Tensor]) -> None:
    with pytest.raises(InputError, match="expected all modules in one process, came actor.isolate"):
        settled("actor.isolate=true").assemble(tensors, lambda model, _: model)


def test_a_module_that_cannot_be_built_is_refused(world: Any) -> None:
    found = settled("actor={use: tests.wayward:Wayward, isolate: true, built: false}")
    with pytest.raises((InputError, WiringError), match="nobody home"):
        found.assemble().agent(world)


def test_isolation_stands_in_the_resolved_config_and_nothing_else_changes() -> None:
    plain, apart = settled().resolved(), settled("actor.isolate=true").resolved()
    assert apart["actor"].pop("isolate") is True
    assert plain == apart
