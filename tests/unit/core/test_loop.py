"""The loop: a failing module costs a tick, never a live actuator."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

import pytest
import torch

from agent.config.build import Mind
from agent.core.errors import PhysicsError
from agent.core.loop import live
from agent.core.messages import (
    Action,
    Forecast,
    Message,
    Observation,
    Percept,
    Plan,
    Ruling,
    Task,
    Verdict,
)

FALLBACK = torch.zeros(1, 2)


def test_a_tick_says_everything_once(mind: Mind, world: Any, task: Task) -> None:
    agent = mind.agent(world)
    ticks = list(live(agent, world, [1_000_000], task, 3))
    assert [t.index for t in ticks] == [0, 1, 2]
    for tick in ticks:
        assert set(tick.messages) == set(typing.get_args(Message))
        assert tuple(tick.elapsed_ms) == agent.schedule.order
        assert tick.faults == ()
        assert tick.messages[Task] is task
    assert ticks[0].messages[Percept].surprise.item() == 0.0
    assert ticks[1].messages[Percept].surprise.item() > 0.0


class Stumbling:
    """A module that raises at chosen ticks."""

    def __init__(self, real: Any, when: set[int], fault: Exception) -> None:
        self._real, self._when, self._fault, self._count = real, when, fault, -1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def tick(self, inbox: Any) -> Any:
        self._count += 1
        if self._count in self._when:
            raise self._fault
        return self._real.tick(inbox)


@pytest.mark.parametrize("slot", ["configurator", "perception", "memory", "cost", "actor"])
def test_a_module_that_raises_ends_in_the_fallback(
    mind: Mind, world: Any, task: Task, slot: str
) -> None:
    agent = mind.agent(world)
    agent.modules[slot] = Stumbling(agent.modules[slot], {1}, ValueError("two\nlines"))
    ticks = list(live(agent, world, [1_000_000], task, 3))
    bad = ticks[1]
    assert bad.faults[0] == f"{slot}: ValueError: two lines"
    assert bad.messages[Verdict].ruling.tolist() == [Ruling.VETOED]
    assert bad.messages[Verdict].reasons == (f"{slot}: ValueError: two lines",)
    assert torch.equal(bad.messages[Action].command, FALLBACK)
    assert Plan not in bad.messages
    for good in (ticks[0], ticks[2]):
        assert good.faults == ()
        assert Plan in good.messages


class Meddling:
    """A module that does something with its inbox before it does its work."""

    def __init__(self, real: Any, deed: Any) -> None:
        self._real, self._deed = real, deed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def tick(self, inbox: Any) -> Any:
        self._deed(inbox)
        return self._real.tick(inbox)


def edit_the_command(inbox: Any) -> None:
    inbox[Action].command.fill_(9.0)


def post_another(inbox: Any) -> None:
    inbox._board.now[Action] = Action(torch.full((1, 2), 9.0))


@pytest.mark.parametrize("deed", [edit_the_command, post_another])
def test_who_ticks_after_the_gate_cannot_change_the_command(
    mind: Mind, world: Any, task: Task, deed: Any
) -> None:
    agent = mind.agent(world)
    agent.modules["world_model"] = Meddling(agent.modules["world_model"], deed)
    for tick in live(agent, world, [1_000_000], task, 2):
        assert float(tick.messages[Action].command.abs().max()) <= 3.0


def test_a_command_smuggled_past_the_gate_is_a_fault(mind: Mind, world: Any, task: Task) -> None:
    agent = mind.agent(world)
    agent.modules["memory"] = Meddling(agent.modules["memory"], post_another)
    (tick,) = live(agent, world, [1_000_000], task, 1)
    assert "only the gate may post" in tick.faults[0]
    assert torch.equal(tick.messages[Action].command, FALLBACK)


@pytest.mark.parametrize("values", [None, torch.zeros(2, 8), "wrong"])
def test_an_observation_that_is_none_ends_in_the_fallback(
    mind: Mind, world: Any, task: Task, seen: Observation, values: Any
) -> None:
    agent = mind.agent(world)
    agent.reset(task)
    tick = agent.tick(dataclasses.replace(seen, values=values))
    assert tick.messages[Verdict].ruling.tolist()[0] == Ruling.VETOED
    assert torch.equal(tick.messages[Action].command, FALLBACK)


def test_a_world_model_that_raises_after_the_gate_costs_no_action(
    mind: Mind, world: Any, task: Task
) -> None:
    agent = mind.agent(world)
    agent.modules["world_model"] = Stumbling(agent.modules["world_model"], {0}, KeyError("x"))
    first, second = live(agent, world, [1_000_000], task, 2)
    assert first.faults == ("world_model: KeyError: 'x'",)
    assert Forecast not in first.messages
    assert Plan in first.messages
    assert second.faults == ()
    assert second.messages[Percept].surprise.item() == 0.0


def test_a_message_of_the_wrong_shape_is_a_fault(mind: Mind, world: Any, task: Task) -> None:
    agent = mind.agent(world)
    real = agent.modules["actor"]

    class Short(Stumbling):
        def tick(self, inbox: Any) -> Plan:
            plan: Plan = real.tick(inbox)
            return dataclasses.replace(plan, energy=plan.energy[:, None])

    agent.modules["actor"] = Short(real, set(), ValueError())
    (tick,) = live(agent, world, [1_000_000], task, 1)
    assert tick.faults[0].startswith(
        "actor posted Plan.energy: expected float32[B], came float32[1, 1]"
    )
    assert torch.equal(tick.messages[Action].command, FALLBACK)


def test_a_late_plan_does_not_go_out(mind: Mind, world: Any, task: Task) -> None:
    agent = mind.agent(world)
    agent.gate.deadline_ms = 1e-6
    for tick in live(agent, world, [1_000_000], task, 2):
        assert tick.messages[Verdict].reasons[0].startswith("late: ")
        assert torch.equal(tick.messages[Action].command, FALLBACK)


def test_an_observation_of_the_wrong_shape_ends_in_the_fallback(
    mind: Mind, world: Any, task: Task, seen: Observation
) -> None:
    agent = mind.agent(world)
    agent.reset(task)
    tick = agent.tick(dataclasses.replace(seen, values=seen.values[:, :-1]))
    assert tick.faults[0].startswith("world posted Observation.values: expected float32")
    assert torch.equal(tick.messages[Action].command, FALLBACK)
    assert agent.tick(seen).faults == ()


def test_every_agent_gets_the_fallback_when_perception_fails(mind: Mind, plans: Any) -> None:
    world = plans.world(3)
    agent = mind.agent(world)
    agent.modules["perception"] = Stumbling(mind.perception, {0}, ValueError("x"))
    (tick,) = live(agent, world, [1, 2, 3], Task(torch.zeros(3, 2)), 1)
    world.close()
    assert tick.messages[Action].command.tolist() == [[0.0, 0.0]] * 3


class Watched:
    """A world that remembers the commands it got, and may break."""

    def __init__(self, real: Any, broken_at: int = -1) -> None:
        self._real, self.commands, self._broken_at = real, [], broken_at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def step(self, action: Action) -> Observation:
        self.commands.append(action.command.clone())
        if len(self.commands) == self._broken_at:
            raise PhysicsError("unstable")
        observation: Observation = self._real.step(action)
        return observation


def test_the_world_gets_what_the_gate_let_out(mind: Mind, world: Any, task: Task) -> None:
    watched = Watched(world)
    ticks = list(live(mind.agent(world), watched, [1_000_000], task, 3))
    assert len(watched.commands) == 3
    for tick, command in zip(ticks, watched.commands, strict=True):
        assert torch.equal(tick.messages[Action].command, command)


def test_leaving_early_sends_the_fallback(mind: Mind, world: Any, task: Task) -> None:
    watched = Watched(world)
    life = live(mind.agent(world), watched, [1_000_000], task, 100)
    next(life)
    life.close()
    assert len(watched.commands) == 2
    assert torch.equal(watched.commands[-1], FALLBACK)


def test_an_interrupt_sends_the_fallback(mind: Mind, world: Any, task: Task) -> None:
    watched = Watched(world)
    life = live(mind.agent(world), watched, [1_000_000], task, 100)
    next(life)
    with pytest.raises(KeyboardInterrupt):
        life.throw(KeyboardInterrupt)
    assert torch.equal(watched.commands[-1], FALLBACK)


def test_unstable_physics_ends_the_episode_and_sends_the_fallback(
    mind: Mind, world: Any, task: Task
) -> None:
    watched = Watched(world, broken_at=2)
    with pytest.raises(PhysicsError, match="unstable"):
        list(live(mind.agent(world), watched, [1_000_000], task, 100))
    assert len(watched.commands) == 3
    assert torch.equal(watched.commands[-1], FALLBACK)


def test_an_episode_does_not_remember_the_one_before(mind: Mind, world: Any, task: Task) -> None:
    agent = mind.agent(world)
    first = list(live(agent, world, [1_000_000], task, 4))
    again = list(live(agent, world, [1_000_000], task, 4))
    for one, other in zip(first, again, strict=True):
        for kind in (Observation, Percept, Action, Forecast):
            for spec in dataclasses.fields(kind):
                assert torch.equal(
                    getattr(one.messages[kind], spec.name), getattr(other.messages[kind], spec.name)
                )


def test_what_was_said_is_not_changed_afterwards(mind: Mind, world: Any, task: Task) -> None:
    agent = mind.agent(world)
    copies = []
    for tick in live(agent, world, [1_000_000], task, 4):
        copies.append(
            (
                tick,
                {
                    k: {f: v.clone() for f, v in tensors(m).items()}
                    for k, m in tick.messages.items()
                },
            )
        )
    for tick, before in copies:
        for kind, message in tick.messages.items():
            for name, value in tensors(message).items():
                assert torch.equal(value.nan_to_num(), before[kind][name].nan_to_num()), (
                    kind,
                    name,
                )


def tensors(message: Any) -> dict[str, torch.Tensor]:
    found = {f.name: getattr(message, f.name) for f in dataclasses.fields(message)}
    return {k: v for k, v in found.items() if isinstance(v, torch.Tensor)}
