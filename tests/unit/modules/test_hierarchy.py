"""Levels of a world model, and the actor that plans on all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from agent.config import schema
from agent.config.build import Mind, blueprint
from agent.core.errors import InputError
from agent.core.levels import Climb, plans
from agent.core.messages import Directive, Mode, Plan
from modules.actor import hierarchical
from modules.actor.hierarchical import Standing
from modules.cost.terms.subgoal import Subgoal
from modules.world_model.abstraction import REACH, Level
from tests.contract.stand import _config, mind, rollout

TICKS, HORIZON = 2, 3


@pytest.fixture(scope="module")
def tall() -> Mind:
    return mind("actor", "hierarchical")


def asked(made: Mind, goals: list[list[float]]) -> Directive:
    rows, site = len(goals), made.site
    return Directive(
        goal=torch.tensor(goals),
        weights=torch.ones(rows, len(site.terms)),
        attention=torch.ones(rows, len(site.sensors.channels)),
        mode=torch.full((rows,), int(Mode.DELIBERATE)),
        horizon=4,
    )


def test_resting_is_the_macro_action_zero_and_all_lie_within_reach(tall: Mind) -> None:
    level = tall.world_model.levels[0]
    low, high = tall.site.actuators.bounds()
    rest = ((low + high) / 2).expand(5, TICKS, -1)
    assert torch.allclose(level.compress(rest), torch.zeros(5, 3), atol=1e-6)
    wild = level.compress(1e3 * torch.randn(50, TICKS, 2))
    assert float(wild.abs().max()) <= REACH
    some = torch.randn(4, 7, TICKS, 2)
    assert level.compress(some).shape == (4, 7, 3)
    assert not torch.equal(level.compress(some), level.compress(some, seed=1))
    assert torch.equal(level.compress(some, seed=1), level.compress(some, seed=1))


def test_pooling_adds_the_mean_of_the_last_ticks_and_starts_with_the_first(tall: Mind) -> None:
    level = tall.world_model.levels[0]
    pooling = Level(level.config.model_copy(update={"pool": 3}), tall.site, 1)
    ticks = torch.arange(1.0, 6.0)[:, None]
    pooled = pooling.pooled(ticks)
    assert torch.equal(pooled[:, :1], ticks)
    assert pooled[:, 1].tolist() == pytest.approx([1.0, 4 / 3, 2.0, 3.0, 4.0])
    latents = torch.randn(7, 5, tall.site.latent)
    assert pooling.abstract(pooling.pooled(latents)).shape == (7, 5, level.config.latent)
    climb = Climb(tall.site.above)
    seen = [climb.see(torch.full((2, tall.site.latent), float(t)))[0] for t in range(4)]
    assert seen[0].shape == (2, level.site.latent)
    assert torch.equal(seen[3], level.abstract(torch.full((2, tall.site.latent), 3.0)))


def test_sensors_named_are_told_by_their_worst_during_a_step(tall: Mind) -> None:
    config = tall.world_model.levels[0].config
    worst = {"proximity": "min"}
    level = Level(config.model_copy(update={"worst": worst, "ticks": 3}), tall.site, 1)
    scalars = tall.site.sensors.scalars
    values = torch.randn(2, 6, scalars.size)
    values[0, :, scalars["proximity"]] = torch.tensor([5.0, 3.0, 4.0, 6.0, 7.0, 2.0])[:, None]
    told = level.told(values)
    assert told[0, :, scalars["proximity"]].flatten().tolist() == [5.0, 3.0, 3.0, 3.0, 4.0, 2.0]
    others = torch.ones(scalars.size, dtype=torch.bool)
    others[scalars["proximity"]] = False
    assert torch.equal(told[..., others], values[..., others])
    with pytest.raises(ValueError, match=r"levels.worst: .*'proximty'.*did you mean 'proximity'"):
        Level(config.model_copy(update={"worst": {"proximty": "min"}}), tall.site, 1)


def built(levels: list[dict[str, int]]) -> Mind:
    """Return a mind whose world model has these levels."""
    base = _config("actor", "hierarchical")
    chosen = base.singles["world_model"]
    settings = chosen.settings.model_validate(chosen.settings.model_dump() | {"levels": levels})
    whole = {**base.singles, "world_model": replace(chosen, settings=settings)}
    return replace(base, singles=whole).assemble()


def following(steps: int) -> Mind:
    """Return a mind whose upper level follows its plans for so many steps."""
    return built([{"ticks": TICKS, "horizon": HORIZON, "macro": 3, "follow": steps}])


@pytest.mark.parametrize("ticks", [[2, 5], [4, 4], [6, 2]])
def test_time_scales_that_do_not_divide_are_refused(ticks: list[int]) -> None:
    with pytest.raises(InputError, match=r"world_model \(hjepa\): levels: .*divide"):
        built([{"ticks": t} for t in ticks])


def test_every_level_plans_at_its_own_rate_and_is_judged(tall: Mind) -> None:
    actor, rows = tall.actor, 2
    actor.reset(rows)
    goals = asked(tall, [[0.2, 0.2], [-0.1, 0.3]])
    latent = torch.randn(rows, tall.site.latent, generator=torch.Generator().manual_seed(3))
    made = [actor.plan(latent, goals) for _ in range(2 * TICKS)]
    for plan in made:
        lower, upper = plans(plan)
        assert lower.actions.shape == (rows, 4, 2)
        assert upper.actions.shape == (rows, HORIZON, 3)
        assert upper.guardrails.shape == (rows, len(tall.guardrails), HORIZON)
        assert upper.latents.shape == (rows, HORIZON, tall.world_model.levels[0].site.latent)
    assert made[0].above is made[1].above
    assert made[1].above is not made[2].above
    assert made[2].above is made[3].above


def test_a_level_may_follow_a_plan_for_several_steps() -> None:
    made = following(2)
    actor, goals = made.actor, asked(made, [[0.2, 0.2]])
    actor.reset(1)
    latent = torch.randn(1, made.site.latent, generator=torch.Generator().manual_seed(3))
    seen = [actor.plan(latent, goals).above for _ in range(2 * 2 * TICKS)]
    assert all(above is seen[0] for above in seen[: 2 * TICKS])
    assert all(above is seen[-1] for above in seen[2 * TICKS :])
    assert seen[0] is not seen[-1]
    wanted = actor._wanted(0, replace(actor._standing[0], age=TICKS), goals.goal[:, None, None])
    foreseen = actor._standing[0].foreseen[0, 0]
    assert torch.equal(wanted[0, 0, 0], foreseen[1]), "in the second step its end is gone for"


def test_a_level_above_starts_anew_from_where_its_last_plan_was_left() -> None:
    planner = following(2).actor.planners[1]
    steps = torch.arange(3.0)[None, :, None].expand(1, 3, 3)
    planner._last = steps[:, None]
    assert planner._warm(1, 3)[0, 0, :, 0].tolist() == [2.0, 0.0, 0.0]
    planner.suggest(steps)
    assert planner._warm(1, 3)[0, 0, :, 0].tolist() == [0.0, 1.0, 2.0]


def test_what_a_middle_level_goes_for_is_counted_from_when_it_planned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = Path(__file__).parents[3] / "configs" / "lab" / "rooms-three.yaml"
    longer = ("0.horizon=8", "0.follow=4", "1.ticks=32", "1.pool=32", "1.horizon=6", "1.follow=1")
    words = [f"world_model.levels.{word}" for word in longer]
    words += ["actor.arrive=0.25", "train.levels.calibrate=null"]
    made = blueprint(schema.load(path, words)).assemble()
    actor, asks = made.actor, asked(made, [[5.0, 0.0]])
    far, near = (
        torch.stack((length * torch.arange(1.0, steps + 1), torch.zeros(steps)), dim=-1)[None, None]
        for steps, length in ((6, 0.9), (8, 0.2))
    )
    goal = asks.goal[:, None, None]
    high = Standing(object(), far, goal)  # type: ignore[arg-type]
    middle = Standing(object(), near, actor._wanted(1, high, goal))  # type: ignore[arg-type]
    told = []
    monkeypatch.setattr(actor.lowest, "plan", lambda _, directive: told.append(directive.foreseen))
    monkeypatch.setattr(
        hierarchical, "replace", lambda made, **more: made and replace(made, **more)
    )
    for age in (0, 5, 8, 20):
        ages = [replace(middle, age=age), replace(high, age=age)]
        monkeypatch.setattr(actor, "_stand", lambda index, *_, ages=ages: ages[index])
        actor.plan(torch.zeros(1, made.site.latent), asks)
        assert torch.equal(told[-1][:, :, : 64 - age], told[0][:, :, age:]), age
    assert len(told[0].unique(dim=2)[0, 0]) > 2


def test_plans_above_last_a_whole_number_of_those_below() -> None:
    with pytest.raises(InputError, match=r"levels.follow: .*came 8 ticks above 12"):
        built([{"ticks": 4, "follow": 3}, {"ticks": 8}])


def test_plans_are_not_followed_beyond_their_end() -> None:
    with pytest.raises(InputError, match=r"levels.follow: expected at most the horizon of 3 steps"):
        following(4)


def test_plans_go_on_below_but_not_where_a_level_above_plans_anew(
    tall: Mind, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor, rows = tall.actor, 2
    actor.reset(rows)
    goals = asked(tall, [[0.2, 0.2], [-0.1, 0.3]])
    told = replace(goals, carry=torch.ones(rows, dtype=torch.bool))
    latent = torch.randn(rows, tall.site.latent, generator=torch.Generator().manual_seed(3))
    plan, carried = actor.lowest.plan, list[bool]()

    def below(latent: Tensor, directive: Directive) -> Plan:
        carried.append(directive.carry is not None and bool(directive.carry.all()))
        made: Plan = plan(latent, directive)
        return made

    monkeypatch.setattr(actor.lowest, "plan", below)
    for _ in range(2 * TICKS):
        _, upper = plans(actor.plan(latent, told))
        assert upper.mode.tolist() == [int(Mode.DELIBERATE)] * rows, "above, nothing goes on"
    assert carried == [False, *[True] * (TICKS - 1)] * 2


def test_the_level_below_is_given_the_states_foreseen_and_in_the_end_the_goal(tall: Mind) -> None:
    actor, place = tall.actor, tall.site.above[0]
    actor.reset(1)
    goal = asked(tall, [[0.2, 0.2]])
    latent = torch.randn(1, tall.site.latent, generator=torch.Generator().manual_seed(3))
    plan = actor.plan(latent, goal).above
    assert plan is not None
    foreseen = place.read(plan.latents)["fingertip"]
    nearest = int((foreseen - goal.goal[:, None]).norm(dim=-1).argmin())
    assert torch.equal(actor._standing[0].foreseen, foreseen[:, None])
    wanted = actor._wanted(0, actor._standing[0], goal.goal[:, None, None])
    assert wanted.shape == (1, 1, HORIZON * TICKS, 2)
    for tick in range(HORIZON * TICKS):
        step = tick // TICKS
        expected = goal.goal[0] if step >= nearest else foreseen[0, step]
        assert torch.equal(wanted[0, 0, tick], expected)


def test_a_step_that_ends_near_the_goal_hands_on_the_goal(tall: Mind) -> None:
    actor = tall.actor
    actor.reset(1)
    goal = asked(tall, [[0.2, 0.2]])
    latent = torch.randn(1, tall.site.latent, generator=torch.Generator().manual_seed(3))
    actor.plan(latent, goal)
    ends = torch.tensor([[[0.5, 0.2], [0.3, 0.2], [0.21, 0.2]]])
    standing = replace(actor._standing[0], foreseen=ends[:, None])
    settings = actor.config
    try:
        for arrive, step in ((0.0, 2), (0.1, 1), (0.4, 0)):
            actor.config = settings.model_copy(update={"arrive": arrive})
            wanted = actor._wanted(0, standing, goal.goal[:, None, None])[0, 0, ::TICKS]
            assert torch.equal(wanted[:step], ends[0, :step])
            assert torch.equal(wanted[step:], goal.goal.expand(HORIZON - step, -1))
    finally:
        actor.config = settings


def test_a_subgoal_is_held_against_its_own_time_and_the_end_counts_beyond(tall: Mind) -> None:
    seen = rollout(tall, 2, 2, 3, 4)
    seen = replace(seen, quantities={n: v.float() for n, v in seen.quantities.items()})
    there, goals = seen.quantities["fingertip"], asked(tall, [[0.2, 0.2], [0.0, 0.1]])
    term = Subgoal(Subgoal.Config(beyond=5.0), tall.site)
    plain = term.energy(seen, goals)
    away = (there - goals.goal[:, None, None]).norm(dim=-1)
    assert torch.allclose(plain[..., :-1], away[..., :-1])
    assert torch.allclose(plain[..., -1], 6.0 * away[..., -1])
    aims = torch.randn(2, 2, 2)
    led = term.energy(seen, replace(goals, foreseen=aims[:, None]))
    assert torch.allclose(led[..., 0], (there[..., 0, :] - aims[:, 0][:, None]).norm(dim=-1))
    assert torch.allclose(led[..., 3], (there[..., 3, :] - aims[:, 1][:, None]).norm(dim=-1))
