"""The agent as a policy in anybody's loop: the same commands as in ours, and the same gate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import worlds.environments
from agent.config import schema
from agent.config.build import Blueprint, blueprint
from agent.core.errors import InputError
from agent.core.loop import live
from agent.core.messages import Action, Ruling, Verdict
from agent.evaluate.episodes import trials_of
from agent.evaluate.policy import Policy, _flat, _many
from tests.tiny import REACH, TINY

SEED = 900_123
assert worlds.environments


@pytest.fixture
def policy(weights: Path) -> Policy:
    return Policy.load(REACH, weights, overrides=TINY)


@pytest.fixture
def env() -> Any:
    made = gymnasium.make("housecat/reach-v0")
    yield made
    made.close()


def test_it_does_what_the_agent_does_in_our_loop(
    policy: Policy, env: Any, plans: Blueprint, tensors: Any
) -> None:
    world = plans.world(1)
    agent = plans.assemble(tensors).agent(world)
    task = trials_of(world).tasks([SEED])
    ours = [t.messages[Action].command[0].numpy() for t in live(agent, world, [SEED], task, 8)]
    world.close()
    seen, _ = env.reset(seed=SEED)
    state, theirs = None, []
    for _ in range(8):
        command, state = policy.predict(seen, state)
        theirs.append(command)
        seen, *_ = env.step(command)
    np.testing.assert_array_equal(np.stack(theirs), np.stack(ours))
    assert env.action_space.contains(theirs[0])


def test_rows_have_episodes_of_their_own(policy: Policy, env: Any) -> None:
    first, second = (env.reset(seed=s)[0] for s in (1, 2))
    both = {k: np.stack([first[k], second[k]]) for k in first}
    together, state = policy.predict(both)
    alone, _ = policy.predict(second)
    assert together.shape == (2, 2)
    np.testing.assert_array_equal(together[1], alone)
    _, after = policy.predict(both, state, episode_start=np.array([False, True]))
    assert after[0] is state[0]
    assert [life.ticks for life in after] == [2, 1]


def test_without_a_state_or_with_another_goal_an_episode_begins(policy: Policy, env: Any) -> None:
    seen, _ = env.reset(seed=1)
    one, state = policy.predict(seen)
    again, _ = policy.predict(seen)
    np.testing.assert_array_equal(one, again)
    _, state = policy.predict(seen, state)
    assert state[0].ticks == 2
    _, state = policy.predict(seen | {"desired_goal": -seen["desired_goal"]}, state)
    assert state[0].ticks == 1


def test_the_gate_answers_for_what_is_not_finite(policy: Policy, env: Any) -> None:
    seen, _ = env.reset(seed=1)
    seen["observation"][0] = np.nan
    command, state = policy.predict(seen)
    np.testing.assert_array_equal(command, policy.fallback)
    last = state[0].last
    assert last is not None
    assert int(last.messages[Verdict].ruling[0]) == int(Ruling.VETOED)


def test_sensors_may_be_given_packed_or_by_name(policy: Policy, weights: Path, env: Any) -> None:
    seen, _ = env.reset(seed=1)
    told = Policy.load(REACH, weights, goal=seen["desired_goal"].tolist(), overrides=TINY)
    wanted, _ = policy.predict(seen)
    flat, _ = told.predict(seen["observation"])
    np.testing.assert_array_equal(flat, wanted)
    sensors = policy._kind.sensors
    named = {c.name: seen["observation"][cut] for c, cut in sensors.slices()}
    by_name, _ = told.predict(named)
    np.testing.assert_array_equal(by_name, wanted)


@pytest.mark.parametrize(
    ("observation", "says"),
    [
        ({"observation": np.zeros(8)}, "expected goals of 2 numbers"),
        (
            {"observation": np.zeros(7), "desired_goal": np.zeros(2)},
            r"expected observation of shape \[8\], .* came \[7\]",
        ),
        ({"eyes": np.zeros(8), "desired_goal": np.zeros(2)}, "in the observation, came eyes"),
        (np.zeros(8), "put `desired_goal` into the observation, or give goal= to load"),
    ],
)
def test_what_does_not_fit_is_refused(policy: Policy, observation: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        policy.predict(observation)


@pytest.mark.parametrize("told", ["far", [["far"]], None])
def test_what_is_no_numbers_is_refused(policy: Policy, env: Any, told: Any) -> None:
    seen, _ = env.reset(seed=1)
    with pytest.raises(InputError, match="policy: expected numbers as the"):
        policy.predict(
            {**seen, "desired_goal": told} if told else {**seen, "observation": object()}
        )
    for more in ({"state": [3]}, {"state": 3}, {"episode_start": [True, False]}):
        with pytest.raises(InputError, match="policy: expected"):
            policy.predict(seen, **more)


def on_the_slope(plans: Blueprint, world: dict[str, Any], **more: Any) -> Blueprint:
    """Return the blueprint of an agent on the slope of somebody else's, with these settings."""
    raw = plans.config.model_dump()
    raw |= {"world": {"use": "gym:tests.environments:Slope-v0"} | world, "guardrails": []}
    raw |= {"goal": None, "terms": [{"use": "effort"}], "gate": {"fallback": [0.0]}} | more
    raw["perception"] |= {"compressed": []}
    raw["readouts"] |= {"compressed": []}
    return blueprint(schema.validate(schema.AgentConfig, raw, "slope"))


