"""What an MJCF file says of a body: its sensors and actuators, with names, units and limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from agent.core.errors import InputError, nearest
from agent.core.spec import Channel, Layout
from worlds.robots.settings import Robot
from worlds.robots.units import HARDEST, driven, sensed, serves
from worlds.simulation import Array, sensor_columns

J, S, OBJECT = mujoco.mjtJoint, mujoco.mjtSensor, mujoco.mjtObj
USUAL_HZ = 50.0

OF_JOINT = {
    J.mjJNT_HINGE: {"joint_angle": S.mjSENS_JOINTPOS, "joint_speed": S.mjSENS_JOINTVEL},
    J.mjJNT_SLIDE: {"slide_position": S.mjSENS_JOINTPOS, "slide_speed": S.mjSENS_JOINTVEL},
    J.mjJNT_BALL: {"orientation": S.mjSENS_BALLQUAT, "spin": S.mjSENS_BALLANGVEL},
    J.mjJNT_FREE: {
        "position": S.mjSENS_FRAMEPOS,
        "orientation": S.mjSENS_FRAMEQUAT,
        "velocity": S.mjSENS_FRAMELINVEL,
        "spin": S.mjSENS_FRAMEANGVEL,
    },
}
"""What a joint of each type shows. Hinges share channels, and so do slides; the others, being
bodies that turn or float, have channels of their own, `base.position`, by the name of the body."""


@dataclass(frozen=True, slots=True)
class Described:
    """A model and what it says of itself.

    `columns` of sensordata fill the scalar sensors in order, `hardest` says which of them are read
    at the hardest physics step of a tick, not at the last; `home` [nq] is the start without noise.
    `notes` are lines for people.
    """

    model: mujoco.MjModel
    sensors: Layout
    actuators: Layout
    columns: tuple[int, ...]
    hardest: tuple[int, ...]
    home: Array
    substeps: int
    rate_hz: float
    notes: tuple[str, ...]

    def stamp(self) -> bytes:
        """Return the compiled model, meshes included, as a file of MuJoCo's holds it."""
        whole = np.empty(mujoco.mj_sizeModel(self.model), np.uint8)
        mujoco.mj_saveModel(self.model, None, whole)
        return whole.tobytes()


def described(config: Robot) -> Described:
    """Return the body of a config.

    Raises InputError, in one line that says what to add, for a file that is missing or no MJCF, a
    model without actuators, a sensor without a name, an actuator without limits, unknown names.
    """
    path = config.file()
    spec = _parsed(path)
    channels, notes = _sensed(spec, config, path)
    names = _limited(spec, config, path)
    model = _compiled(spec, path)
    if config.speed:
        model = _sped(spec, model, config, path)
        notes.append(f"position servos are driven in velocity, up to {config.speed:g} per second")
    known = [model.camera(i).name for i in range(model.ncam)]
    if config.camera and config.camera not in known:
        raise _fault(path, f"no camera '{config.camera}'; {nearest(config.camera, known)}")
    sensors = [_channel(model, name, parts, path) for name, parts in channels.items()]
    columns = [sensor_columns(model, parts) for parts in channels.values()]
    flat = [c for some in columns for c in some]
    hard = {c for i in range(model.nsensor) if S(int(model.sensor_type[i])) in HARDEST
            for c in sensor_columns(model, [model.sensor(i).name])}  # fmt: skip
    home, where = _home(model, config, path)
    substeps, rate = _rate(model, config, path)
    notes.append(f"starts in {where}, every joint within {config.noise:g} of it")
    return Described(
        model,
        Layout(tuple(sensors)),
        Layout(tuple(_driven(model, i, name, path) for i, name in enumerate(names))),
        tuple(flat),
        tuple(i for i, c in enumerate(flat) if c in hard),
        home,
        substeps,
        rate,
        tuple(notes),
    )


def _fault(path: Path, text: str) -> InputError:
    return InputError(f"world (mjcf): {path.name}: {text}")


def _parsed(path: Path) -> mujoco.MjSpec:
    if not path.is_file():
        raise InputError(f"world (mjcf): expected an MJCF file at {path}, found none; correct it")
    try:
        return mujoco.MjSpec.from_file(str(path))
    except (ValueError, OSError) as fault:
        raise _fault(path, f"not valid MJCF: {' '.join(str(fault).split())}; mend it") from fault


def _compiled(spec: mujoco.MjSpec, path: Path) -> mujoco.MjModel:
    try:
        return spec.compile()
    except ValueError as fault:
        raise _fault(path, f"not valid MJCF: {' '.join(str(fault).split())}; mend it") from fault


def _sensed(
    spec: mujoco.MjSpec, config: Robot, path: Path
) -> tuple[dict[str, list[str]], list[str]]:
    """Add the sensors that the config wants; return channels by name, and what to say of it."""
    own = [s.name for s in spec.sensors]
    for index, sensor in enumerate(spec.sensors):
        if not sensor.name:
            kind = S(sensor.type).name.removeprefix("mjSENS_").lower()
            raise _fault(path, f'sensor {index} ({kind}) has no name; add name="..." to it')
    for name in (n for parts in config.sensors.values() for n in parts):
        if name not in own:
            raise _fault(path, f"world.sensors: no sensor '{name}'; {nearest(name, own)}")
    channels = {k: list(v) for k, v in config.sensors.items()} or {n: [n] for n in own}
    more, notes = dict[str, list[str]](), list[str]()
    if config.joints or not own:
        more = _joints(spec)
        why = "world.joints asks for them" if own else "the model declares no sensors"
        notes.append(f"sensors {', '.join(more) or 'none'} are its joints': {why}")
    sites, bodies = ([x.name for x in some if x.name] for some in (spec.sites, spec.bodies[1:]))
    for name in config.places:
        if name not in (*sites, *bodies):
            hint = nearest(name, {*sites, *bodies})
            raise _fault(path, f"world.places: no site or body '{name}'; {hint}")
        kind = OBJECT.mjOBJ_SITE if name in sites else OBJECT.mjOBJ_XBODY
        _add(spec, more, name, S.mjSENS_FRAMEPOS, kind, name)
    twice = sorted(set(channels) & set(more))
    if twice:
        raise _fault(path, f"sensor '{twice[0]}' is named twice; rename it in world.sensors")
    return channels | more, notes


