"""Images lie in a file, come out as they went in, and later stages need them no more."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
import torch

from agent.config import schema
from agent.config.build import Blueprint, blueprint
from agent.core.errors import InputError
from agent.core.spec import Channel, Layout
from agent.train import examine
from agent.train.course import course_of, train
from agent.train.dataset import Dataset
from agent.train.explore import Explorer
from agent.train.images import Album, Images, checksum, open_images, reuse_memory
from agent.train.progress import Figures, Ledger, State, silent
from agent.train.recall import encoded, recalling, remembered
from agent.train.stages import explore
from agent.train.understanding import understand
from tests.tiny import REACH

TINY = [
    "train={explore: {episodes: 20, ticks: 26}, learner: {steps: 20, batch: 4},"
    " readouts: {steps: 20, horizon: 24, batch: 8}, detours: {steps: 5, states: 128, goals: 64},"
    " distil: {lessons: 8, steps: 5}, calibrate: {rounds: 2, episodes: 4, segments: 1}}",
    "critic.steps=20",
    "actor.samples=8",
    "actor.elites=4",
]
CAMERA = Layout((Channel("when", 1, "s"), Channel("camera", 6, "grey", shape=(1, 2, 3))))


@pytest.fixture
def seen() -> Blueprint:
    return blueprint(schema.load(REACH.with_name("reach-pixels.yaml"), TINY))


def filled(path: Path | None) -> Dataset:
    """Return 20 episodes of 8 ticks, whose pixels say which episode and tick they are of."""
    album = Album(path, 20, 8, 6)
    when = torch.arange(9.0).expand(20, -1)[..., None].clone()
    for first in range(0, 24, 8):  # the last batch is larger than what is left
        for tick in range(9):
            who = torch.arange(first, first + 8)[:, None] * 10 + tick
            album.put(first, tick, who.expand(-1, 6).clamp(max=255).float())
    return Dataset(when, when[:, :-1].clone(), album.close())


@pytest.mark.parametrize("where", ["file", "memory"])
def test_windows_join_images_to_scalars(where: str, folder: Path) -> None:
    data = filled(folder / "explore.npy" if where == "file" else None)
    values, commands = data.windows(100, 4, torch.Generator().manual_seed(0))
    assert values.shape == (100, 5, 7)
    assert values.dtype == torch.float32
    assert bool((values[..., 1:] % 10 == values[..., :1]).all())
    assert torch.equal(commands, values[:, :-1, :1])
    known, held = data.split()
    assert held.windows(9, 1, torch.Generator())[0][..., 1].div(10).floor().unique().tolist() == [
        9.0,
        19.0,
    ]
    assert known.images is not None
    assert data.images is not None
    assert known.images.pixels.data_ptr() == data.images.pixels.data_ptr(), "nothing is copied"
    assert data.sample(30).shape == (30, 1, 7)


def test_a_file_gives_the_same_windows_as_memory(folder: Path) -> None:
    stored, kept = filled(folder / "explore.npy"), filled(None)
    again = Dataset(stored.values, stored.commands, open_images(folder / "explore.npy"))
    draws = [d.split()[0].windows(50, 3, torch.Generator().manual_seed(1)) for d in (stored, again)]
    for values, commands in draws:
        expected = kept.split()[0].windows(50, 3, torch.Generator().manual_seed(1))
        assert torch.equal(values, expected[0])
        assert torch.equal(commands, expected[1])
    assert [p.name for p in folder.iterdir()] == ["explore.npy"]
    assert (folder / "explore.npy").stat().st_size < 20 * 9 * 6 + 200, "a byte a pixel"


def disk(folder: Path, kept: dict[str, tuple[State, Figures]]) -> Ledger:
    def save(name: str, tensors: State, figures: Figures) -> None:
        kept[name] = tensors, figures

    return Ledger(lambda *_: None, save, kept.get, folder=folder)


def test_what_was_explored_is_taken_up_only_whole(seen: Blueprint, folder: Path) -> None:
    world, kept = seen.world(10), dict[str, tuple[State, Figures]]()
    config = Explorer.Config(episodes=10, ticks=4)
    first = explore(config, world, 0, disk(folder, kept))
    world.step = None  # nothing may be explored again
    taken = explore(config, world, 0, disk(folder, kept))
    assert isinstance(first.images, Images)
    assert isinstance(taken.images, Images)
    assert torch.equal(first.images.pixels, taken.images.pixels)
    assert torch.equal(first.values, taken.values)
    with (folder / "explore.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x07")
    assert checksum(open_images(folder / "explore.npy")) != kept["explore"][1]["crc32"]
    with pytest.raises(TypeError):
        explore(config, world, 0, disk(folder, kept))
    world.close()


def test_every_frame_is_encoded_once_and_then_looked_up() -> None:
    class Sum:
        def __init__(self) -> None:
            self.calls = 0

        def encode(self, values: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return values[..., 1:].sum(dim=-1, keepdim=True)

    data, perception = filled(None), Sum()
    small = encoded(data, perception, CAMERA)  # type: ignore[arg-type]
    assert perception.calls == len(data)
    assert small.images is None
    assert small.values.shape == (20, 9, 2)
    looking = recalling(perception, CAMERA)  # type: ignore[arg-type]
    values, _ = data.windows(30, 3, torch.Generator().manual_seed(2))
    stored, _ = small.windows(30, 3, torch.Generator().manual_seed(2))
    assert torch.equal(looking.encode(stored), perception.encode(values))
    assert torch.equal(stored[..., :1], values[..., :1])
    assert perception.calls == len(data) + 1


def test_without_images_nothing_stands_between() -> None:
    values, layout = torch.rand(3, 4, 1), CAMERA.scalars
    data = Dataset(values, values[:, :-1])
    assert encoded(data, None, layout) is data  # type: ignore[arg-type]
    assert remembered(values, None, layout) is values  # type: ignore[arg-type]
    assert recalling("perception", layout) == "perception"  # type: ignore[arg-type]


def test_an_agent_learns_from_pixels_and_reads_scalars(
    seen: Blueprint, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, tuple[State, Figures]] = {}
    trained = train(seen, disk(folder, kept))
    scalars = {c.name for c in seen.singles["world"].kind.sensors.scalars.channels}
    read = {n.removeprefix("probe_r2.") for n in trained.figures if n.startswith("probe_r2.")}
    assert read == scalars
    assert trained.figures["transitions"] > 20 * 26
    mind = seen.assemble(trained.tensors)
    assert set(mind.readouts.layout.names) == scalars
    monkeypatch.setattr(examine, "MAPPED", 40)
    looked = examine.examine(mind, trained.dataset, 6)
    assert set(looked.linear_r2) == scalars
    assert all(len(strip.seen) == 8 for strip in looked.strips)
    again = train(seen, silent_with(kept, folder))
    assert all(torch.equal(v, again.tensors[k]) for k, v in trained.tensors.items())


def silent_with(kept: dict[str, tuple[State, Figures]], folder: Path) -> Ledger:
    quiet = silent()
    return Ledger(quiet.log, quiet.save, kept.get, folder=folder)


REHEARSE = "train.rehearse={steps: 30, batch: 4, objectives: [{use: prediction}]}"


@pytest.mark.parametrize("config", ["reach.yaml", "reach-pixels.yaml"])
def test_rehearsing_trains_the_world_model_and_leaves_percepts_alone(config: str) -> None:
    plain, more = (
        blueprint(schema.load(REACH.with_name(config), [*TINY, *o])) for o in ([], [REHEARSE])
    )
    kept: dict[str, tuple[State, Figures]] = {}
    ledger = Ledger(
        lambda *_: None, lambda n, t, f: kept.update({n: (t, f)}), kept.get, every_s=60.0
    )
    before = understand(plain, course_of(plain), silent()).mind.tensors()
    after = understand(more, course_of(more), ledger).mind.tensors()
    for name in before:
        if name.startswith("perception."):
            assert torch.equal(before[name], after[name]), name
    for layer in ("first", "second", "third"):
        assert not torch.equal(
            before[f"world_model.{layer}.weight"], after[f"world_model.{layer}.weight"]
        )
    assert "rehearse" in kept
    again = understand(more, course_of(more), ledger).mind.tensors()
    assert all(torch.equal(after[name], again[name]) for name in after)


def test_rehearsing_needs_an_objective_that_trains_the_predictor_and_says_so_at_once() -> None:
    course = [*TINY, "train.rehearse={steps: 30, objectives: [{use: vicreg}]}"]
    plans = blueprint(schema.load(REACH, course))
    with pytest.raises(InputError, match=r"train\.rehearse\.objectives: expected one that trains"):
        understand(plans, course_of(plans), silent())


def test_freed_memory_is_written_to_again() -> None:
    if not reuse_memory():
        pytest.skip("no glibc")

    def faults_of_40_mb() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(10_000_000)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults_of_40_mb()
    assert faults_of_40_mb() < 1000, "of 10,000 pages"
