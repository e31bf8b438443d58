"""`rooms_pixels`, `push_pixels`: what the camera shows is where the sensors say; bodies are alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from agent.core.messages import Action
from worlds.eye import DEPTH, SIZE
from worlds.push.world import Push
from worlds.push_pixels.world import SHADES as PUSH_SHADES
from worlds.push_pixels.world import PushPixels
from worlds.rooms.world import Rooms
from worlds.rooms_pixels.world import RoomsPixels

SEEDS = [1_000_000, 1_000_001, 5, 6]
VIEWS = {"rooms": (RoomsPixels, Rooms, 4.0), "push": (PushPixels, Push, 3.1)}


@pytest.fixture(params=VIEWS)
def case(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Any, float]]:
    kind, bare, width_m = VIEWS[request.param]
    seen, felt = kind(kind.Config(), len(SEEDS)), bare(bare.Config(), len(SEEDS))
    yield seen, felt, width_m
    seen.close()
    felt.close()


def pictures(world: Any, values: torch.Tensor) -> np.ndarray:
    return values[:, world.sensors["camera"]].reshape(-1, DEPTH, SIZE, SIZE).numpy()


def pixel(place: torch.Tensor, width_m: float) -> tuple[int, int]:
    x, y = place.tolist()
    return int((0.5 - y / width_m) * SIZE), int((x / width_m + 0.5) * SIZE)


def test_the_puck_is_seen_where_it_is(case: tuple[Any, Any, float]) -> None:
    world, _, width_m = case
    values = world.reset(SEEDS).values
    for picture, row in zip(pictures(world, values), values, strict=True):
        at = pixel(row[world.sensors["position"]], width_m)
        brightest = np.argwhere(picture[-1] == picture[-1].max())
        assert picture[-1].max() > 240
        assert np.abs(brightest - at).max() <= 2


def test_it_is_the_same_body_and_remembers_frames(case: tuple[Any, Any, float]) -> None:
    world, bare, _ = case
    seen, felt = world.reset(SEEDS), bare.reset(SEEDS)
    before = pictures(world, seen.values)
    assert (before == before[:, :1]).all()
    for share in torch.linspace(-1, 1, 6):
        action = Action(torch.full((len(SEEDS), 2), float(share)))
        seen, felt = world.step(action), bare.step(action)
        assert torch.equal(seen.values[:, : bare.sensors.size], felt.values)
        after = pictures(world, seen.values)
        assert (after[:, :-1] == before[:, 1:]).all()
        before = after


def test_doors_and_box_are_in_the_picture() -> None:
    world = RoomsPixels(RoomsPixels.Config(), len(SEEDS))
    values = world.reset(SEEDS).values
    for picture, row in zip(pictures(world, values)[:, -1], values, strict=True):
        for x, door in zip((-1.0, 0.0, 1.0), row[world.sensors["doors"]], strict=True):
            i, j = pixel(torch.tensor([x, float(door)]), 4.0)
            wall = picture[:, j - 1 : j + 1].mean(axis=1)
            assert wall[i] < 20, "a door is as dark as the floor"
            away = (i + SIZE // 4) if i < SIZE // 2 else (i - SIZE // 4)
            assert wall[away] > 60
    world.close()
    other = PushPixels(PushPixels.Config(), len(SEEDS))
    values = other.reset(SEEDS).values
    for picture, row in zip(pictures(other, values)[:, -1], values, strict=True):
        i, j = pixel(row[other.sensors["box_position"]], 3.1)
        assert abs(picture[i, j] - 255 * PUSH_SHADES["box"]) < 3
    other.close()
