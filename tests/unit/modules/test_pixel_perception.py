"""Perception of pixels sees with the camera only, and what training changes of frames is drawn."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from agent.core.messages import Directive, Observation
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.perception.augment import Augment
from modules.perception.pixels import PixelsPerception

DEPTH, SIZE = 3, 16
SENSORS = Layout(
    (
        Channel("angle", 2, "rad"),
        Channel("camera", DEPTH * SIZE * SIZE, "grey", shape=(DEPTH, SIZE, SIZE)),
    )
)
PUSH = Layout((Channel("push", 1, "N", (-1.0,), (1.0,)),))


def site(sensors: Layout = SENSORS) -> Site:
    return Site(sensors, PUSH, 20.0, 5, Layout((sensors.channels[0],)))


def pictures(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (*shape, SENSORS.size), generator=generator).float()


def perception(**settings: object) -> PixelsPerception:
    torch.manual_seed(1)
    made = PixelsPerception(PixelsPerception.Config.model_validate(settings), site())
    made.fit_normaliser(pictures(50))
    return made


def observed(values: Tensor, camera: bool = True) -> dict[type, object]:
    rows = len(values)
    valid = torch.tensor([True, camera]).repeat(rows, 1)
    ask = Directive(
        torch.zeros(rows, 2), torch.ones(rows, 1), torch.ones(rows, 2), torch.full((rows,), 2)
    )
    seen = Observation(values, valid, torch.zeros(rows), torch.zeros(rows, dtype=torch.bool))
    return {Observation: seen, Directive: ask}


class Inbox(dict):  # type: ignore[type-arg]
    def last(self, _: type) -> None:
        return None


def test_no_other_sensor_is_looked_at() -> None:
    made, values = perception(), pictures(4)
    other = values.clone()
    other[:, SENSORS["angle"]] += 100.0
    assert torch.equal(made.encode(values), made.encode(other))
    one, two = (made.tick(Inbox(observed(v))) for v in (values, other))
    assert torch.equal(one.latent, two.latent)
    assert torch.equal(one.uncertainty, two.uncertainty)
    other[:, -1] += 1.0
    assert not torch.equal(made.encode(values), made.encode(other))


def test_sensors_beside_the_camera_are_seen_and_missed() -> None:
    made, values = perception(beside=["angle"]), pictures(4)
    other = values.clone()
    other[:, SENSORS["angle"]] += 100.0
    assert not torch.equal(made.encode(values), made.encode(other))
    unit = torch.ones(SENSORS.size)
    unit[SENSORS["angle"]] = 9.0
    grown = perception(beside=["angle"])
    grown.fit_normaliser(pictures(50) * unit)
    told = grown.encode(values * unit)
    torch.testing.assert_close(told, made.encode(values), msg="its unit is no matter")
    seen = observed(values)
    torch.testing.assert_close(made.tick(Inbox(seen)).latent, made.encode(values))
    lost = observed(values)
    lost[Observation].valid[:, 0] = False  # type: ignore[attr-defined]
    percept = made.tick(Inbox(lost))
    mean = values.clone()
    mean[:, SENSORS["angle"]] = made.centre
    torch.testing.assert_close(percept.latent, made.encode(mean))
    torch.testing.assert_close(percept.uncertainty, torch.full((4,), 2.0**0.5), msg="two scalars")


@pytest.mark.parametrize("name", ["angel", "camera"])
def test_what_is_beside_is_a_scalar_sensor(name: str) -> None:
    with pytest.raises(ValueError, match=f"beside: no scalar sensor '{name}'; "):
        perception(beside=[name])


def test_what_is_shown_in_training_alone_is_not_felt() -> None:
    taught = Layout((Channel("task_energy", 1, "1", taught=True), *SENSORS.channels))
    with pytest.raises(ValueError, match="no scalar sensor 'task_energy'"):
        PixelsPerception(PixelsPerception.Config(beside=["task_energy"]), site(taught))


def test_a_camera_that_is_out_shows_the_mean_and_is_uncertain() -> None:
    made = perception()
    percept = made.tick(Inbox(observed(torch.zeros(2, SENSORS.size), camera=False)))
    mean = torch.cat((torch.zeros(2), made.mean.flatten().repeat(DEPTH)))
    torch.testing.assert_close(percept.latent, made.encode(mean.expand(2, -1)))
    assert percept.uncertainty.tolist() == [1.0, 1.0]


def test_frames_that_ticks_share_are_encoded_once_and_alike() -> None:
    made = perception()
    film = pictures(1)[0, 2:].view(DEPTH, SIZE, SIZE).repeat(3, 1, 1)[:8]
    film = film + torch.arange(8).view(-1, 1, 1)
    stacks = film.unfold(0, DEPTH, 1).movedim(-1, 1).flatten(1)
    window = torch.cat((torch.zeros(6, 2), stacks), dim=1)[None]
    seen: list[int] = []
    made.frames.register_forward_hook(lambda _, given, __: seen.append(given[0][0].shape[0]))
    together = made.encode(window)
    alone = torch.stack([made.encode(tick) for tick in window[0]])
    torch.testing.assert_close(together[0], alone)
    assert seen[0] == 8, "a film of eight frames, not six stacks of three"
    shuffled = window[:, [3, 0, 5, 1, 4, 2]]
    torch.testing.assert_close(made.encode(shuffled)[0], alone[[3, 0, 5, 1, 4, 2]])


def test_motion_is_seen() -> None:
    made = perception()
    frames = pictures(1)[:, 2:].view(1, DEPTH, SIZE, SIZE)
    still = frames[:, -1:].expand(-1, DEPTH, -1, -1).flatten(1)
    moving = frames.flatten(1)
    told = [made.encode(torch.cat((torch.zeros(1, 2), v), dim=1)) for v in (still, moving)]
    assert not torch.allclose(*told)


@pytest.mark.parametrize(
    ("sensors", "said"),
    [
        (Layout(SENSORS.channels[:1]), "expected one image sensor, came 0"),
        (Layout((*SENSORS.channels, SENSORS.channels[1])), "expected one image sensor, came 2"),
    ],
)
def test_it_wants_one_camera(sensors: Layout, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PixelsPerception(PixelsPerception.Config(), site(sensors))


def test_patches_have_to_fit() -> None:
    with pytest.raises(ValueError, match="patch 5 does not divide 16x16 pixels"):
        perception(patch=5)


def test_images_come_after_scalars() -> None:
    with pytest.raises(ValueError, match="expected images after all scalars"):
        Layout(SENSORS.channels[::-1])
    assert SENSORS.scalars.names == ("angle",)


def test_nothing_changes_unless_asked_for() -> None:
    values = pictures(3, 2)
    assert perception().augment(values, 5) is values


@pytest.mark.parametrize("how", ["shift", "brightness", "contrast", "noise", "cutout"])
def test_changes_are_drawn_from_the_seed_and_leave_other_sensors_alone(how: str) -> None:
    size = {"contrast": 0.3}.get(how, 4)
    made, values = perception(augment={how: size}), pictures(3, 2)
    before = values.clone()
    one, again, other = made.augment(values, 5), made.augment(values, 5), made.augment(values, 6)
    assert torch.equal(values, before)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert not torch.equal(one, values)
    assert torch.equal(one[..., :2], values[..., :2])
    assert bool(((one >= 0) & (one <= 255)).all())
    stacks = one[..., 2:].view(6, DEPTH, SIZE, SIZE)
    assert not torch.equal(stacks[0] - stacks[1], stacks[2] - stacks[3])


def test_a_shift_moves_a_whole_stack_and_photometric_changes_move_nothing() -> None:
    dot = torch.zeros(40, DEPTH, SIZE, SIZE)
    dot[:, :, 8, 8] = 255.0

    def places(**settings: object) -> set[tuple[int, ...]]:
        changed = Augment(Augment.Config.model_validate(settings))(dot, 0)
        peaks = changed.flatten(2).argmax(dim=2)
        assert bool((peaks == peaks[:, :1]).all()), "all frames of a stack alike"
        return {(p // SIZE, p % SIZE) for p in peaks[:, 0].tolist()}

    assert places(brightness=20.0, contrast=0.2, noise=5.0) == {(8, 8)}
    shifted = places(shift=2)
    assert len(shifted) > 15
    assert all(abs(r - 8) <= 2 and abs(c - 8) <= 2 for r, c in shifted)
