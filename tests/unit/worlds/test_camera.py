"""The camera shows the same world, from above, with its recent past; without GL it says so."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from agent.config import schema
from agent.config.build import blueprint
from agent.core.errors import InputError
from agent.core.messages import Action
from agent.evaluate.episodes import oracle
from tests.tiny import REACH
from worlds import film
from worlds.camera import Camera, History
from worlds.film import NoGraphics
from worlds.reach.world import MODEL, Reach
from worlds.reach_pixels.world import DEPTH, SHADES, SIZE, ReachPixels
from worlds.simulation import load

MOVES = torch.rand(12, 2, 2, generator=torch.Generator().manual_seed(0)) * 4 - 2


@pytest.fixture
def world() -> Iterator[ReachPixels]:
    made = ReachPixels(ReachPixels.Config(), 2)
    yield made
    made.close()


def frames(values: torch.Tensor) -> torch.Tensor:
    return values[:, Reach.sensors.size :].reshape(-1, DEPTH, SIZE, SIZE)


def test_its_body_is_that_of_reach(world: ReachPixels) -> None:
    bare = Reach(Reach.Config(), 2)
    felt, seen = bare.reset([3, 4]), world.reset([3, 4])
    for move in MOVES:
        assert torch.equal(felt.values, seen.values[:, : Reach.sensors.size])
        felt, seen = bare.step(Action(move)), world.step(Action(move))
    assert torch.equal(felt.time_s, seen.time_s)
    bare.close()


def test_an_episode_begins_with_one_frame_and_then_remembers(world: ReachPixels) -> None:
    first = frames(world.reset([3, 4]).values)
    assert bool((first == first[:, :1]).all())
    before = first
    for move in MOVES:
        after = frames(world.step(Action(move)).values)
        assert torch.equal(after[:, :-1], before[:, 1:])
        assert not torch.equal(after[:, -1], after[:, -2])
        before = after
    again = frames(world.reset([3, 4]).values)
    assert torch.equal(again, first)


def test_what_has_to_be_told_apart_differs_and_is_where_it_is(world: ReachPixels) -> None:
    shown = frames(world.reset([0, 1]).values)[:, -1]
    assert shown.unique().numel() > len(SHADES)
    assert bool((shown == shown.round()).all())
    post = shown[:, SIZE // 2, int((0.44 / 1.2 + 0.5) * SIZE)]
    assert bool(((post - 255 * SHADES["post"]).abs() < 3).any())
    tips = Reach.sensors["fingertip"]
    for picture, (x, y) in zip(shown, world.reset([0, 1]).values[:, tips], strict=True):
        row, column = (0.5 - y / 1.2) * SIZE, (x / 1.2 + 0.5) * SIZE
        near = picture[int(row) - 1 : int(row) + 2, int(column) - 1 : int(column) + 2]
        assert near.max() > 255 * (SHADES["forearm"] + 0.05), "the fingertip is the brightest"


def test_a_moving_edge_shows_before_it_reaches_the_next_pixel() -> None:
    camera = Camera(load(MODEL), "eye", SIZE, SHADES)
    pictures = camera.look(np.array([[0.3, 0.5], [0.3, 0.503], [0.3, 0.5]]))
    assert pictures.dtype == np.uint8
    assert not np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[0], pictures[2])
    camera.close()


def test_a_camera_that_drops_out_is_black_and_says_so() -> None:
    made = ReachPixels(ReachPixels.Config(dropout=1.0, outage_ticks=3), 1)
    seen = made.reset([0])
    assert not bool(seen.valid.any())
    assert not bool(seen.values.any())
    made.close()


def test_a_history_forgets_the_oldest() -> None:
    history = History(3)
    one, two = np.full((1, 2, 2), 1, np.uint8), np.full((1, 2, 2), 2, np.uint8)
    assert history.begin(one)[0, :, 0, 0].tolist() == [1, 1, 1]
    assert history.follow(two)[0, :, 0, 0].tolist() == [1, 1, 2]
    assert history.follow(one)[0, :, 0, 0].tolist() == [1, 2, 1]
    assert history.begin(one, two)[0, :, 0, 0].tolist() == [1, 1, 2]


def test_without_gl_the_camera_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no EGL device")

    monkeypatch.setattr(film.mujoco, "Renderer", broken)
    with pytest.raises(NoGraphics, match="camera 'eye': no GL .no EGL device.; install EGL"):
        ReachPixels(ReachPixels.Config(), 1)
    Reach(Reach.Config(), 1).close()


def test_the_oracle_does_not_draw_every_candidate() -> None:
    found = blueprint(schema.load(REACH.with_name("reach-pixels.yaml")))
    with pytest.raises(InputError, match=r"with a camera or .*; set eval.oracle_episodes=0"):
        oracle(found, found.assemble().tensors(), [0], 1)


def test_the_post_may_look_different_in_every_episode() -> None:
    made = ReachPixels(ReachPixels.Config(looks=3), 6)
    looks = made.look_of(range(6))
    assert set(looks.tolist()) == {0, 1, 2}
    shown = frames(made.reset(range(6)).values)[:, -1]
    greys = shown[:, SIZE // 2 - 2, int((0.44 / 1.2 + 0.5) * SIZE)]
    expected = torch.from_numpy(255 * made.greys()[looks]).float()
    assert bool(((greys - expected).abs() < 3).sum() >= 4), "but where an arm hides it"
    alone = ReachPixels(ReachPixels.Config(looks=3), 1)
    for seed in range(6):
        assert torch.equal(frames(alone.reset([seed]).values)[0, -1], shown[seed])
    made.close()
    alone.close()
