"""Task terms: a goal that was shown, the time until it is reached, one place after another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from agent.config import schema
from agent.config.build import blueprint
from agent.core.errors import InputError
from agent.core.messages import Appraisal, Directive, Recollection, Rollout, Task
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from agent.evaluate.episodes import trials_of
from agent.evaluate.goals import asked
from modules.configurator.tracking import TrackingConfigurator
from modules.cost.terms.distance import Distance
from modules.cost.terms.latent_distance import LatentDistance
from modules.cost.terms.time import Time
from modules.cost.terms.waypoints import Waypoints
from tests.tiny import REACH

PLACE = Layout((Channel("place", 2, "m"),))
SITE = Site(PLACE, Layout(()), 20.0, 2, PLACE, ("waypoints", "anticipation"))
POINTS = [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]


def seen(*places: list[float]) -> Rollout:
    """Return one agent's one future, through places, which are its latents too."""
    there = torch.tensor(places)[None, None, None]
    actions = torch.zeros(1, 1, len(places), 0)
    return Rollout(torch.zeros(1, 2), actions, there, {"place": there}, networks=1)


def ask(*goal: float, **more: Any) -> Directive:
    one = torch.ones(1, 2)
    return Directive(torch.tensor([goal]), one, one, torch.ones(1, dtype=torch.int64), **more)


def test_latent_distance_is_the_rms_gap_to_what_was_shown() -> None:
    term = LatentDistance(LatentDistance.Config(), SITE)
    goal = torch.tensor([[1.0, 1.0]])
    found = term.energy(seen([1.0, 1.0], [4.0, 5.0]), ask(0.0, 0.0, latent=goal))
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([0.0, (25 / 2) ** 0.5]))
    with pytest.raises(InputError, match=r"terms.latent_distance: expected a goal that was shown"):
        term.energy(seen([1.0, 1.0]), ask(0.0, 0.0))


def test_with_a_terminal_cost_the_way_may_lead_back_first() -> None:
    back = seen([3.0, 0.0], [2.0, 0.0], [0.5, 0.0])
    stay = seen([1.5, 0.0], [1.5, 0.0], [1.5, 0.0])

    def total(path: Rollout, terminal: float) -> float:
        term = Distance(Distance.Config(quantity="place", terminal=terminal), SITE)
        found = term.energy(path, ask(0.0, 0.0))[0, 0, 0]
        reach = path.quantities["place"][0, 0, 0].norm(dim=-1)
        torch.testing.assert_close(found, reach * torch.tensor([1.0, 1.0, 1.0 + terminal]))
        return float(found.sum())

    assert total(stay, 0.0) < total(back, 0.0)
    assert total(back, 3.0) < total(stay, 3.0)
    with pytest.raises(ValidationError):
        Distance.Config(quantity="place", terminal=-1.0)


def test_time_costs_until_arrival_and_no_more() -> None:
    term = Time(Time.Config(quantity="place", near=0.5), SITE)
    path = seen([9.0, 0.0], [0.5, 0.0], [0.0, 0.0], [9.0, 0.0])
    found = term.energy(path, ask(0.0, 0.0))[0, 0, 0]
    torch.testing.assert_close(found, torch.tensor([81 / 81.25, 0.5, 0.0, 0.0]))
    late = seen([9.0, 0.0], [9.0, 0.0], [0.5, 0.0], [0.0, 0.0])
    assert float(term.energy(late, ask(0.0, 0.0)).sum()) > float(found.sum())


def waypoints(**more: Any) -> Waypoints:
    settings = {"quantity": "place", "points": POINTS, "near": 0.1} | more
    return Waypoints(Waypoints.Config(**settings), SITE)


def test_waypoints_are_done_in_order_and_the_last_is_held() -> None:
    path = seen([0.0, 0.0], [1.0, 0.05], [1.0, 0.5], [1.0, 1.0], [0.0, 1.0], [0.0, 1.0])
    found = waypoints().energy(path, ask(0.0, 0.0))[0, 0, 0]
    torch.testing.assert_close(found, torch.tensor([3.0, 1.95, 1.5, 1.0, 0.0, 0.0]))
    skipped = waypoints().energy(seen([1.0, 1.0], [0.0, 1.0]), ask(0.0, 0.0))[0, 0, 0]
    torch.testing.assert_close(skipped, torch.tensor([3.0, 2.0**0.5 + 2.0]))
    only = waypoints(points=[[1.0, 0.0]]).energy(seen([0.0, 0.0], [1.0, 0.0]), ask(0.0, 0.0))
    assert only[0, 0, 0].tolist() == [1.0, 0.0]


def test_what_was_done_before_stays_done() -> None:
    done = ask(0.0, 0.0, stage=torch.tensor([1]))
    found = waypoints().energy(seen([0.0, 0.0], [1.0, 1.0]), done)[0, 0, 0]
    torch.testing.assert_close(found, torch.tensor([2.0**0.5 + 1.0, 1.0]))
    counted = [int(waypoints().stage(seen(p), done)) for p in ([0.0, 0.0], [1.0, 1.0])]
    assert counted == [1, 2]
    assert int(waypoints().stage(seen([1.0, 0.0]), ask(0.0, 0.0))) == 1


