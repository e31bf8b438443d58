"""Replays need no GL and no network; videos are whole or not there, or say why."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest

from agent.core.errors import InputError
from worlds import film
from worlds.simulation import load
from worlds.stage import NoGraphics, discs, replay_html, video

ROOT = Path(__file__).parents[3]
MODEL = ROOT / "worlds" / "reach" / "model.xml"
POSES = np.stack([np.linspace(-1, 1, 6), np.linspace(0, 1, 6)], axis=1)


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return load(MODEL)


def test_a_replay_is_self_contained(
    model: mujoco.MjModel, capsys: pytest.CaptureFixture[str]
) -> None:
    before = model.geom_rgba.copy()
    plans = [np.zeros((4, 2)) + t for t in range(6)]
    page = replay_html(model, POSES, [0.3, 0.2], 20.0, plans)
    assert "__VISER_EMBED_DATA__" in page
    assert not re.findall(r"(?:src|href)=[\"']https?://", page)
    assert capsys.readouterr().out == ""
    assert np.array_equal(model.geom_rgba, before)


def test_the_post_is_seen_from_above(model: mujoco.MjModel) -> None:
    assert discs(model) == [(0.44, 0.0, 0.05)]
    mesa = load(ROOT / "worlds" / "cliff" / "model.xml")
    assert discs(mesa) == [(0.0, 0.0, 1.5)], "the rock; what one drives on is in nobody's way"


def test_a_replay_needs_no_gl() -> None:
    code = (
        "import sys, numpy as np; from worlds.simulation import load; from pathlib import Path;"
        "from worlds.stage import replay_html;"
        "replay_html(load(Path(sys.argv[1])), np.zeros((2, 2)), None, 20.0);"
        "assert 'OpenGL' not in sys.modules"
    )
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "MUJOCO_GL")}
    subprocess.run(
        [sys.executable, "-c", code, str(MODEL)],
        cwd=ROOT,
        env=env | {"PYTHONPATH": str(ROOT)},
        check=True,
    )


def test_a_video_is_written_whole(model: mujoco.MjModel, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "video.mp4"
    try:
        video(model, POSES, [0.3, 0.2], path, 20.0, size=(96, 64))
    except NoGraphics as lack:
        pytest.skip(lack.reason)
    raw = path.read_bytes()
    assert raw[4:8] == b"ftyp"
    assert b"avc1" in raw
    assert os.listdir(path.parent) == ["video.mp4"]


def test_without_gl_the_reason_is_told(
    model: mujoco.MjModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no EGL device")

    monkeypatch.setattr(film.mujoco, "Renderer", broken)
    with pytest.raises(NoGraphics, match="no EGL device") as caught:
        video(model, POSES, None, tmp_path / "video.mp4", 20.0)
    assert "libegl1" in caught.value.reason
    assert os.listdir(tmp_path) == []


def test_without_ffmpeg_the_reason_is_told(
    model: mujoco.MjModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(NoGraphics, match="no ffmpeg"):
        video(model, POSES, None, tmp_path / "video.mp4", 20.0)


@pytest.mark.parametrize("poses", [np.zeros((0, 2)), np.zeros((3, 5)), np.zeros(4)])
def test_poses_of_another_body_are_refused(
    model: mujoco.MjModel, poses: np.ndarray, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="expected poses"):
        replay_html(model, poses, None, 20.0)
    with pytest.raises(InputError, match="expected poses"):
        video(model, poses, None, tmp_path / "video.mp4", 20.0)
