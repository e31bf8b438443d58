"""Robots of MuJoCo Menagerie by name: `world: {use: "menagerie:universal_robots_ur5e"}`.

The package `mujoco-menagerie` (extra `menagerie`) knows all names and fetches a robot's files once,
when it is first asked for; with a checkout of Menagerie neither package nor network is needed.
Source: Zakka et al. (2022), MuJoCo Menagerie, https://github.com/google-deepmind/mujoco_menagerie.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from agent.core.errors import InputError, MissingExtra, nearest
from worlds.adapters.mjcf import Mjcf
from worlds.robots.settings import Robot

CHECKOUT = "MENAGERIE_ROOT"
"""The environment variable that says where a checkout is; the package reads the same."""


class Menagerie(Mjcf):
    """Copies of a robot of MuJoCo Menagerie; else as `mjcf`."""

    class Config(Robot):
        """`robot` is its name in Menagerie, `entry` one of its files, without it the scene.

        `root` is a checkout of Menagerie to take the files from; without it, MENAGERIE_ROOT, else
        what the package `mujoco-menagerie` has fetched.
        """

        robot: str = Field(min_length=1)
        entry: str = ""
        root: str = ""

        def file(self) -> Path:
            """Return the MJCF file, fetched if need be.

            Raises InputError for an unknown robot or entry, MissingExtra without the package.
            """
            root = self.root or os.environ.get(CHECKOUT, "")
            return _kept(Path(root), self) if root else _fetched(self)


def _kept(root: Path, config: Menagerie.Config) -> Path:
    """Return a file of a checkout."""
    known = [p.parent.name for p in root.glob("*/*.xml")]
    if config.robot not in known:
        raise _unknown(config.robot, known, f" in {root}")
    folder = root / config.robot
    entries = sorted(p.stem for p in folder.glob("*.xml"))
    usual = [n for n in entries if n == "scene"] or [n for n in entries if "mjx" not in n]
    entry = config.entry or usual[0]
    if entry not in entries:
        raise _no_entry(config, entries)
    return folder / f"{entry}.xml"


def _fetched(config: Menagerie.Config) -> Path:
    """Return a file of the package's, which fetches it once."""
    try:
        import mujoco_menagerie
    except ImportError:
        raise MissingExtra(
            "world (menagerie): expected the package 'mujoco-menagerie', found none; pip install"
            f" -e '.[menagerie]', or set world.root or {CHECKOUT} to a checkout of Menagerie"
        ) from None
    known = mujoco_menagerie.names()
    if config.robot not in known:
        raise _unknown(config.robot, known, "")
    robot = mujoco_menagerie.get(config.robot)
    if config.entry and config.entry not in robot.entry_names:
        raise _no_entry(config, robot.entry_names)
    try:
        return Path(robot.xml(config.entry or None))
    except (mujoco_menagerie.MenagerieError, OSError) as fault:
        reason = " ".join(str(fault).split())
        raise InputError(
            f"world (menagerie): cannot fetch '{config.robot}' ({reason}); mend the connection, or"
            f" set world.root or {CHECKOUT} to a checkout of Menagerie"
        ) from fault


def _unknown(robot: str, known: list[str], where: str) -> InputError:
    return InputError(f"world (menagerie): no robot '{robot}'{where}; {nearest(robot, known)}")


def _no_entry(config: Menagerie.Config, entries: list[str] | tuple[str, ...]) -> InputError:
    return InputError(
        f"world (menagerie): {config.robot} has no entry '{config.entry}';"
        f" {nearest(config.entry, entries)}"
    )


__all__ = ["Menagerie"]