def test_points_that_are_no_places_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected points of 2 numbers, as place has"):
        waypoints(points=[[1.0, 0.0, 3.0]])


def test_the_tracking_configurator_hands_on_what_was_done_and_remembered() -> None:
    made = TrackingConfigurator(TrackingConfigurator.Config(), SITE)
    one = torch.zeros(1)
    past = Recollection(torch.zeros(1, 1, 2), torch.zeros(1, 1), torch.zeros(1, 1), one[None] > 0)
    felt: Appraisal | None = Appraisal(torch.zeros(1, 2), one, one, one, torch.tensor([2]))
    made.reset(1)

    class Box(dict[type, Any]):
        def last(self, kind: type) -> Any:
            return {Appraisal: felt, Recollection: past}[kind]

    box = Box({Task: Task(torch.zeros(1, 2), torch.ones(1, 2))})
    said, told = made.tick(box), felt
    assert told is not None
    assert said.stage is told.stage
    felt = None  # a tick in which the cost failed: what was done stays done
    assert made.tick(box).stage is told.stage
    made.reset(1)
    assert made.tick(box).stage is None
    assert said.past is past
    assert torch.equal(said.latent, torch.ones(1, 2))


def whole(*changes: str) -> Any:
    return blueprint(schema.load(REACH, list(changes)))


def test_a_body_visits_one_place_after_another(tensors: dict[str, Tensor]) -> None:
    """Through board, cost and configurator: the stage goes up as places are come near to."""
    found = whole(
        "configurator.use=tracking", "guardrails=[]",
        "terms=[{use: waypoints, quantity: fingertip, near: 0.5, points: [[9.0, 0.0], [0.0, 0.0]]},"
        " {use: waypoints, name: far, quantity: fingertip, near: 90.0,"
        " points: [[0.0, 0.0], [0.1, 0.0], [9.0, 9.0]]}]",
    )  # fmt: skip
    kept = {k: v for k, v in tensors.items() if not k.startswith("terms.")}
    for order, stages in ((slice(None), [0, 0, 0]), (slice(None, None, -1), [2, 2, 2])):
        config = found.config.model_copy(update={"terms": found.config.terms[order]})
        mind = blueprint(config).assemble(kept)
        world = mind.blueprint.world(1)
        agent = mind.agent(world)
        agent.reset(trials_of(world).tasks([900_000]))
        observation, came, told = world.reset([900_000]), [], []
        for _ in range(3):
            tick = agent.tick(observation)
            assert tick.faults == ()
            came.append(int(tick.messages[Appraisal].stage))
            told.append(tick.messages[Directive].stage)
        world.close()
        assert came == stages
        assert told[0] is None
        assert [int(t) for t in told[1:]] == stages[:2]


def test_goals_are_shown_as_what_would_be_observed_there(tensors: dict[str, Tensor]) -> None:
    mind = whole("shown=true").assemble(tensors)
    world = mind.blueprint.world(3)
    trials = trials_of(world)
    world.close()
    seeds = [900_000, 900_001, 900_002]
    task, told = asked(mind, trials, seeds), trials.tasks(seeds)
    assert task.latent is not None
    assert task.latent.shape == (3, mind.site.latent)
    read = mind.readouts.read(task.latent)["fingertip"]
    assert torch.equal(task.goal, read), "what readouts say of what is seen, not the goal itself"
    other = mind.blueprint.world(3)
    seen = trials.sights(other, seeds)
    other.close()
    where = mind.site.sensors["fingertip"]
    torch.testing.assert_close(seen.values[:, where], told.goal, atol=1e-6, rtol=0)
    plain = asked(whole().assemble(tensors), trials, seeds)
    assert plain.latent is None
    assert torch.equal(plain.goal, told.goal)


def test_a_term_that_needs_sights_is_refused_where_goals_are_told() -> None:
    with pytest.raises(InputError, match=r"terms.latent_distance: expected goals that are shown"):
        whole("terms=[{use: latent_distance}]").assemble()


def test_a_world_without_sights_cannot_show_its_goals(tensors: dict[str, Tensor]) -> None:
    mind = whole("shown=true").assemble(tensors)
    with pytest.raises(InputError, match=r"shown: expected a world that can show its goals"):
        asked(mind, replace_trials(), [900_000])


def replace_trials() -> Any:
    """Return trials of a world that has nothing to show."""

    class Blind:
        @staticmethod
        def tasks(seeds: list[int]) -> Task:
            return Task(torch.zeros(len(seeds), 2))

    return Blind


def test_rows_of_a_directive_take_all_of_it() -> None:
    past = Recollection(torch.zeros(2, 1, 2), torch.zeros(2, 1), torch.ones(2, 1), torch.ones(2, 1))
    two = torch.ones(2, 2)
    more = {"latent": torch.eye(2), "stage": torch.tensor([4, 5]), "past": past}
    whole = Directive(torch.eye(2), two, two, torch.tensor([1, 2]), **more)
    one = whole.rows(slice(1, 2))
    assert int(one.stage) == 5
    assert one.latent.tolist() == [[0.0, 1.0]]
    assert one.past.distances.shape == (1, 1)
    assert replace(whole, latent=None, stage=None, past=None).rows(slice(1)).latent is None
