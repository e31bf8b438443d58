"""`stand`: the body falls if nothing is done, can be kept up, is pushed, and its battery is honest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import mujoco
import numpy as np
import pytest
import torch
from torch import Tensor

from agent.core.errors import PhysicsError
from agent.core.messages import Action
from worlds.oracle import Oracle
from worlds.stand import trials
from worlds.stand.world import CAPACITY_J, RATE_HZ, RECHARGE_W, SENSORS, Stand

ROWS, TICKS = 8, 250
Law = Callable[[Tensor], Tensor]


@pytest.fixture
def make() -> Iterator[Callable[..., Stand]]:
    made: list[Stand] = []

    def build(batch: int = ROWS, **settings: Any) -> Stand:
        made.append(Stand(Stand.Config(**settings), batch))
        return made[-1]

    yield build
    for world in made:
        world.close()


def lived(
    world: Stand, law: Law, ticks: int = TICKS, seed: int = 900_000
) -> tuple[Tensor, trials.Score]:
    """Return sensors [B T O] and the score of episodes under a law from sensors to commands."""
    scorer = trials.Scorer(world, trials.tasks(range(world.batch)))
    shown, seen = world.reset(range(seed, seed + world.batch)).values, []
    for _ in range(ticks):
        shown = world.step(Action(law(shown))).values
        scorer.look()
        seen.append(shown)
    return torch.stack(seen, dim=1), scorer.score()


def still(values: Tensor) -> Tensor:
    return torch.zeros(len(values), 2)


def upright(values: Tensor) -> Tensor:
    """Return a simple law that stands: against lean and its rate, hip straight."""
    angle, speed = values[:, 0:2], values[:, 2:4]
    lean, rate = angle[:, 0] + 0.35 * angle[:, 1], speed[:, 0] + 0.35 * speed[:, 1]
    return torch.stack((-6.0 * lean - 1.5 * rate, -3.0 * angle[:, 1]), dim=1).clamp(-3.0, 3.0)


def test_whoever_does_nothing_falls_and_whoever_balances_stands(make: Any) -> None:
    _, fell = lived(make(), still)
    assert not fell.reached.any()
    assert (fell.contacts > 0).all()
    assert (fell.closest_m < 0.2).all()
    assert (fell.reach_tick == -1).all()
    assert (fell.more["stood_ticks"] < TICKS).all()
    seen, stood = lived(make(), upright)
    assert stood.reached.all()
    assert stood.contacts.sum() == 0
    assert (stood.more["stood_ticks"] == TICKS).all()
    assert float(seen[:, -1, SENSORS["head_height"]].min()) > 0.9


def test_it_lies_where_it_fell(make: Any) -> None:
    seen, score = lived(make(push_chance=0.0), lambda v: upright(v) * (v[:, 5:6] < 0.6), 400)
    assert float(seen[:, -1, SENSORS["head_height"]].max()) < 0.6, "the ankle cannot lift it"
    assert not score.reached.any()


def test_pushes_are_felt_as_speed_and_are_of_the_seed(make: Any) -> None:
    calm, pushed = make(1, push_chance=0.0), make(1, push_chance=1.0, push_N_s=3.0)
    for world in (calm, pushed):
        world.reset([7])
    command = Action(torch.zeros(1, 2))
    before, after = calm.step(command).values[0], pushed.step(command).values[0]
    assert float((after - before)[SENSORS["joint_speed"]].abs().max()) > 0.2
    (a, _), (b, _) = (
        lived(make(2, push_chance=0.1), upright, 40),
        lived(make(2, push_chance=0.1), upright, 40),
    )
    assert torch.equal(a, b)


def test_a_push_brings_the_momentum_it_says(make: Any) -> None:
    world = make(1, push_chance=0.0)
    world.reset([3])
    world.simulation.place(np.zeros((1, 2)))
    state = world.simulation.state[0]
    after, data = world._pushed(state, 2.0), mujoco.MjData(world.model)
    mujoco.mj_setState(world.model, data, after, int(mujoco.mjtState.mjSTATE_FULLPHYSICS))
    mujoco.mj_forward(world.model, data)
    momentum = np.zeros(2)
    mujoco.mj_mulM(world.model, data, momentum, data.qvel)
    arm_m = data.site("chest").xpos[2] - data.joint("ankle").xanchor[2]
    np.testing.assert_allclose(momentum[0], 2.0 * arm_m, rtol=1e-6)
    assert np.array_equal(after[:3], state[:3]), "places do not jump"


def test_the_battery_pays_for_work_and_recharges_at_rest(make: Any) -> None:
    world = make(1, push_chance=0.0)
    world.reset([0])
    world.simulation.place(np.zeros((1, 2)))
    world.charge[:] = 0.5
    rest = float(world.step(Action(torch.zeros(1, 2))).values[0, SENSORS["charge"]])
    assert rest == pytest.approx(0.5 + RECHARGE_W / (RATE_HZ * CAPACITY_J), abs=1e-5)
    spent = [
        float(world.step(Action(torch.full((1, 2), 3.0))).values[0, SENSORS["charge"]])
        for _ in range(5)
    ]
    assert spent == sorted(spent, reverse=True)
    world.charge[:] = 0.0
    assert (
        0.0
        <= float(world.step(Action(torch.full((1, 2), -3.0))).values[0, SENSORS["charge"]])
        <= 1.0
    )


def test_the_oracle_foresees_what_comes_battery_included(make: Any) -> None:
    class Eyes:
        def encode(self, values: Tensor) -> Tensor:
            return values

    world = make(3, push_chance=0.0)
    now = world.reset([4, 5, 6]).values
    commands = torch.randn(3, 2, 5, 2, generator=torch.Generator().manual_seed(0))
    ahead = Oracle(world, Eyes()).imagine(now, commands.clamp(-3, 3)).latents[0]
    for tick in range(5):
        came = world.step(Action(commands[:, 1, tick].clamp(-3, 3).contiguous())).values
        torch.testing.assert_close(ahead[:, 1, tick], came)


def test_unstable_physics_raises(make: Any) -> None:
    world = make(2)
    world.reset([0, 1])
    world.simulation.state[1, 3] = 1e12
    with pytest.raises(PhysicsError, match=r"unstable in rows \[1\]"):
        world.step(Action(torch.zeros(2, 2)))


def test_a_score_misses_nothing_between_ticks(make: Any) -> None:
    world = make(1, push_chance=0.0)
    world.reset([0])
    scorer = trials.Scorer(world, trials.tasks([0]))
    world.step(Action(torch.zeros(1, 2)))
    columns = world._head
    world.simulation.trace[0, 1, columns] = 0.1
    scorer.look()
    assert not scorer.score().reached.any()
    assert scorer.score().closest_m == pytest.approx([0.1])
