"""Anybody's MJCF file: names, units and limits are the model's own; what is missing is named."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
import torch

from agent.core.errors import InputError, PhysicsError
from agent.core.messages import Action
from agent.evaluate.episodes import trials_of
from tests.tiny import ROOT
from worlds.adapters.mjcf import Mjcf

ARM = ROOT / "docs" / "examples" / "arm.xml"
MOTOR = '<actuator><motor name="drive" joint="hinge" ctrlrange="-1 1"/></actuator>'
JOINT = '<joint name="hinge" axis="0 1 0"/>'
Make = Callable[..., Any]


def mjcf(actuator: str = MOTOR, sensor: str = "", joint: str = JOINT, more: str = "") -> str:
    return (
        f'<mujoco><worldbody><body name="arm">{joint}<geom name="rod" fromto="0 0 0 0.3 0 0"'
        f' type="capsule" size="0.02"/><site name="tip" pos="0.3 0 0"/></body></worldbody>'
        f"{actuator}<sensor>{sensor}</sensor>{more}</mujoco>"
    )


@pytest.fixture
def make(folder: Path) -> Iterator[Make]:
    made = []

    def build(text: str | Path = ARM, batch: int = 2, **more: Any) -> Any:
        path = text if isinstance(text, Path) else folder / "robot.xml"
        if isinstance(text, str):
            path.write_text(text)
        config = Mjcf.Config(path=str(path), **more)
        made.append(Mjcf.body(config)(config, batch))
        return made[-1]

    yield build
    for world in made:
        world.close()


SENSED = {
    '<jointpos joint="hinge" name="x"/>': "rad",
    '<jointvel joint="hinge" name="x"/>': "rad/s",
    '<actuatorfrc actuator="drive" name="x"/>': "N m",
    '<gyro site="tip" name="x"/>': "rad/s",
    '<accelerometer site="tip" name="x"/>': "m/s2",
    '<framepos objtype="site" objname="tip" name="x"/>': "m",
    '<framequat objtype="site" objname="tip" name="x"/>': "1",
    '<touch site="tip" name="x"/>': "N",
    '<rangefinder site="tip" name="x"/>': "m",
    '<torque site="tip" name="x"/>': "N m",
    '<e_kinetic name="x"/>': "J",
}
DRIVEN = {
    '<motor joint="hinge" ctrlrange="-1 1"/>': "N m",
    '<motor joint="hinge" gear="50" ctrlrange="-1 1"/>': "1",
    '<position joint="hinge" kp="9" ctrlrange="-1 1"/>': "rad",
    '<velocity joint="hinge" kv="2" ctrlrange="-1 1"/>': "rad/s",
    '<intvelocity joint="hinge" kp="9" actrange="-1 1" ctrlrange="-1 1"/>': "rad/s",
    '<muscle joint="hinge" ctrlrange="0 1" lengthrange="0 1"/>': "1",
}


@pytest.mark.parametrize("sensor", SENSED)
def test_a_sensor_has_the_unit_of_its_type(make: Make, sensor: str) -> None:
    (channel,) = make(mjcf(sensor=sensor)).sensors.channels
    assert (channel.name, channel.unit) == ("x", SENSED[sensor])


@pytest.mark.parametrize("actuator", DRIVEN)
def test_an_actuator_has_the_unit_of_what_it_drives(make: Make, actuator: str) -> None:
    (channel,) = make(mjcf(f"<actuator>{actuator}</actuator>")).actuators.channels
    assert (channel.name, channel.unit) == ("hinge", DRIVEN[actuator])
    assert channel.high == (1.0,)


def test_a_slide_is_measured_in_metres(make: Make) -> None:
    world = make(mjcf(joint='<joint name="hinge" type="slide"/>'))
    assert [(c.name, c.unit) for c in world.sensors.channels] == [
        ("slide_position", "m"),
        ("slide_speed", "m/s"),
    ]
    assert world.actuators.channels[0].unit == "N"


def test_without_sensors_its_joints_are_sensed_and_it_says_so(make: Make) -> None:
    world = make(
        mjcf(joint="<freejoint/>" + "", actuator=MOTOR.replace('joint="hinge"', 'site="tip"'))
    )
    assert world.sensors.names == ("arm.position", "arm.orientation", "arm.velocity", "arm.spin")
    assert [c.unit for c in world.sensors.channels] == ["m", "1", "m/s", "rad/s"]
    assert any("declares no sensors" in note for note in world.notes)
    assert not any("sensors" in note for note in make().notes)


def test_sensors_show_what_mujoco_computes(make: Make) -> None:
    packs = {"angle": ["shoulder_angle", "elbow_angle"], "room": ["forearm_room"]}
    world = make(sensors=packs, places=["hand"], joints=True)
    assert world.sensors.names == ("angle", "room", "joint_angle", "joint_speed", "hand")
    world.reset([4, 5])
    command = torch.tensor([[0.7, -1.0], [0.2, 0.4]])
    for _ in range(5):
        seen = world.step(Action(command)).values
    data = mujoco.MjData(world.model)
    mujoco.mj_setState(
        world.model, data, world.simulation.state[1], mujoco.mjtState.mjSTATE_FULLPHYSICS
    )
    mujoco.mj_forward(world.model, data)
    truth = [
        data.qpos,
        data.sensor("forearm_room").data,
        data.qpos,
        data.qvel,
        data.site("hand").xpos,
    ]
    np.testing.assert_allclose(seen[1].numpy(), np.concatenate(truth), rtol=1e-5, atol=2e-2)
    hand = seen[1, world.sensors["hand"]].numpy()
    assert np.linalg.norm(hand) <= 0.471


def test_a_blow_is_shown_at_its_hardest(make: Make) -> None:
    fall = mjcf(
        joint='<joint name="hinge" type="slide" axis="0 0 1"/>',
        sensor='<touch site="pad" name="blow"/>',
    ).replace('<site name="tip"', '<site name="pad" size="0.5" pos="0.15 0 0"/><site name="tip"')
    fall = fall.replace(
        "<worldbody>", '<worldbody><geom type="plane" size="1 1 1" pos="0 0 -0.1"/>'
    )
    world = make(fall, 1, noise=0.0)
    world.reset([0])
    blows = [float(world.step(Action(torch.zeros(1, 1))).values[0, 0]) for _ in range(20)]
    traces = float(world.simulation.trace.max())
    assert max(blows) > 2 * traces > 0


def test_starts_are_near_the_keyframe_and_within_ranges(make: Make) -> None:
    key = '<keyframe><key name="up" qpos="0.4"/><key name="down" qpos="-0.4"/></keyframe>'
    text = mjcf(joint=JOINT.replace("/>", ' limited="true" range="-30 30"/>'), more=key)
    high, low = make(text, 64, noise=0.3), make(text, 64, noise=0.05, start="down")
    angles = high.reset(range(64)).values[:, 0]
    assert 0.1 <= float(angles.min()) < 0.15
    assert 0.5 < float(angles.max()) <= np.deg2rad(30) + 1e-6
    assert float((low.reset(range(64)).values[:, 0] + 0.4).abs().max()) <= 0.05 + 1e-6
    assert float(low.reset(range(64)).values[:, 1].abs().max()) == 0.0


def test_starts_do_not_overlap_where_they_need_not(make: Make) -> None:
    world = make(noise=2.0, batch=200)
    seen = world.reset(range(200)).values
    assert float(seen[:, world.sensors["forearm_room"]].min()) >= -1.001e-3


def test_servos_driven_in_velocity_hold_at_zero(make: Make) -> None:
    servo = '<actuator><position name="drive" joint="hinge" kp="200" dampratio="1" ctrlrange="-2 2"/></actuator>'
    world = make(mjcf(servo), speed=1.5, noise=1.0)
    (channel,) = world.actuators.channels
    assert (channel.unit, channel.low, channel.high) == ("rad/s", (-1.5,), (1.5,))
    begin = world.reset([1, 2]).values[:, 0]
    for _ in range(50):
        end = world.step(Action(torch.zeros(2, 1))).values[:, 0]
    assert float((end - begin).abs().max()) < 0.1, "it sags a little under its weight"
    for _ in range(50):
        moved = world.step(Action(torch.full((2, 1), 0.5))).values[:, 0]
    torch.testing.assert_close(moved - end, torch.full((2,), 0.5), atol=0.1, rtol=0)


def test_at_first_servos_driven_in_velocity_push_no_harder_than_later(make: Make) -> None:
    servo = '<actuator><position name="drive" joint="hinge" kp="200" dampratio="1" ctrlrange="-2 2"/></actuator>'
    force = '<jointpos joint="hinge" name="at"/><actuatorfrc actuator="drive" name="force"/>'
    world = make(mjcf(servo, force), speed=1.5, noise=1.0)
    first = world.reset([1, 2]).values
    assert float(first[:, 0].abs().max()) > 0.1, "bent, so that targets of 0 would pull"
    torch.testing.assert_close(first[:, 1], torch.zeros(2))


def test_rows_with_unstable_physics_raise_and_are_not_reset(make: Make) -> None:
    world = make(mjcf(MOTOR.replace("-1 1", "-1e9 1e9")))
    world.reset([0, 1])
    command = Action(torch.tensor([[0.0], [1e9]]))

    def go_on() -> None:
        for _ in range(200):
            world.step(command)

    with pytest.raises(PhysicsError, match=r"unstable in rows \[1\].*invalid"):
        go_on()


def test_goals_are_poses_of_its_own_and_scored(make: Make) -> None:
    trial = {
        "aim": "hand",
        "hold": 3,
        "least": {"forearm_room": 0.0},
        "most": {"shoulder_speed": 0.5},
    }
    world = make(places=["hand"], noise=1.0, trial=trial, batch=3)
    trials, seeds = trials_of(world), [1_000_000, 1_000_001, 1_000_002]
    task = trials.tasks(seeds)
    assert task.goal.shape == (3, 3)
    torch.testing.assert_close(trials.tasks(seeds[1:2]).goal, task.goal[1:2])
    there = trials.sights(world, seeds).values[:, world.sensors["hand"]]
    torch.testing.assert_close(there, task.goal)
    scorer = trials.Scorer(world, task)
    for _ in range(3):
        world.step(Action(torch.zeros(3, 2)))
        scorer.look()
    score = scorer.score()
    assert score.reached.all()
    assert score.counted
    assert score.contacts.sum() == 0
    for _ in range(20):
        world.step(Action(torch.full((3, 2), 2.0)))
        scorer.look()
    assert (scorer.score().contacts > 10).all(), "faster than 0.5 rad/s"


def test_a_limit_may_be_one_for_each_component(make: Make) -> None:
    for side, limit, broken in (
        ("least", -9.0, 0),
        ("least", 0.6, 1),
        ("most", 9.0, 0),
        ("most", 0.0, 1),
    ):
        trial = {side: {"hand": [limit, None, None]}}
        world = make(places=["hand"], noise=0.0, trial=trial, batch=1)
        scorer = trials_of(world).Scorer(world, trials_of(world).tasks([0]))
        world.reset([0])
        world.step(Action(torch.zeros(1, 2)))
        scorer.look()
        assert scorer.score().contacts.tolist() == [broken], (side, limit)
        assert (scorer.score().closest_m[0] >= 0.0) == (broken == 0)


def test_room_to_a_limit_that_is_no_length_is_no_distance(make: Make) -> None:
    trial = {"most": {"shoulder_speed": 0.5}}
    world = make(noise=0.0, trial=trial, batch=1)
    scorer = trials_of(world).Scorer(world, trials_of(world).tasks([0]))
    for _ in range(5):
        world.step(Action(torch.full((1, 2), 2.0)))
        scorer.look()
    assert scorer.score().contacts[0] > 0
    assert scorer.score().closest_m.tolist() == [math.inf]


@pytest.mark.parametrize(
    ("text", "more", "says"),
    [
        (mjcf(""), {}, "no actuators; add <actuator>"),
        (mjcf(sensor='<touch site="tip"/>'), {}, r'sensor 0 \(touch\) has no name; add name="..." to it'),
        (mjcf(MOTOR.replace(' ctrlrange="-1 1"', "")), {}, r"'drive' has no limits; add ctrlrange="),
        ("<mujoco><bla/></mujoco>", {}, "not valid MJCF: .*bla.*; mend it"),
        (mjcf(joint='<joint name="knee"/>'), {}, "not valid MJCF: .*'hinge'"),
        (mjcf(), {"places": ["tpi"]}, "no site or body 'tpi'; did you mean 'tip'"),
        (mjcf(), {"sensors": {"a": ["b"]}}, "no sensor 'b'"),
        (ARM, {"sensors": {"a": ["elbow_angle", "elbow_speed"]}}, r"expected sensors of one unit, came rad and rad/s"),
        (mjcf(), {"limits": {"drvie": [0, 1]}}, "no actuator 'drvie'; did you mean 'drive'"),
        (mjcf(), {"limits": {"drive": [1, 0]}}, r"expected \[low, high\]"),
        (mjcf(), {"start": "up"}, "no keyframe 'up'"),
        (mjcf(), {"rate_hz": 30.0}, "expected whole physics steps of 0.002 s a tick, came 30 Hz; set 29.4118"),
        (mjcf(), {"camera": "eye"}, "no camera 'eye'"),
        (mjcf(), {"speed": 1.0}, "expected position servos"),
        (mjcf(), {"trial": {"aim": "tip"}}, "world.trial: the robot has no sensor 'tip'"),
        (mjcf(), {"places": ["tip"], "trial": {"least": {"tip": [0.0]}}}, "world.trial: expected 3 limits of 'tip', one for each component, or a single number for all, came a list of 1"),
        (mjcf(), {"joints": True, "trial": {"most": {"joint_speed": [1.0, 1.0]}}}, "expected 1 limits of 'joint_speed'"),
        (mjcf(), {"places": ["tip"], "trial": {"least": {"tip": [None, None, None]}}}, "world.trial: expected a finite limit of one component of 'tip' or more, came .*None.*; leave it out"),
        (mjcf(), {"joints": True, "trial": {"most": {"joint_speed": -1.0}}}, "expected a limit of at least 0 for the size of 'joint_speed', came -1"),
        (Path("no.xml"), {}, "expected an MJCF file at no.xml, found none"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_in_one_line(make: Make, text: Any, more: Any, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        make(text, **more)
    assert "\n" not in str(caught.value)


def test_limits_may_come_from_the_config(make: Make) -> None:
    world = make(mjcf(MOTOR.replace(' ctrlrange="-1 1"', "")), limits={"drive": [-0.5, 0.25]})
    assert (world.actuators.channels[0].low, world.actuators.channels[0].high) == ((-0.5,), (0.25,))


def test_its_camera_is_a_sensor(make: Make) -> None:
    world = make(camera="above", size=32, noise=1.0)
    camera = world.sensors.channel("camera")
    assert camera.shape == (3, 32, 32)
    assert not hasattr(world, "packed"), "no oracle with a camera"
    first = world.reset([0, 1]).values[:, world.sensors["camera"]].reshape(2, 3, 32, 32)
    assert torch.equal(first[:, 0], first[:, 2])
    assert not torch.equal(first[0], first[1])
    for _ in range(3):
        seen = world.step(Action(torch.full((2, 2), 2.0)))
    frames = seen.values[:, world.sensors["camera"]].reshape(2, 3, 32, 32)
    assert not torch.equal(frames[:, 0], frames[:, 2])
    assert seen.valid.shape == (2, 7)
    assert trials_of(world).tasks([1]).goal.shape == (1, 0)
