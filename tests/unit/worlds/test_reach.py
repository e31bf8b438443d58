"""Reach and its scorer: what a seed starts, what the sensors show, what truly happened."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from agent.core.errors import InputError, PhysicsError
from agent.core.messages import Action, Task
from agent.train.explore import Explorer
from worlds.oracle import Oracle
from worlds.reach import trials
from worlds.reach.world import Reach
from worlds.simulation import load


def body(batch: int = 1, **settings: Any) -> Reach:
    return Reach(Reach.Config(**settings), batch)


def lived(ticks: int, seeds: list[int], **settings: Any) -> list[Any]:
    world = body(len(seeds), **settings)
    moves = Action(torch.full((len(seeds), 2), 0.5))
    seen = [world.reset(seeds), *(world.step(moves) for _ in range(ticks))]
    world.close()
    return seen


def test_without_dropout_sensors_are_always_valid() -> None:
    for plain, same in zip(lived(20, [1, 2]), lived(20, [1, 2], outage_ticks=3), strict=True):
        assert bool(plain.valid.all())
        assert torch.equal(plain.values, same.values)


def test_a_sensor_that_is_out_reads_zero_and_says_so() -> None:
    whole = lived(60, [1, 2, 3])
    torn = lived(60, [1, 2, 3], dropout=0.05, outage_ticks=4)
    valid = torch.stack([t.valid for t in torn])
    assert 0.6 < float(valid.float().mean()) < 0.95
    sensor = torch.arange(5).repeat_interleave(torch.tensor([2, 2, 2, 1, 1]))
    for truth, seen in zip(whole, torn, strict=True):
        shown = truth.values * seen.valid[:, sensor]
        assert torch.equal(seen.values, shown)
        assert torch.equal(seen.time_s, truth.time_s)


def test_outages_are_a_function_of_seed_and_tick_and_as_long_as_stated() -> None:
    many = lived(80, [7, 8, 9], dropout=0.02, outage_ticks=6)
    alone = lived(80, [9], dropout=0.02, outage_ticks=6)
    for a, b in zip(many, alone, strict=True):
        assert torch.equal(a.valid[2:], b.valid)
        assert torch.equal(a.values[2:], b.values)
    out = ~torch.stack([t.valid for t in many]).flatten(1)
    lengths = []
    for column in out.T.tolist():
        text = "".join("x" if gone else " " for gone in column)
        lengths += [len(part) for part in text.rstrip("x").split()]
    assert lengths
    assert all(n % 6 == 0 for n in lengths)
    assert 6 in lengths


@pytest.mark.parametrize(
    "wrong", [{"dropout": -0.1}, {"dropout": 1.1}, {"outage_ticks": 0}, {"outage_ticks": 1.5}]
)
def test_outages_must_make_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Reach.Config(**wrong)


def test_nothing_is_learned_from_sensors_that_are_out() -> None:
    world = body(4, dropout=0.2)
    explorer = Explorer(Explorer.Config(episodes=4, ticks=20), world)
    with pytest.raises(InputError, match="dropped out; train with world.dropout=0") as caught:
        explorer.collect(lambda *_: None)
    assert "\n" not in str(caught.value)
    world.close()


def test_a_missing_or_broken_model_file_is_told(folder: Any) -> None:
    with pytest.raises(InputError, match=r"expected an MJCF file at .*none\.xml, found none"):
        load(folder / "none.xml")
    (folder / "bad.xml").write_text("<mujoco><worldbody><geom type='ball'/></worldbody></mujoco>")
    with pytest.raises(InputError, match="not a valid MJCF model") as caught:
        load(folder / "bad.xml")
    assert "\n" not in str(caught.value)


def test_starts_are_at_rest_and_clear_of_the_post() -> None:
    world = body(64)
    values = world.reset(range(64)).values
    assert bool((values[:, 2:4] == 0).all())
    assert float(values[:, 6].min()) >= 0.05
    assert len({tuple(v) for v in values[:, :2].tolist()}) == 64
    world.close()


def test_the_fingertip_is_where_the_angles_say() -> None:
    world = body(16)
    v = world.reset(range(16)).values.double()
    q1, q12 = v[:, 0], v[:, 0] + v[:, 1]
    tip = torch.stack((0.3 * q1.cos() + 0.25 * q12.cos(), 0.3 * q1.sin() + 0.25 * q12.sin()), dim=1)
    torch.testing.assert_close(tip, v[:, 4:6], atol=1e-6, rtol=0)
    world.close()


def test_unstable_physics_is_an_error_not_a_teleport() -> None:
    world = body(2)
    world.reset([0, 1])
    world.simulation.state[1, 1 + world.model.nq] = 1e12
    with pytest.raises(PhysicsError, match=r"unstable in rows \[1\]"):
        world.step(Action(torch.zeros(2, 2)))
    world.close()


def test_goals_can_be_reached_and_depend_on_the_seed_alone() -> None:
    goals = trials.tasks(range(50)).goal
    assert goals.dtype == torch.float32
    assert float(goals.norm(dim=1).max()) <= 0.55
    assert torch.equal(goals[7:8], trials.tasks([7]).goal)
    assert float((goals - torch.tensor([0.44, 0.0])).norm(dim=1).min()) > 0.05


def test_starts_and_goals_are_drawn_apart() -> None:
    world = body(20)
    tips = world.reset(range(20)).values[:, 4:6]
    assert float((tips - trials.tasks(range(20)).goal).norm(dim=1).min()) > 1e-3
    world.close()


def scored(*ticks: Any, goal: tuple[float, float] = (0.0, 0.0)) -> trials.Score:
    """Score scripted ticks, each [steps 8] in sensor order, of one episode."""
    script = [np.asarray(t, np.float64)[None] for t in ticks]
    world = SimpleNamespace(batch=1, readings=lambda trace: trace, simulation=SimpleNamespace())
    scorer = trials.Scorer(world, Task(torch.tensor([goal])))  # type: ignore[arg-type]
    for trace in script:
        world.simulation.trace = trace
        scorer.look()
    return scorer.score()


def reading(
    tip: float = 1.0, speed: float = 0.0, near: float = 0.5, force: float = 0.0
) -> list[float]:
    return [0.0, 0.0, speed, 0.0, tip, 0.0, near, force]


def test_a_goal_is_reached_when_held_for_ten_ticks() -> None:
    far, near = [reading(1.0)], [reading(0.03)]
    almost = scored(*[far] * 3, *[near] * 9, far)
    assert not almost.reached[0]
    assert almost.reach_tick[0] == -1
    held = scored(*[far] * 3, *[near] * 10, far)
    assert held.reached[0]
    assert held.reach_tick[0] == 3
    broken = scored(*[near] * 9, far, *[near] * 9)
    assert not broken.reached[0]
    outside = scored(*[[reading(0.0301)]] * 20)
    assert not outside.reached[0]


def test_every_physics_step_counts_but_a_tick_once() -> None:
    clean, grazing = [reading()] * 5, [reading(), reading(near=0.0), *[reading()] * 3]
    pressed = [reading(), reading(force=0.1), reading(near=-0.01), *[reading()] * 2]
    score = scored(clean, grazing, pressed, clean)
    assert score.contacts[0] == 2
    assert score.closest_m[0] == -0.01
    fast = [reading(), reading(speed=-2.001), *[reading()] * 3]
    assert scored(clean, fast, fast).speeding[0] == 2
    assert scored([reading(speed=2.0)]).speeding[0] == 0


def test_the_scorer_sees_a_real_collision() -> None:
    world = body(1)
    world.simulation.place(np.array([[0.6, 0.0]]))
    task = trials.tasks([0])
    scorer = trials.Scorer(world, task)
    for _ in range(20):
        world.step(Action(torch.tensor([[-2.5, 0.0]])))
        scorer.look()
    score = scorer.score()
    assert score.contacts[0] > 0
    assert score.speeding[0] > 0
    assert score.closest_m[0] <= 0.0
    world.close()


def test_some_evaluation_paths_lead_through_the_post() -> None:
    blocked = [trials.straight_path_blocked(s) for s in range(1_000_000, 1_000_030)]
    assert 0 < sum(blocked) < 30


class Bare:
    """A perception whose latent is what the sensors show."""

    def encode(self, values: torch.Tensor) -> torch.Tensor:
        return values


def test_the_oracle_imagines_what_then_happens() -> None:
    world = body(3)
    seen = world.reset([1, 2, 3])
    world.step(Action(torch.full((3, 2), 0.7)))
    seen = world.step(Action(torch.full((3, 2), -0.4)))
    moves = torch.rand(3, 4, 6, 2, generator=torch.Generator().manual_seed(0)) * 4 - 2
    ahead = Oracle(world, Bare()).imagine(seen.values, moves).latents  # type: ignore[arg-type]
    assert ahead.shape == (1, 3, 4, 6, 8)
    start = world.simulation.state.copy()
    for k in range(4):
        world.simulation.restore(start)
        for h in range(6):
            values = world.step(Action(moves[:, k, h].contiguous())).values
            assert torch.equal(values, ahead[0, :, k, h])
    world.close()


def test_the_oracle_knows_its_agents_by_their_latents() -> None:
    world = body(3)
    seen = world.reset([1, 2, 3]).values
    moves = torch.zeros(1, 1, 1, 2) + 1.0
    every = Oracle(world, Bare()).imagine(seen, moves.expand(3, 1, 1, 2))  # type: ignore[arg-type]
    only = Oracle(world, Bare()).imagine(seen[2:], moves)  # type: ignore[arg-type]
    assert torch.equal(every.latents[:, 2:], only.latents)
    world.close()


def test_imagining_does_not_move_the_world() -> None:
    world = body(2)
    seen = world.reset([4, 5])
    before = world.simulation.state.copy()
    Oracle(world, Bare()).imagine(seen.values, torch.ones(2, 3, 4, 2))  # type: ignore[arg-type]
    assert np.array_equal(world.simulation.state, before)
    world.close()


@pytest.mark.parametrize("scale", ["mass_scale", "friction_scale", "gain_scale"])
def test_a_changed_body_moves_otherwise_and_an_unchanged_one_does_not(scale: str) -> None:
    plain, same, changed = (lived(10, [3], **{scale: s}) for s in (1.0, 1.0, 2.0))
    for a, b in zip(plain, same, strict=True):
        assert torch.equal(a.values, b.values)
    assert not torch.allclose(plain[-1].values, changed[-1].values, atol=1e-3)
    with pytest.raises(InputError, match=f"reach: {scale} must be above 0, came 0"):
        body(**{scale: 0.0})


def test_gain_and_friction_change_the_speed_a_command_ends_in() -> None:
    plain, fast, rough = (
        lived(12, [3], **s)[-1].values[0, 2]
        for s in ({}, {"gain_scale": 1.5}, {"friction_scale": 10.0})
    )
    assert float(fast / plain) == pytest.approx(1.5, abs=0.05)
    assert float(rough / plain) < 0.8
