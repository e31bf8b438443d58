"""Videos become episodes that a camera might have seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.core.errors import InputError
from agent.core.spec import Channel, Layout
from agent.train.videos import read
from worlds.film import film_of

SIZE, DEPTH = 16, 3
SENSORS = Layout(
    (
        Channel("angle", 2, "rad"),
        Channel("camera", DEPTH * SIZE**2, "grey", shape=(DEPTH, SIZE, SIZE)),
    )
)


def moving(count: int, width: int = 24) -> np.ndarray:
    """Return frames [T 24 width] in whose middle square a bar moves one pixel a frame."""
    frames = np.zeros((count, 24, width), np.uint8)
    for i in range(count):
        left = (width - 24) // 2 + i % 24
        frames[i, :, left : left + 3] = 220
    return frames


def test_a_video_becomes_episodes_with_history(tmp_path: Path) -> None:
    film_of(moving(95), tmp_path / "a.mp4", 20.0)
    film_of(moving(12), tmp_path / "b.mp4", 20.0)
    data = read(tmp_path, SENSORS, commands=2, rate_hz=20.0, ticks=9)
    assert data.values.shape == (10, 10, 2)
    assert data.commands.shape == (10, 9, 2)
    assert not data.values.any()
    assert not data.commands.any()
    seen = data.images.pixels.reshape(10, 10, DEPTH, SIZE, SIZE)
    assert seen[0, 0].eq(seen[0, 0, :1]).all(), "an episode begins with its first frame, repeated"
    assert seen[:, 1:, :-1].equal(seen[:, :-1, 1:]), "every frame stands with those before it"
    across = np.arange(SIZE)
    middle = [float((seen[0, t, -1].float().mean(0).numpy() * across).sum()) for t in range(4)]
    assert middle == sorted(middle)


def test_the_rate_and_the_middle_square_are_taken(tmp_path: Path) -> None:
    film_of(moving(400, width=48), tmp_path / "wide.mp4", 40.0)
    data = read(tmp_path, SENSORS, commands=1, rate_hz=20.0, ticks=18)
    assert len(data) == 10
    shown = data.images.pixels.reshape(10, 19, DEPTH, SIZE, SIZE)[0, 0, -1].float()
    assert int(shown.mean(0).argmax()) in (0, 1, 2), "the bar starts at the square's left edge"


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected videos .* found none"):
        read(tmp_path, SENSORS, 1, 20.0, 5)
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    with pytest.raises(InputError, match=r"broken\.mp4 cannot be read"):
        read(tmp_path, SENSORS, 1, 20.0, 5)


def test_short_videos_and_worlds_without_a_camera_are_refused(tmp_path: Path) -> None:
    film_of(moving(6), tmp_path / "short.mp4", 20.0)
    with pytest.raises(InputError, match="episodes of 10 frames at 20 Hz in .*, came 0"):
        read(tmp_path, SENSORS, 1, 20.0, 9)
    with pytest.raises(InputError, match="one camera"):
        read(tmp_path, SENSORS.scalars, 1, 20.0, 9)
