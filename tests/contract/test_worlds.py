"""What every world promises: seeds decide, rows are alone, sensors honest, memory not shared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from agent.config.resolve import resolve
from agent.core.errors import PhysicsError
from agent.core.messages import Action, Observation, Task
from agent.core.settings import Settings
from agent.core.spec import Layout, compile_check, specs_of
from agent.evaluate.episodes import trials_of
from tests.contract.stand import cases, part, tensors

EVERY = pytest.mark.parametrize(("slot", "name"), cases("world"))
TICKS = 30


@pytest.fixture
def make(slot: str, name: str) -> Iterator[Any]:
    kind = resolve(slot, name)
    raw = {k: v for k, v in part(slot, name).items() if k != "use"}
    made: list[Any] = []

    def build(batch: int) -> Any:
        made.append(kind(kind.Config(**raw), batch))
        return made[-1]

    yield build
    for world in made:
        world.close()


def commands(world: Any, rows: int, seed: int = 0) -> torch.Tensor:
    """Return commands [TICKS rows A] over the whole range of the actuators, bounds included."""
    low, high = world.actuators.bounds()
    generator = torch.Generator().manual_seed(seed)
    share = (torch.rand(TICKS, rows, len(low), generator=generator) * 1.4 - 0.2).clamp(0, 1)
    return low + (high - low) * share


def lived(world: Any, seeds: list[int], moves: torch.Tensor) -> list[Observation]:
    seen = [world.reset(seeds)]
    return seen + [world.step(Action(move.contiguous())) for move in moves]


def equal(one: Observation, other: Observation, a: Any = slice(None), b: Any = slice(None)) -> bool:
    return all(torch.equal(v[a], tensors(other)[k][b]) for k, v in tensors(one).items())


@EVERY
def test_it_says_what_body_it_is(slot: str, name: str, make: Any) -> None:
    world, kind = make(2), resolve(slot, name)
    assert issubclass(kind.Config, Settings)
    assert isinstance(world.sensors, Layout)
    assert isinstance(world.actuators, Layout)
    assert world.rate_hz > 0
    assert world.batch == 2
    low, high = world.actuators.bounds()
    assert bool((torch.isfinite(low) & torch.isfinite(high) & (low < high)).all())
    assert all(c.unit for c in (*world.sensors.channels, *world.actuators.channels))
    assert not {"reward", "goal", "score"} & set(dir(world)), "a world wants nothing"


@EVERY
def test_it_comes_with_trials(slot: str, name: str, make: Any) -> None:
    world = make(3)
    trials = trials_of(world)
    task = trials.tasks([trials.EVALUATION_SEEDS + i for i in range(3)])
    assert isinstance(task, Task)
    assert bool(torch.isfinite(task.goal).all())
    world.reset([0, 1, 2])
    scorer = trials.Scorer(world, task)
    scorer.look()
    score = scorer.score()
    for field in ("reached", "contacts", "speeding", "closest_m", "reach_tick"):
        assert len(getattr(score, field)) == 3


@EVERY
def test_observations_keep_their_spec(slot: str, name: str, make: Any) -> None:
    world = make(3)
    sizes = {"B": 3, "O": world.sensors.size, "S": len(world.sensors.channels)}
    check = compile_check(Observation, specs_of(Observation), sizes, name)
    low, high = world.sensors.bounds()
    for tick, seen in enumerate(lived(world, [0, 1, 2], commands(world, 3))):
        check(seen)
        assert bool(torch.isfinite(seen.values).all())
        assert bool(((seen.values >= low) & (seen.values <= high)).all())
        assert seen.first.tolist() == [tick == 0] * 3
        torch.testing.assert_close(seen.time_s, torch.full((3,), tick / world.rate_hz))


@EVERY
def test_the_same_seeds_and_commands_give_the_same_life(slot: str, name: str, make: Any) -> None:
    one, other = make(2), make(2)
    moves = commands(one, 2)
    first = lived(one, [3, 4], moves)
    again = lived(one, [3, 4], moves)
    else_ = lived(other, [3, 4], moves)
    for a, b, c in zip(first, again, else_, strict=True):
        assert equal(a, b)
        assert equal(a, c)


@EVERY
def test_different_seeds_start_differently(slot: str, name: str, make: Any) -> None:
    values = make(8).reset(range(8)).values
    assert len({tuple(v) for v in values.tolist()}) == 8


@EVERY
def test_a_row_is_bit_equal_to_living_alone(slot: str, name: str, make: Any) -> None:
    many, alone = make(8), make(1)
    moves = commands(many, 8)
    together = lived(many, list(range(8)), moves)
    single = lived(alone, [5], moves[:, 5:6])
    for a, b in zip(together, single, strict=True):
        assert equal(a, b, slice(5, 6))


@EVERY
def test_nothing_of_the_inside_is_lent_out(slot: str, name: str, make: Any) -> None:
    careful, careless = make(2), make(2)
    moves = commands(careful, 2)
    truth = lived(careful, [1, 2], moves)
    kept = []
    seen = careless.reset([1, 2])
    for tick, move in enumerate(moves):
        assert equal(seen, truth[tick])
        kept.append(seen.values.clone())
        for value in tensors(seen).values():
            value.zero_()
        action = Action(move.clone())
        seen = careless.step(action)
        assert torch.equal(action.command, move)
        action.command.fill_(9e9)
    places = [v.data_ptr() for t in truth for v in tensors(t).values()]
    assert len(set(places)) == len(places)


@EVERY
def test_commands_matter(slot: str, name: str, make: Any) -> None:
    world = make(1)
    low, high = world.actuators.bounds()
    if not len(low):
        pytest.skip("a world that is only watched")
    ends = []
    for command in (low, high):
        ends.append(lived(world, [0], command.expand(5, 1, -1))[-1].values)
    assert not torch.equal(*ends)


@EVERY
def test_unstable_physics_is_raised_and_no_episode_begins_anew_in_silence(
    slot: str, name: str, make: Any
) -> None:
    world = make(2)
    if not hasattr(getattr(world, "simulation", None), "state"):
        pytest.skip("a simulator of its own: its adapter's tests look at this")
    world.reset([0, 1])
    world.simulation.state[1, 1 + world.model.nq] = 1e12
    rest = torch.zeros(2, world.actuators.size).clamp(*world.actuators.bounds())
    with pytest.raises(PhysicsError, match=r"unstable in rows \[1\]"):
        world.step(Action(rest))