def _joints(spec: mujoco.MjSpec) -> dict[str, list[str]]:
    channels: dict[str, list[str]] = {}
    for index, joint in enumerate(spec.joints):
        joint.name = joint.name or f"joint{index}"
        floats = joint.type == J.mjJNT_FREE
        body = joint.parent
        body.name = body.name or f"body{index}"
        own = f"{body.name}." if joint.type in (J.mjJNT_FREE, J.mjJNT_BALL) else ""
        for name, kind in OF_JOINT[J(joint.type)].items():
            where = (OBJECT.mjOBJ_XBODY, body.name) if floats else (OBJECT.mjOBJ_JOINT, joint.name)
            _add(spec, channels, own + name, kind, *where)
    return channels


def _add(
    spec: mujoco.MjSpec,
    channels: dict[str, list[str]],
    name: str,
    kind: mujoco.mjtSensor,
    objects: mujoco.mjtObj,
    of: str,
) -> None:
    sensor = f"{name}/{of}"
    spec.add_sensor(name=sensor, type=kind, objtype=objects, objname=of)
    channels.setdefault(name, []).append(sensor)


def _channel(model: mujoco.MjModel, name: str, parts: Iterable[str], path: Path) -> Channel:
    found = [model.sensor(part) for part in parts]
    units = sorted({sensed(model, int(s.id)) for s in found})
    if len(units) != 1:
        came = " and ".join(units) or "none"
        raise _fault(path, f"world.sensors.{name}: expected sensors of one unit, came {came};"
                           f" pack them apart")  # fmt: skip
    return Channel(name, sum(int(s.dim[0]) for s in found), units[0])


def _limited(spec: mujoco.MjSpec, config: Robot, path: Path) -> list[str]:
    """Put limits from the config into the model; return the actuators' names."""
    if not len(spec.actuators):
        raise _fault(path, "no actuators; add <actuator> with a motor, position or velocity drive")
    names: list[str] = []
    for index, actuator in enumerate(spec.actuators):
        name = actuator.name or actuator.target or f"actuator{index}"
        name = f"actuator{index}" if name in names else name
        names.append(name)
        if name in config.limits:
            limit = config.limits[name]
            if len(limit) != 2 or limit[0] >= limit[1]:
                raise _fault(path, f"world.limits.{name}: expected [low, high], came {limit}")
            actuator.ctrllimited, actuator.ctrlrange = mujoco.mjtLimited.mjLIMITED_TRUE, limit
    for name in config.limits:
        if name not in names:
            raise _fault(path, f"world.limits: no actuator '{name}'; {nearest(name, names)}")
    return names


def _driven(model: mujoco.MjModel, index: int, name: str, path: Path) -> Channel:
    low, high = map(float, model.actuator_ctrlrange[index])
    if not model.actuator_ctrllimited[index] or not low < high:
        raise _fault(
            path,
            f"actuator '{name}' has no limits; add ctrlrange=\"low high\" to it, or set"
            f" 'world.limits={{{name}: [low, high]}}'",
        )
    return Channel(name, 1, driven(model, index), (low,), (high,))


def _sped(spec: mujoco.MjSpec, model: mujoco.MjModel, config: Robot, path: Path) -> mujoco.MjModel:
    """Let the targets of position servos be moved by commands; MuJoCo's `intvelocity`."""
    found = 0
    for index, actuator in enumerate(spec.actuators):
        still = int(model.actuator_dyntype[index]) == int(mujoco.mjtDyn.mjDYN_NONE)
        if still and serves(model, index) and model.actuator_ctrllimited[index]:
            actuator.dyntype = mujoco.mjtDyn.mjDYN_INTEGRATOR
            actuator.actlimited, actuator.actrange = True, actuator.ctrlrange
            actuator.ctrllimited = mujoco.mjtLimited.mjLIMITED_TRUE
            actuator.ctrlrange = [-config.speed, config.speed]
            found += 1
    if not found:
        raise _fault(path, "world.speed: expected position servos with limits, found none; set 0")
    return _compiled(spec, path)


def _home(model: mujoco.MjModel, config: Robot, path: Path) -> tuple[Array, str]:
    names = [model.key(i).name for i in range(model.nkey)]
    if config.start and config.start not in names:
        raise _fault(path, f"world.start: no keyframe '{config.start}'; "
                           f"{nearest(config.start, names)}")  # fmt: skip
    if not names:
        return model.qpos0.copy(), "its default pose"
    index = names.index(config.start) if config.start else 0
    return model.key_qpos[index].copy(), f"keyframe '{names[index] or index}'"


def _rate(model: mujoco.MjModel, config: Robot, path: Path) -> tuple[int, float]:
    step = float(model.opt.timestep)
    substeps = max(1, round(1.0 / (step * (config.rate_hz or USUAL_HZ))))
    rate = 1.0 / (substeps * step)
    if config.rate_hz and not np.isclose(rate, config.rate_hz, rtol=1e-6):
        raise _fault(
            path,
            f"world.rate_hz: expected whole physics steps of {step:g} s a tick, came"
            f" {config.rate_hz:g} Hz; set {rate:.6g}",
        )
    return substeps, rate


__all__ = ["Described", "described"]