def test_entries_are_packed_as_the_adapter_packs_them(plans: Blueprint) -> None:
    found = on_the_slope(plans, {"kwargs": {"told": "dict"}})
    env = gymnasium.make("tests.environments:Slope-v0", told="dict")
    seen, _ = env.reset(seed=0)
    world = found.world(1)
    values, goals, single = Policy(found, None)._taken(seen)
    assert torch.equal(values, world.reset([0]).values)
    assert (goals.shape, single) == ((1, 0), True)
    many, _, single = Policy(found, None)._taken(
        {
            k: {"speed": np.stack([v["speed"]] * 2)} if k == "inner" else np.stack([v] * 2)
            for k, v in seen.items()
        }
    )
    assert torch.equal(many, values.expand(2, -1))
    assert not single
    world.close()


def test_a_goal_of_the_adapters_is_asked_and_what_is_achieved_is_sensed(plans: Blueprint) -> None:
    told: dict[str, Any] = {"kwargs": {"told": "goal"}}
    terms = [{"use": "distance", "quantity": "achieved_goal"}]
    asked = on_the_slope(plans, told, goal="achieved_goal", terms=terms)
    sensed = on_the_slope(plans, told | {"goals": False})
    seen, _ = gymnasium.make("tests.environments:Slope-v0", told="goal").reset(seed=0)
    for found, size in ((asked, 1), (sensed, 0)):
        world = found.world(1)
        values, goals, _ = Policy(found, None)._taken(seen)
        assert torch.equal(values, world.reset([0]).values)
        assert torch.equal(goals, trials_of(world).tasks([0]).goal)
        assert goals.shape == (1, size)
        world.close()


def test_a_state_of_other_rows_is_refused(policy: Policy, env: Any) -> None:
    seen, _ = env.reset(seed=1)
    _, state = policy.predict(seen)
    with pytest.raises(InputError, match="that predict returned, of 1 episodes"):
        policy.predict(seen, [*state, *state])


def test_a_vector_of_one_environment_gets_a_row(policy: Policy, env: Any) -> None:
    seen, _ = env.reset(seed=1)
    command, _ = policy.predict(seen)
    row, _ = policy.predict({k: v[None] for k, v in seen.items()})
    assert row.shape == (1, 2)
    np.testing.assert_array_equal(row[0], command)
    one, _ = policy.predict({**seen, "observation": seen["observation"][None]})
    assert one.shape == (1, 2), "a goal for all rows"


@pytest.mark.parametrize("rows", [(), (1,), (2,), (8,)])
@pytest.mark.parametrize(
    ("shape", "given"),
    [((1, 8, 8), (8, 8)), ((1, 8, 8), (8, 8, 1)), ((3, 4, 8), (4, 8, 3)), ((3, 4, 8), (3, 4, 8))],
)
def test_images_are_taken_however_they_lie(
    rows: tuple[int, ...], shape: tuple[int, ...], given: tuple[int, ...]
) -> None:
    size = int(np.prod(shape))
    wanted = np.arange(size * int(np.prod(rows)), dtype=np.float32).reshape(*rows, *shape)
    seen = wanted.reshape(*rows, *given)
    if given == (4, 8, 3):
        seen = np.moveaxis(wanted, -3, -1)
    beside = np.zeros((*rows, 5), np.float32)
    many = _many([(beside, 5, ()), (seen, size, shape)], goal=1)
    assert many == bool(rows)
    np.testing.assert_array_equal(
        _flat("view", seen, size, shape, many), wanted.reshape(*rows, size)
    )


def test_an_image_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected view of shape \[1, 8, 8\].*came \[4, 16\]"):
        _flat("view", np.zeros((4, 16), np.float32), 64, (1, 8, 8), False)
