"""For people only: what an episode looked like, as an interactive 3-D replay or as a video.

The replay is one HTML page without network or GL on this side; the video needs both a GL back
end and ffmpeg. Nothing here feeds back into an agent.
"""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from worlds.film import GOAL_COLOUR, Array, NoGraphics, expect_poses, in_space, marker, video

PLAN_COLOUR = (225, 120, 30)


def replay_html(
    model: mujoco.MjModel,
    poses: Array,
    goal: Array | Sequence[float] | None,
    rate_hz: float,
    plans: Sequence[Array] | None = None,
) -> str:
    """Return a self-contained page that plays `poses` [T nq] in 3-D; needs no GL and no network.

    `goal` [2 or 3] (m) is marked by a ball; `plans`, one path [H 2 or 3] (m) per tick, are drawn
    as lines: what the agent imagined at that moment. A page is about 1 MB. `model` is not changed.
    Raises InputError if there is nothing to play.
    """
    expect_poses(model, poses)
    with contextlib.redirect_stdout(io.StringIO()):  # viser prints a banner
        import mjviser
        import viser

        server = viser.ViserServer(host="127.0.0.1", port=0, verbose=False)
        try:
            model = copy.copy(model)
            _frame(server, model)
            scene = mjviser.ViserMujocoScene(server, model, num_envs=1)
            scene.camera_tracking_enabled = False
            if goal is not None:
                server.scene.add_icosphere(
                    "/goal",
                    radius=marker(model),
                    color=GOAL_COLOUR,
                    opacity=0.7,
                    position=tuple(in_space(goal)),
                )
            lines = None
            if plans is not None and len(plans):
                lines = server.scene.add_line_segments(
                    "/plan", _segments(plans[0]), PLAN_COLOUR, thickness=marker(model) / 6
                )
            film = server.get_scene_serializer()
            data = mujoco.MjData(model)
            for t, pose in enumerate(poses):
                data.qpos[:] = pose
                mujoco.mj_kinematics(model, data)
                with server.atomic():
                    scene.update_from_mjdata(data)
                    if lines is not None and plans is not None and t < len(plans):
                        lines.points = _segments(plans[t])
                film.insert_sleep(1.0 / rate_hz)
            return film.as_html()
        finally:
            server.stop()


def discs(model: mujoco.MjModel) -> list[tuple[float, float, float]]:
    """Return the fixed round obstacles seen from above: (x, y, radius) in metres.

    Spheres and upright cylinders and capsules that can be touched; boxes and meshes are left out,
    and what reaches no higher than z = 0: the ground.
    """
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    kinds = (mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_CYLINDER)
    upright = {int(k) for k in (*kinds, mujoco.mjtGeom.mjGEOM_CAPSULE)}
    found = []
    for i in range(model.ngeom):
        fixed = model.body_weldid[model.geom_bodyid[i]] == 0
        touched = model.geom_contype[i] or model.geom_conaffinity[i]
        above = data.geom_xpos[i][2] + model.geom_aabb[i][2] + model.geom_aabb[i][5] > 0
        if fixed and touched and above and int(model.geom_type[i]) in upright:
            x, y = data.geom_xpos[i][:2].tolist()
            found.append((x, y, float(model.geom_size[i][0])))
    return found


def _frame(server: Any, model: mujoco.MjModel) -> None:
    """Stand the camera before the scene; draw finite planes as slabs, not as endless grids."""
    centre, extent = model.stat.center, max(float(model.stat.extent), 1e-3)
    server.initial_camera.look_at = tuple(centre)
    server.initial_camera.position = tuple(centre + extent * np.array([-0.75, -0.45, 0.95]))
    server.scene.configure_default_lights(True, cast_shadow=False)
    for i in np.flatnonzero(model.geom_type == int(mujoco.mjtGeom.mjGEOM_PLANE)):
        half = model.geom_size[i]
        if model.geom_bodyid[i] != 0 or half[0] <= 0 or half[1] <= 0:
            continue
        thick = 0.01 * extent
        server.scene.add_box(
            f"/plane{i}",
            color=tuple(int(255 * c) for c in model.geom_rgba[i][:3]),
            dimensions=(2 * half[0], 2 * half[1], thick),
            position=tuple(model.geom_pos[i] - [0, 0, thick / 2]),
            wxyz=tuple(model.geom_quat[i]),
        )
        model.geom_type[i] = int(mujoco.mjtGeom.mjGEOM_BOX)  # of no size: mjviser draws a grid
        model.geom_rgba[i, 3] = 0.0


def _segments(path: Any) -> NDArray[np.float32]:
    """Return the segments [H-1 2 3] of a path [H 2 or 3]."""
    points = np.stack([in_space(p) for p in np.asarray(path)]).astype(np.float32)
    return np.stack([points[:-1], points[1:]], axis=1)


__all__ = ["NoGraphics", "discs", "replay_html", "video"]
