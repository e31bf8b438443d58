"""Wiring: every mismatch is listed, and a dry tick is tried, before anything starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from agent.config.build import Mind
from agent.core.errors import WiringError
from agent.core.gate import Gate
from agent.core.messages import Observation, Percept, Plan
from agent.core.protocols import Ports
from agent.core.spec import Channel, Layout, Spec
from agent.core.wiring import wire
from tests.toys import ACTUATORS


class Disguised:
    """A module with other ports, or another tick, and everything else of the real one."""

    def __init__(self, real: Any, ports: Ports | None = None, tick: Any = None) -> None:
        self._real, self._ports, self._tick = real, ports, tick

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def ports(self) -> Ports:
        return self._ports or self._real.ports()

    def tick(self, inbox: Any) -> Any:
        return self._tick(inbox) if self._tick else self._real.tick(inbox)


def wired(mind: Mind, world: Any, **modules: Any) -> Any:
    gate = Gate(mind.guardrails, mind.objective, world.actuators, torch.zeros(2))
    return wire({**mind.modules(), **modules}, gate, world, mind.site.goal)


def test_what_fits_is_wired(mind: Mind, world: Any) -> None:
    agent = wired(mind, world)
    assert set(agent.schedule.order) == {*mind.modules(), "gate"}


def test_all_mismatches_are_listed_at_once(mind: Mind, world: Any) -> None:
    feet = Layout((Channel("joint_velocity", 2, "deg/s", (-3.0, -3.0), (3.0, 3.0)),))
    other = Ports(
        axes={"Z": 7, "T": 3},
        fields={
            (Observation, "values"): Spec(("B", "O"), dtype="float64", layout=feet),
            (Observation, "time_s"): Spec(("B",), unit="ms"),
            (Percept, "uncertainty"): Spec(("B", "Z")),
            (Plan, "bravery"): Spec(("B",)),
        },
    )
    with pytest.raises(WiringError) as caught:
        wired(mind, world, memory=Disguised(mind.memory, other))
    lines = str(caught.value).splitlines()
    assert lines[0] == "wiring: 7 mismatches, nothing started"
    assert len(lines) == 8
    text = {line.split(":")[0].strip(): line for line in lines[1:]}
    assert "memory says 7" in text["axis Z"]
    assert "perception says 24" in text["axis Z"]
    assert "memory says 3" in text["axis T"]
    assert "memory says it exists" in text["Plan.bravery"]
    assert "memory says float64[B O]" in text["Observation.values (dtype)"]
    assert "memory says joint_velocity[2] deg/s" in text["Observation.values (channels)"]
    assert "world says joint_angle[2] rad, joint_speed" in text["Observation.values (channels)"]
    assert "memory says float32[B] ms" in text["Observation.time_s (unit)"]
    assert "memory says float32[B Z]" in text["Percept.uncertainty (axes)"]


def test_a_world_of_another_body_is_refused(mind: Mind, world: Any) -> None:
    class Else:
        sensors, actuators, rate_hz, batch = world.sensors, ACTUATORS, 20.0, 1

    with pytest.raises(
        WiringError, match=r"Action\.command \(channels\).*world says push\[2\] m/s"
    ):
        wired(mind, Else())


def test_a_goal_of_another_size_is_refused(mind: Mind, world: Any) -> None:
    gate = Gate(mind.guardrails, mind.objective, world.actuators, torch.zeros(2))
    with pytest.raises(WiringError, match=r"axis G: .*task says 3"):
        wire(mind.modules(), gate, world, Layout((Channel("tip", 3, "m"),)))


def raises(_: Any) -> None:
    raise ZeroDivisionError("no\nway")


@pytest.mark.parametrize(
    ("slot", "tick", "complaint"),
    [
        ("memory", raises, "memory: ZeroDivisionError: no way"),
        ("perception", lambda inbox: inbox[Plan], "perception asked for Plan but reads only"),
        ("cost", lambda inbox: None, "cost must post Appraisal, came NoneType"),
        ("world_model", raises, "world_model: ZeroDivisionError"),
    ],
)
def test_what_the_dry_tick_trips_over_is_told(
    mind: Mind, world: Any, slot: str, tick: Any, complaint: str
) -> None:
    trap = Disguised(getattr(mind, slot), tick=tick)
    with pytest.raises(WiringError, match="the dry tick failed") as caught:
        wired(mind, world, **{slot: trap})
    assert complaint in str(caught.value)


def test_a_fault_of_the_second_tick_is_found_too(mind: Mind, world: Any) -> None:
    def tick(inbox: Any) -> Percept:
        percept: Percept = mind.perception.tick(inbox)
        if bool(inbox[Observation].first.all()):
            return percept
        return replace(percept, surprise=percept.surprise[:, None])

    with pytest.raises(WiringError, match=r"posted Percept\.surprise: expected float32\[B\], came"):
        wired(mind, world, perception=Disguised(mind.perception, tick=tick))
