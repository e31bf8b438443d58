"""Levels whose futures part: two doors, of which the latent variable opens one, and by hand which.

The quantity `place` is the latent itself, so that every distance can be told by hand.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from agent.config.choose import choose
from agent.core.errors import InputError
from agent.core.guardrails import Guardrails
from agent.core.messages import Directive, Mode, Rollout
from agent.core.objective import GuardedObjective
from agent.core.protocols import Above, Site
from agent.core.risk import Risk
from agent.core.spec import Channel, Layout
from modules.actor.cem import CEM
from modules.actor.hierarchical import Hierarchical, Standing
from modules.cost.composite import CompositeCost
from modules.cost.guardrails.at_most import AtMost
from modules.cost.terms.subgoal import Subgoal
from modules.world_model.abstraction import Level
from modules.world_model.latents.discrete import Discrete

TICKS, STEPS, DRAWS = 2, 2, 4
PLACE = Layout((Channel("place", 2, "m"),))
GOAL = torch.tensor([[0.0, 2.0]])
LEFT, RIGHT = torch.tensor([-1.0, 1.0]), torch.tensor([1.0, 1.0])
HORIZON = TICKS * STEPS


class Walk:
    """A lowest level that goes where it is commanded, at most one metre a tick and axis."""

    members = 1

    def imagine(self, state: Tensor, actions: Tensor, latent: Tensor | None = None) -> Rollout:
        ahead = state[:, None, None] + actions.cumsum(dim=2)
        return Rollout(state, actions, ahead[None], {}, 1)


class Told:
    """Readouts of the latent, which is the place."""

    layout = PLACE

    def read(self, latents: Tensor) -> dict[str, Tensor]:
        return {"place": latents}


def doors(states: Tensor, scaled: Tensor, z: Tensor) -> Tensor:
    """Return the next place: by the door that z opens, left for its first code; then the goal."""
    door = z @ torch.stack((LEFT, RIGHT))
    return torch.where(states[..., 1:] < 0.5, door, GOAL[0])


def gamble(states: Tensor, scaled: Tensor, z: Tensor) -> Tensor:
    """Return the goal, or 1.2 m off it, as z has it; 0.4 m off for certain if the action is < 0."""
    off = torch.where(scaled[..., :1] < 0, 0.4, 1.2 * z[..., 1:])
    return GOAL[0] + torch.cat((off, torch.zeros_like(off)), dim=-1)


def level(below: Site, step: Any) -> Level:
    """Return a level that takes `step`s; its first code comes three times of four."""
    variable = Discrete.Config(codes=2, draws=DRAWS)
    config = Level.Config(
        ticks=TICKS, latent=2, macro=1, members=1, horizon=STEPS, latent_variable={"use": "discrete"}
    )  # fmt: skip
    made = Level(config, below, 1, lambda site: Discrete(variable, site)).requires_grad_(False)
    with torch.no_grad():
        made.latent_variable.prior[-1].weight.zero_()  # type: ignore[union-attr]
        odds = torch.tensor([0.75, 0.25]).log()
        made.latent_variable.prior[-1].bias.copy_(odds)  # type: ignore[union-attr]
    made._next = step  # type: ignore[method-assign]
    made.abstraction = torch.nn.Sequential()
    return made


def judged(site: Site, model: Any, term: Subgoal, rails: tuple[Any, ...] = ()) -> Site:
    """Return the site with an objective: `term` alone, under guardrails `rails`."""
    cost = CompositeCost(CompositeCost.Config(), site, [term], Told(), None)
    guardrails = Guardrails(rails, Told())
    objective = GuardedObjective(model, cost, guardrails)
    return replace(site, terms=cost.terms, guardrails=guardrails.names, objective=objective)


def hierarchy(
    step: Any, under: Literal["mean", "worst"] = "mean", rails: tuple[Any, ...] = ()
) -> Hierarchical:
    """Return two levels that plan, the upper one as `step` says."""
    body = Layout((Channel("motors", 2, "m", (-1.0, -1.0), (1.0, 1.0)),))
    site = Site(PLACE, body, 10.0, 2, PLACE)
    term = Subgoal(Subgoal.Config(under=under), site)
    above = level(site, step)
    higher = judged(above.site, above, term, rails)
    low = replace(judged(site, Walk(), term), above=(Above(higher, above, Told().read),))
    settings = {
        "samples": 256,
        "iterations": 10,
        "elites": 16,
        "correlation": 0.1,
        "policy": {"span": 1.0},
    }
    planners = [CEM(CEM.Config.model_validate(settings), at) for at in Hierarchical.places(low)]
    return Hierarchical(Hierarchical.Config(planners=[{}, {}]), low, planners)


def asked(actor: Hierarchical, risk: str = "mean") -> Directive:
    return Directive(
        goal=GOAL,
        weights=torch.ones(1, len(actor.site.terms)),
        attention=torch.ones(1, 1),
        mode=torch.full((1,), int(Mode.DELIBERATE)),
        horizon=HORIZON,
        risk=Risk(risk),
    )


def test_all_futures_are_handed_down_until_each_is_nearest_to_the_goal() -> None:
    actor = hierarchy(doors)
    actor.plan(torch.zeros(1, 2), asked(actor))
    standing = actor._standing[0]
    assert standing is not None
    first, second = standing.foreseen[0].unbind(dim=1)
    assert sorted(first.tolist()) == [[-1.0, 1.0]] * 3 + [[1.0, 1.0]]
    assert torch.equal(second, GOAL.expand(DRAWS, -1))
    assert standing.plan.latents[0].tolist() == [[-0.5, 1.0], [0.0, 2.0]], "one in between"
    wanted = actor._wanted(0, standing, GOAL[:, None, None])
    assert wanted.shape == (1, DRAWS, HORIZON, 2)
    assert torch.equal(wanted[0, :, :TICKS], first[:, None].expand(-1, TICKS, -1))
    assert torch.equal(wanted[0, :, TICKS:], GOAL.expand(DRAWS, TICKS, -1))


@pytest.mark.parametrize(
    ("under", "each"),
    [("mean", {-1: 0.5, 0: 1.0, 1: 1.5}), ("worst", {-1: 2.0, 0: 1.0, 1: 2.0})],
)
def test_the_distance_is_the_expected_or_the_largest(under: Any, each: dict[int, float]) -> None:
    actor = hierarchy(doors, under)
    directive = replace(
        asked(actor), foreseen=torch.stack((LEFT, RIGHT, LEFT, LEFT))[None, :, None]
    )
    places = torch.tensor([[[float(x), 1.0]] for x in each])[None]
    assert actor.site.objective is not None
    _, bill = actor.site.objective(torch.zeros(1, 2), places, directive)
    assert bill.energy[0].tolist() == pytest.approx(list(each.values()))


@pytest.mark.parametrize(("under", "there"), [("mean", -1.0), ("worst", 0.0)])
def test_mean_goes_for_the_likely_door_and_worst_waits_in_between(under: Any, there: float) -> None:
    actor = hierarchy(doors, under)
    plan = actor.plan(torch.zeros(1, 2), asked(actor))
    assert plan.latents[0, :TICKS, 0].tolist() == pytest.approx([there] * TICKS, abs=0.3)
    assert plan.latents[0, -1].tolist() == pytest.approx([0.0, 2.0], abs=0.3)


@pytest.mark.parametrize(
    ("risk", "limit", "off"),
    [("mean", 9.0, 0.3), ("worst", 9.0, 0.4), ("mean", 1.0, 0.4)],
)
def test_a_level_plans_under_the_attitude_to_risk_and_guardrails_see_its_worst_future(
    risk: str, limit: float, off: float
) -> None:
    """A gamble is 0.3 m off on average and 1.2 m at worst; what is certain is 0.4 m off."""
    rail = AtMost(AtMost.Config(name="near", quantity="place", limit=[limit, 12.0]), plain_site())
    actor = hierarchy(gamble, rails=(rail,))
    plan = actor.plan(torch.zeros(1, 2), asked(actor, risk)).above
    assert plan is not None
    assert (plan.latents[0, :, 0]).tolist() == pytest.approx([off] * STEPS)
    assert bool((plan.violation <= 0).all())
    assert float(plan.energy[0]) == pytest.approx(off)
    chances = bool(plan.actions.min() >= 0)
    assert chances == (off == 0.3)
    values = plan.guardrails[0, 0]
    assert values.tolist() == pytest.approx([(1.2 if chances else 0.4) - limit] * STEPS)


def plain_site() -> Site:
    return Site(PLACE, PLACE, 10.0, 2, PLACE)


def test_below_two_uncertain_levels_every_pair_of_their_futures_counts() -> None:
    actor = hierarchy(doors)
    own = torch.tensor([[[[0.0, 1.0], [0.0, 3.0]], [[0.0, 9.0], [0.0, 5.0]]]])
    aims = torch.tensor([[[[0.0, 3.0]], [[0.0, 1.25]], [[0.0, 9.0]]]])
    plan = hierarchy(doors).plan(torch.zeros(1, 2), asked(actor))
    wanted = actor._wanted(0, Standing(plan, own, aims), aims)[0, :, ::TICKS, 1]
    assert wanted.tolist() == [
        [1.0, 3.0],  # the first of its own ends at the first aim,
        [1.25, 1.25],  # begins nearest to the second,
        [1.0, 9.0],  # ends nearest to the third;
        [9.0, 3.0],  # so does the other one at the first two, and begins at the third
        [9.0, 1.25],
        [9.0, 9.0],
    ]


def test_one_future_costs_the_same_under_both() -> None:
    one = hierarchy(doors, "mean"), hierarchy(doors, "worst")
    seen = Walk().imagine(torch.zeros(1, 2), torch.rand(1, 7, HORIZON, 2) - 0.5)
    seen = replace(seen, quantities={"place": seen.latents})
    for foreseen in (None, torch.randn(1, 1, 3, 2)):
        directive = replace(asked(one[0]), foreseen=foreseen)
        mean, worst = (
            Subgoal(Subgoal.Config(under=under), actor.site).energy(seen, directive)
            for under, actor in zip(("mean", "worst"), one, strict=True)
        )
        assert torch.equal(mean, worst)


def test_directives_of_some_agents_keep_their_futures() -> None:
    directive = replace(asked(hierarchy(doors)), foreseen=torch.randn(1, DRAWS, HORIZON, 2))
    found = directive.rows(torch.tensor([0])).foreseen
    assert found is not None
    assert torch.equal(found, directive.foreseen)


def test_other_words_than_mean_and_worst_are_refused() -> None:
    with pytest.raises(InputError, match=r"terms\.0: 'under': .*'mean' or 'worst'.*'median'"):
        choose("term", "terms.0", {"use": "subgoal", "under": "median"})
