"""The Gymnasium adapter: the observation and nothing else, seeds kept, ends and faults handled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agent.core.errors import InputError, PhysicsError
from agent.core.messages import Action, Task
from agent.evaluate.episodes import trials_of
from worlds.adapters import trials
from worlds.adapters.gymnasium import Gymnasium
from worlds.adapters.spaces import Named, goal_size

SLOPE = "tests.environments:Slope-v0"
Make = Callable[..., Gymnasium]


@pytest.fixture
def make() -> Iterator[Make]:
    made = []

    def build(batch: int = 2, id: str = SLOPE, **more: Any) -> Gymnasium:
        made.append(Gymnasium(Gymnasium.Config(id=id, **more), batch))
        return made[-1]

    yield build
    for world in made:
        world.close()


def pushed(world: Gymnasium, ticks: int, command: float) -> torch.Tensor:
    """Return sensors [B T O] under one command."""
    action = Action(torch.full((world.batch, 1), command))
    return torch.stack([world.step(action).values for _ in range(ticks)], dim=1)


def test_a_dict_becomes_a_sensor_each_and_images_come_last(make: Make) -> None:
    world = make(kwargs={"told": "dict"})
    assert world.sensors.names == ("inner.speed", "place", "view")
    view = world.sensors.channel("view")
    assert (view.size, view.shape) == (24, (3, 2, 4))
    values = world.reset([3, 4]).values
    plain = make().reset([3, 4]).values
    torch.testing.assert_close(values[:, [1, 0]], plain)
    picture = values[:, 2:].reshape(2, 3, 2, 4)
    assert set(picture.unique().tolist()) == {0.0, 255.0}
    assert bool((picture[:, :2] == 0).all()), "colours come first, and only the third is lit"
    assert picture[0, 2, 0].argmax() == int((float(plain[0, 0]) + 1) * 1.99)


def test_scalars_take_names_and_units_from_the_config(make: Make) -> None:
    named = [Named(name="place", size=1, unit="m"), Named(name="speed", size=1, unit="m/s")]
    world = make(channels=named)
    assert world.sensors.describe() == "place[1] m, speed[1] m/s"
    assert world.rate_hz == 20.0
    with pytest.raises(InputError, match=r"world.channels: expected names for all 2 .*came 1"):
        make(channels=named[:1])


def test_a_tick_may_be_several_steps_under_one_command(make: Make) -> None:
    plain, held = make(reward=True), make(repeat=4, reward=True)
    assert held.rate_hz == plain.rate_hz / 4
    seeds, action, paid = [0, 900_000], Action(torch.full((2, 1), 0.7)), np.zeros(2)
    torch.testing.assert_close(plain.reset(seeds).values, held.reset(seeds).values)
    for _ in range(4):
        last = plain.step(action)
        paid += plain.aside.paid
    seen = held.step(action)
    torch.testing.assert_close(seen.values[:, :-1], last.values[:, :-1])
    np.testing.assert_allclose(held.aside.paid, paid, err_msg="the sum, as `return` needs it")
    np.testing.assert_allclose(seen.values[:, -1], [-paid[0] / 4, 0.0], rtol=1e-6)
    assert seen.time_s.tolist() == [pytest.approx(1 / held.rate_hz)] * 2


def test_a_tick_of_several_steps_stops_where_the_environment_ends(make: Make) -> None:
    plain, held = make(1, kwargs={"limit": 5}), make(1, kwargs={"limit": 5}, repeat=4)
    action, paid = Action(torch.ones(1, 1)), 0.0
    plain.reset([0])
    held.reset([0])
    for _ in range(5):
        last = plain.step(action)
        paid += float(plain.aside.paid[0])
    first = held.step(action)
    lived = float(held.aside.paid[0])
    assert not held.aside.truncated[0]
    second = held.step(action)
    assert held.aside.truncated[0]
    torch.testing.assert_close(second.values, last.values)
    assert not second.values.equal(first.values)
    assert lived + float(held.aside.paid[0]) == pytest.approx(paid)


def test_the_time_limit_is_the_configs_own(make: Make) -> None:
    world = make()
    world.reset([0, 1])
    values = pushed(world, 40, 0.3)
    assert not world.aside.truncated.any()
    assert bool((values[:, 25, 0] != values[:, 30, 0]).all()), "registered with 20 ticks"


@pytest.mark.parametrize(
    ("kwargs", "ended"), [({"fatal": True}, "terminated"), ({"limit": 5}, "truncated")]
)
def test_what_ended_stands_still_and_pays_nothing(
    make: Make, kwargs: dict[str, Any], ended: str
) -> None:
    world = make(kwargs=kwargs)
    scorer = trials.Scorer(world, trials.tasks([0, 1]))
    world.reset([0, 1])
    action, seen, sums = Action(torch.ones(2, 1)), [], []
    for _ in range(60):
        seen.append(world.step(action).values)
        scorer.look()
        sums.append(scorer.score().more["return"])
    assert getattr(world.aside, ended).all()
    assert torch.equal(seen[-1], seen[-2])
    np.testing.assert_array_equal(sums[-1], sums[-2])
    assert scorer.done.all()
    score = scorer.score()
    lived = score.more["lived_ticks"]
    assert (lived < 60).all()
    for row, ticks in enumerate(lived.astype(int)):
        assert sums[ticks - 1][row] == sums[-1][row] != sums[ticks - 2][row]
    assert (score.more["survived"] == (ended == "truncated")).all()
    assert not score.judged, "nobody said what success is"
    assert not score.reached.any()
    assert not world.reset([0, 1]).values.equal(seen[-1]), "a reset starts anew"
    assert not getattr(world.aside, ended).any()


def test_cost_goes_to_the_scorer_alone(make: Make) -> None:
    world = make()
    scorer = trials.Scorer(world, trials.tasks([0, 1]))
    world.reset([0, 1])
    action, beyond = Action(torch.ones(2, 1)), torch.zeros(2)
    for _ in range(60):
        seen = world.step(action)
        scorer.look()
        beyond += seen.values[:, 0] > 0.6
    assert seen.values.shape == (2, 2), "place and speed"
    score = scorer.score()
    assert score.counted
    assert 0 < int(beyond.sum()) < 120
    np.testing.assert_array_equal(score.contacts, beyond.numpy())
    np.testing.assert_array_equal(score.more["cost"], beyond.numpy())


def test_without_a_cost_nothing_is_claimed(make: Make) -> None:
    world = make(kwargs={"costly": False})
    scorer = trials.Scorer(world, trials.tasks([0, 1]))
    world.reset([0, 1])
    pushed(world, 1, 1.0)
    scorer.look()
    score = scorer.score()
    assert not score.counted
    assert "cost" not in score.more


def test_a_cost_that_is_not_a_number_counts(make: Make) -> None:
    world = make()
    scorer = trials.Scorer(world, trials.tasks([0, 1]))
    world.reset([0, 1])
    world.aside.cost[:] = (np.nan, 0.0)
    scorer.look()
    assert scorer.score().contacts.tolist() == [1, 0]


def test_success_is_what_the_environment_says(make: Make) -> None:
    world = make()
    scorer = trials.Scorer(world, trials.tasks([0, 1]))
    world.reset([0, 1])
    for tick in range(3):
        pushed(world, 1, 0.0)
        world.aside.asked[:] = True
        world.aside.success[0] = tick == 1
        scorer.look()
    score = scorer.score()
    assert score.judged
    assert score.reached.tolist() == [True, False]
    assert score.reach_tick.tolist() == [1, -1]


def test_what_a_multi_goal_environment_desires_is_asked_and_not_sensed(make: Make) -> None:
    world, seeds = make(kwargs={"told": "goal"}), [3, 1_000_000]
    assert world.sensors.names == ("achieved_goal", "observation")
    task = trials_of(world).tasks(seeds)
    seen = world.reset(seeds).values
    own = [env.unwrapped.goal for env in world._envs]
    np.testing.assert_allclose(task.goal[:, 0], own, rtol=1e-6)
    torch.testing.assert_close(seen, make().reset(seeds).values, msg="starts are the same")
    whole = make(kwargs={"told": "goal"}, goals=False)
    assert whole.sensors.names == ("achieved_goal", "desired_goal", "observation")
    assert trials_of(whole).tasks(seeds).goal.shape == (2, 0)
    np.testing.assert_allclose(whole.reset(seeds).values[:, 1], own, rtol=1e-6)


@pytest.mark.parametrize("asked", ["own", "changed by the environment", "another"])
def test_success_counts_while_it_is_what_the_agent_was_asked(make: Make, asked: str) -> None:
    further = 0.02 if asked.startswith("changed") else 0.0
    world = make(kwargs={"told": "goal", "further": further})
    trials = trials_of(world)
    task = trials.tasks([3, 4])
    scorer = trials.Scorer(world, Task(task.goal + 0.1) if asked == "another" else task)
    world.reset([3, 4])
    said = np.zeros(2, dtype=bool)
    for _ in range(120):
        place, speed = np.array([env.unwrapped.place for env in world._envs]), world._values[:, 1]
        command = 4.0 * (task.goal[:, 0].numpy() + further - place) - speed
        world.step(Action(torch.tensor(command.clip(-1, 1), dtype=torch.float32)[:, None]))
        scorer.look()
        said |= world.aside.success
    assert said.all(), "the environment is content"
    score = scorer.score()
    assert score.reached.tolist() == [asked == "own"] * 2
    assert score.judged == (asked != "another")


def test_success_is_of_what_was_desired_as_the_tick_began(make: Make) -> None:
    """The environment that goes on once it is content was content with what the agent was asked."""
    for repeat in (1, 4):
        world = make(1, kwargs={"told": "goal", "onwards": True}, repeat=repeat)
        trials = trials_of(world)
        scorer = trials.Scorer(world, task := trials.tasks([3]))
        world.reset([3])
        env: Any = world._envs[0].unwrapped
        for _ in range(120 // repeat):
            command = 4.0 * (float(task.goal) - env.place) - env.speed
            world.step(Action(torch.tensor([[command]]).clamp(-1, 1).float()))
            scorer.look()
        assert env.goal != float(task.goal)
        assert scorer.score().reached.all()


@pytest.mark.parametrize(
    "desired", [spaces.Box(-1.0, 1.0, (2,)), spaces.Box(0, 255, (1, 1), np.uint8), None]
)
def test_without_both_of_one_shape_nothing_is_asked(desired: spaces.Space[Any] | None) -> None:
    class Env:
        observation_space = spaces.Dict({"achieved_goal": spaces.Box(-1.0, 1.0, (1,))})

    if desired is not None:
        Env.observation_space["desired_goal"] = desired
    assert goal_size(Env(), Gymnasium.Config(id="x")) == 0
    Env.observation_space["desired_goal"] = spaces.Box(-1.0, 1.0, (1,))
    assert goal_size(Env(), Gymnasium.Config(id="x")) == 1
    assert goal_size(Env(), Gymnasium.Config(id="x", goals=False)) == 0


def test_a_rate_that_is_set_is_that_of_ticks(make: Make) -> None:
    assert make(repeat=4).rate_hz == 5.0, "20 steps a second are four to a tick"
    assert make(repeat=4, rate_hz=20.0).rate_hz == 20.0


def test_an_observation_that_is_not_finite_raises(make: Make) -> None:
    world = make(kwargs={"broken_at": 3})
    world.reset([0, 1])
    with pytest.raises(PhysicsError, match=r"showed nan in 'observation' of row 0 at tick 2"):
        pushed(world, 3, 0.0)


def test_a_reward_that_is_not_a_number_raises(make: Make) -> None:
    world = make(kwargs={"unpaid": True})
    world.reset([0, 1])
    with pytest.raises(PhysicsError, match=r"paid nan in row 0 at tick 0; this episode is invalid"):
        pushed(world, 1, 0.0)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("raise", r"failed in row 0 at tick 0 \(RuntimeError: the link is lost\); .* invalid"),
        ("silent", r"failed in row 0 at tick 0 \(AssertionError in .*environments.py, line \d+\)"),
        ("size", r"showed 3 numbers in row 0 at tick 0, 2 were declared; .*invalid; mend"),
        ("paid", r"failed in row 0 at tick 0 \(TypeError: .*\); this episode is invalid"),
    ],
)
def test_a_fault_of_the_environment_is_told_as_one(make: Make, fault: str, says: str) -> None:
    world = make(kwargs={"fault": fault})
    world.reset([0, 1])
    with pytest.raises(PhysicsError, match=says) as caught:
        pushed(world, 1, 0.0)
    assert "\n" not in str(caught.value)


def test_physics_that_resets_itself_in_silence_raises(make: Make) -> None:
    world = make(id="InvertedPendulum-v5")
    world.reset([0, 1])
    pushed(world, 2, 0.0)
    world._envs[1].unwrapped.data.qpos[0] = np.nan
    with pytest.raises(PhysicsError, match=r"unstable in row 1 at tick 2"):
        pushed(world, 1, 0.0)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"id": "Reachr-v5"}, r"came 'Reachr-v5': .*Did you mean .?Reacher"),
        ({"id": "Slop-v0"}, r"expected the id of an installed environment, came 'Slop-v0'"),
        ({"id": "no.such.module:Slope-v0"}, r"No module named 'no'"),
        ({"kwargs": {"colour": 1}}, r"unexpected keyword argument 'colour'"),
        (
            {"id": "tests.environments:Choice-v0"},
            r"expected actions in a Box of real numbers with f",
        ),
        ({"id": "tests.environments:Stepwise-v0"}, r"in a Box of real numbers .* came Box\(-2, 2"),
        ({"id": "tests.environments:Endless-v0"}, r"with finite limits, .* came Box\(-10000000000"),
        ({"id": "tests.environments:Stacked-v0"}, r"its colours last, 4 at most, .* \[4, 16, 16\]"),
        ({"id": "tests.environments:Still-v0"}, r"the lower below the upper, came Box\(1\.0"),
        ({"id": "tests.environments:Bodiless-v0"}, r"expected actions in a Box .*came Box"),
        (
            {"id": "tests.environments:Silent-v0"},
            r"AssertionError in .*environments.py, line \d+; c",
        ),
        ({"id": "tests.environments:Unmade-v0"}, r"came 'tests.*Unmade-v0': no licence; correct"),
    ],
)
def test_what_is_no_world_for_us_is_refused(make: Make, more: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        make(**more)
    assert "\n" not in str(caught.value)
