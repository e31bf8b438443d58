"""Other futures of environments on MuJoCo: true to the last bit, and nothing moves meanwhile."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import gymnasium
import pytest
import torch
from gymnasium import spaces
from gymnasium.envs.mujoco.reacher_v5 import ReacherEnv
from gymnasium.envs.registration import register

from agent.core.errors import InputError, PhysicsError
from agent.core.messages import Action
from worlds.adapters.branching import kept
from worlds.adapters.dmc import Dmc
from worlds.adapters.gymnasium import Gymnasium
from worlds.oracle import expect_branches

DMC = pytest.mark.skipif(
    importlib.util.find_spec("dm_control") is None,
    reason="needs dm-control; pip install -e '.[dmc]'",
)


class Counting(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Shows beside the observation how often it was stepped, and a number by chance."""

    def __init__(self) -> None:
        super().__init__(ReacherEnv())
        inner = self.env.observation_space
        assert isinstance(inner, spaces.Box)
        own = {"seen": inner, "drawn": spaces.Box(0, 1, (1,)), "steps": spaces.Box(0, 100, (1,))}
        self.observation_space = spaces.Dict(own)
        self.steps = 0

    def reset(self, **told: Any) -> tuple[Any, dict[str, Any]]:
        seen, _ = self.env.reset(**told)
        self.steps = 0
        return {"seen": seen, "drawn": [0.0], "steps": [0.0]}, {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        seen, *rest = self.env.step(action)
        self.steps += 1
        told = {"seen": seen, "drawn": [self.env.unwrapped.np_random.random()]}
        return {**told, "steps": [float(self.steps)]}, *rest


register("housecat-tests/Counting-v0", entry_point=Counting)

MAKE: list[Any] = [
    *(
        pytest.param(lambda i=i, r=r: Gymnasium(Gymnasium.Config(id=i, repeat=r), 2), id=i)
        for i, r in (("Reacher-v5", 1), ("Hopper-v5", 3), ("housecat-tests/Counting-v0", 2))
    ),
    *(
        pytest.param(lambda t=t: Dmc(Dmc.Config(task=t, repeat=2, reward=True), 2), id=t, marks=DMC)
        for t in ("ball_in_cup-catch", "walker-walk", "quadruped-fetch")
    ),
]


def drawn(world: Gymnasium, *shape: int) -> torch.Tensor:
    low, high = world.actuators.bounds()
    return low + (high - low) * torch.rand(*shape, len(low))


@pytest.mark.parametrize("make", MAKE)
def test_a_future_is_what_then_happens_and_looking_changes_nothing(
    make: Callable[[], Gymnasium],
) -> None:
    """Hopper falls and is over on the way: its future stands still from there on."""
    torch.manual_seed(3)
    world = make()
    try:
        expect_branches(type(world).body(world.config))
        world.reset([900_001, 900_002])
        world.step(Action(drawn(world, 2)))
        actions, now, said = drawn(world, 5, 40), world.showing(), world.aside
        futures = world.branched([1, 0, 1, 0, 1], actions)
        assert world.aside is said
        assert torch.equal(world.showing(), now)
        lived = [world.step(Action(actions[[1, 0], t])).values for t in range(40)]
        assert torch.equal(torch.stack(lived, dim=1), futures[[1, 0]])
        assert not torch.equal(futures[0], futures[2])
        assert world.aside.terminated.all() == (world.config.label() == "Hopper-v5")
    finally:
        world.close()


def test_what_is_not_on_mujoco_has_one_future() -> None:
    config = Gymnasium.Config(id="tests.environments:Slope-v0")
    with pytest.raises(InputError, match=r"came Gymnasium.*eval\.oracle_episodes=0"):
        expect_branches(Gymnasium.body(config))
    world = Gymnasium(config, 1)
    try:
        world.reset([900_000])
        with pytest.raises(InputError, match=r"images, came tests\.environments:Slope-v0"):
            world.branched([0], torch.zeros(1, 2, 1))
        with pytest.raises(TypeError, match="Slope"), kept(world._envs[0]):
            pass
    finally:
        world.close()


def test_a_future_that_fails_leaves_the_copies_where_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = Gymnasium(Gymnasium.Config(id="Reacher-v5"), 1)
    try:
        world.reset([900_001])
        now = world.showing()
        ahead = world.branched([0], torch.zeros(1, 3, 2))
        inner: Any = world._envs[0].unwrapped
        steps, advance = iter(range(9)), inner.do_simulation

        def fails(*told: Any) -> None:
            advance(*told)
            if next(steps) == 1:
                raise RuntimeError("broken")

        with monkeypatch.context() as patch:
            patch.setattr(inner, "do_simulation", fails)
            with pytest.raises(PhysicsError, match="broken"):
                world.branched([0], torch.ones(1, 3, 2))
        assert next(steps) == 2, "it failed on the way"
        assert torch.equal(world.showing(), now)
        assert torch.equal(world.branched([0], torch.zeros(1, 3, 2)), ahead)
    finally:
        world.close()
