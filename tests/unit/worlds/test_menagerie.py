"""Robots of MuJoCo Menagerie: from a checkout, or through the package that fetches them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from agent.core.errors import InputError, MissingExtra
from tests.tiny import ROOT
from worlds.adapters.menagerie import CHECKOUT, Menagerie

ARM = ROOT / "docs" / "examples" / "arm.xml"


@pytest.fixture
def checkout(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(CHECKOUT, raising=False)
    for robot, files in {"two_link": ("arm", "arm_mjx", "scene"), "lonely": ("lonely",)}.items():
        (folder / "menagerie" / robot).mkdir(parents=True)
        for name in files:
            shutil.copy(ARM, folder / "menagerie" / robot / f"{name}.xml")
    return folder / "menagerie"


def file(robot: str, **more: str) -> Path:
    return Menagerie.Config(robot=robot, **more).file()


def test_a_checkout_needs_no_package(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco_menagerie", None)
    root = str(checkout)
    assert file("two_link", root=root) == checkout / "two_link" / "scene.xml"
    assert file("two_link", root=root, entry="arm_mjx").name == "arm_mjx.xml"
    monkeypatch.setenv(CHECKOUT, root)
    assert file("lonely").name == "lonely.xml"
    kind = Menagerie.body(Menagerie.Config(robot="lonely"))
    assert kind.actuators.names == ("shoulder", "elbow")


def test_names_that_are_not_there_are_refused(checkout: Path) -> None:
    root = str(checkout)
    with pytest.raises(InputError, match="no robot 'twolink' in .*; did you mean 'two_link'"):
        file("twolink", root=root)
    with pytest.raises(InputError, match="two_link has no entry 'scenes'; did you mean 'scene'"):
        file("two_link", root=root, entry="scenes")
    with pytest.raises(InputError, match="known: none"):
        file("two_link", root=str(checkout / "nowhere"))


def test_without_the_package_it_says_what_to_type(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mujoco_menagerie", None)
    with pytest.raises(MissingExtra, match=r"pip install -e '\.\[menagerie\]', or set world.root"):
        file("two_link")


def test_the_package_is_asked(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        import mujoco_menagerie
    except ImportError:
        raise MissingExtra("needs mujoco-menagerie; pip install -e '.[menagerie]'") from None
    with pytest.raises(
        InputError, match="'universal_robot_ur5e'; did you mean 'universal_robots_ur5e'"
    ):
        file("universal_robot_ur5e")
    with pytest.raises(InputError, match="has no entry 'ur5'; did you mean 'ur5e'"):
        file("universal_robots_ur5e", entry="ur5")

    def offline(*_: object) -> Path:
        raise mujoco_menagerie.DownloadError("no route to host")

    monkeypatch.setattr(mujoco_menagerie.Robot, "xml", offline)
    with pytest.raises(InputError, match=r"cannot fetch .*no route to host.*MENAGERIE_ROOT"):
        file("universal_robots_ur5e")
    monkeypatch.setattr(mujoco_menagerie.Robot, "xml", lambda *_: checkout / "lonely.xml")
    assert file("universal_robots_ur5e").name == "lonely.xml"
