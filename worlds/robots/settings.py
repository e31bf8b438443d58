"""How to live in a body that an MJCF file describes: what can be set, beside the file itself."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from agent.core.settings import Settings


class Trial(Settings):
    """What evaluation asks and counts; no agent sees it.

    `aim` is the sensor that goals are about: it is to show, to within `within` in its unit, for
    `hold` ticks, what it shows at rest in another start. Without it nothing is asked. A tick in
    which a sensor falls below `least`, or its size exceeds `most`, at any physics step, is a
    violation; a limit is a number for all components, or a list of one for each, null where there
    is none.
    """

    aim: str = ""
    within: float = Field(default=0.03, gt=0)
    hold: int = Field(default=10, ge=1)
    least: dict[str, float | list[float | None]] = {}
    most: dict[str, float | list[float | None]] = {}


class Robot(Settings):
    """How to live in a body that an MJCF file describes; all of it may be left out.

    `rate_hz` is that of ticks, 0 the rate nearest to 50 Hz. `sensors` packs sensors of the model
    under a name (`{tip: [tip_sensor]}`); without it each is one by its own name. `joints` adds
    positions and velocities of all joints, as happens anyway where the model declares no sensor;
    `places` adds the positions (m) of these sites or bodies. `limits` are those of actuators that
    have none in the file. With `speed` above 0, position servos are driven in velocity: a command
    says how fast their target moves, at most so fast (rad/s or m/s), so that zero means to hold.
    Episodes start in the keyframe `start`, without it the model's first, else its default pose;
    each hinge and slide at random within `noise` (rad or m) of it, and within its range. `camera`
    names a camera of the model, which then shows 3 frames of `size` x `size` grey pixels.
    """

    rate_hz: float = Field(default=0.0, ge=0)
    sensors: dict[str, list[str]] = {}
    joints: bool = False
    places: list[str] = []
    limits: dict[str, list[float]] = {}
    speed: float = Field(default=0.0, ge=0)
    start: str = ""
    noise: float = Field(default=0.1, ge=0)
    camera: str = ""
    size: int = Field(default=64, ge=8, le=256)
    trial: Trial = Trial()

    def file(self) -> Path:
        """Return the MJCF file. Raises InputError if there is none."""
        raise NotImplementedError


__all__ = ["Robot", "Trial"]
