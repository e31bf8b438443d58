"""Units of what a MuJoCo model senses and drives: by type of sensor, actuator and joint.

MuJoCo itself has no units; these are those of a model written in metres, kilograms and seconds.
Source: MuJoCo documentation, XML reference, sections sensor and actuator.
"""

from __future__ import annotations

import mujoco
import numpy as np

S, T, G, B = mujoco.mjtSensor, mujoco.mjtTrn, mujoco.mjtGain, mujoco.mjtBias

PLACE, SPEED, FORCE = 0, 1, 2
"""What can be said of a coordinate: where it is, how fast it is, what acts on it."""

HINGE = ("rad", "rad/s", "N m")
SLIDE = ("m", "m/s", "N")
BARE = ("1", "1/s", "1")
"""Units of place, speed and force of a coordinate; the last of one that mixes several."""

FIXED = {
    S.mjSENS_TOUCH: "N",
    S.mjSENS_ACCELEROMETER: "m/s2",
    S.mjSENS_VELOCIMETER: "m/s",
    S.mjSENS_GYRO: "rad/s",
    S.mjSENS_FORCE: "N",
    S.mjSENS_TORQUE: "N m",
    S.mjSENS_MAGNETOMETER: "T",
    S.mjSENS_RANGEFINDER: "m",
    S.mjSENS_CAMPROJECTION: "pixel",
    S.mjSENS_TENDONPOS: "m",
    S.mjSENS_TENDONVEL: "m/s",
    S.mjSENS_TENDONACTFRC: "N",
    S.mjSENS_TENDONLIMITPOS: "m",
    S.mjSENS_TENDONLIMITVEL: "m/s",
    S.mjSENS_TENDONLIMITFRC: "N",
    S.mjSENS_BALLANGVEL: "rad/s",
    S.mjSENS_FRAMEPOS: "m",
    S.mjSENS_FRAMELINVEL: "m/s",
    S.mjSENS_FRAMEANGVEL: "rad/s",
    S.mjSENS_FRAMELINACC: "m/s2",
    S.mjSENS_FRAMEANGACC: "rad/s2",
    S.mjSENS_SUBTREECOM: "m",
    S.mjSENS_SUBTREELINVEL: "m/s",
    S.mjSENS_SUBTREEANGMOM: "kg m2/s",
    S.mjSENS_GEOMDIST: "m",
    S.mjSENS_GEOMFROMTO: "m",
    S.mjSENS_E_POTENTIAL: "J",
    S.mjSENS_E_KINETIC: "J",
    S.mjSENS_CLOCK: "s",
    S.mjSENS_TACTILE: "N",
}
"""Sensors whose unit their type decides. Quaternions, axes and users' own have the unit 1."""

OF_JOINTS = {
    S.mjSENS_JOINTPOS: PLACE,
    S.mjSENS_JOINTVEL: SPEED,
    S.mjSENS_JOINTACTFRC: FORCE,
    S.mjSENS_JOINTLIMITPOS: PLACE,
    S.mjSENS_JOINTLIMITVEL: SPEED,
    S.mjSENS_JOINTLIMITFRC: FORCE,
}
OF_ACTUATORS = {
    S.mjSENS_ACTUATORPOS: PLACE,
    S.mjSENS_ACTUATORVEL: SPEED,
    S.mjSENS_ACTUATORFRC: FORCE,
}
HARDEST = (S.mjSENS_TOUCH, S.mjSENS_CONTACT)
"""Sensors of blows, which may be over at the end of a tick."""


def sensed(model: mujoco.MjModel, sensor: int) -> str:
    """Return the unit of a sensor, by its index."""
    kind, object_ = S(int(model.sensor_type[sensor])), int(model.sensor_objid[sensor])
    if kind in OF_JOINTS:
        return _joint(model, object_)[OF_JOINTS[kind]]
    if kind in OF_ACTUATORS:
        return moved(model, object_)[OF_ACTUATORS[kind]]
    return FIXED.get(kind, "1")


def moved(model: mujoco.MjModel, actuator: int) -> tuple[str, str, str]:
    """Return units of place, speed and force of the coordinate that an actuator moves.

    A gear other than 1 scales the coordinate: nothing is known of its units then.
    """
    if abs(float(model.actuator_gear[actuator, 0])) != 1.0:
        return BARE
    kind, target = T(int(model.actuator_trntype[actuator])), int(model.actuator_trnid[actuator, 0])
    if kind in (T.mjTRN_JOINT, T.mjTRN_JOINTINPARENT):
        return _joint(model, target)
    return SLIDE if kind == T.mjTRN_TENDON else BARE


def driven(model: mujoco.MjModel, actuator: int) -> str:
    """Return the unit of an actuator's command: of what a servo aims at, or of a motor's force."""
    place, speed, force = moved(model, actuator)
    gain, bias = model.actuator_gainprm[actuator], model.actuator_biasprm[actuator]
    if G(int(model.actuator_gaintype[actuator])) != G.mjGAIN_FIXED:
        return "1"
    if B(int(model.actuator_biastype[actuator])) == B.mjBIAS_NONE:
        return force if gain[0] == 1.0 else "1"
    if serves(model, actuator):
        dynamics = int(model.actuator_dyntype[actuator])
        return speed if dynamics == int(mujoco.mjtDyn.mjDYN_INTEGRATOR) else place
    return speed if bias[1] == 0.0 and np.isclose(bias[2], -gain[0]) else "1"


def serves(model: mujoco.MjModel, actuator: int) -> bool:
    """Say whether an actuator is a servo of position: its force is kp (target - place) - ..."""
    gain, bias = model.actuator_gainprm[actuator], model.actuator_biasprm[actuator]
    affine = int(model.actuator_biastype[actuator]) == int(B.mjBIAS_AFFINE)
    return bool(affine and gain[0] > 0 and np.isclose(bias[1], -gain[0]))


def _joint(model: mujoco.MjModel, joint: int) -> tuple[str, str, str]:
    slides = int(model.jnt_type[joint]) == int(mujoco.mjtJoint.mjJNT_SLIDE)
    return SLIDE if slides else HINGE
