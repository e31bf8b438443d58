"""Every latent variable at every level of a hierarchy that lives: drawn, judged, handed down."""

from __future__ import annotations

import math

import pytest
import torch

from agent.config import schema
from agent.config.build import Blueprint, Mind, blueprint
from agent.core.messages import Mode
from agent.redteam.harness import watched
from agent.redteam.hostile import PromisingModel
from agent.redteam.modules import turned
from agent.train.progress import silent
from agent.train.understanding import Study, understand
from tests.contract.stand import base, cases, directive, part, stir

EVERY = pytest.mark.parametrize(("slot", "name"), cases("latent_variable"))
SLOW = {"use": "at_most", "name": "slow", "quantity": "joint_speed", "limit": 50.0}
TICKS = 2


def found(name: str) -> Blueprint:
    """Return a hierarchy of three levels, all of which have the latent variable `name`."""
    raw = base()
    hidden = part("latent_variable", name) | {"draws": 2}
    low = {"latent": 6, "hidden": 8, "width": 16, "horizon": 3, "members": 2}
    raw["world_model"] = {
        "use": "hjepa", "latent_variable": hidden,
        "levels": [{"ticks": t, "latent_variable": hidden, **low} for t in (TICKS, 2 * TICKS)],
    }  # fmt: skip
    raw["actor"] = part("actor", "hierarchical")
    raw["actor"]["planners"] = [{"use": "cem", "samples": 8, "iterations": 1, "elites": 4}] * 3
    raw["cost"] = {"use": "composite", "above": ["subgoal"]}
    raw["terms"] = [{"use": "subgoal", "under": "worst"}, {"use": "effort"}]
    raw["guardrails"], raw["gate"] = [SLOW], {"fallback": [0.0, 0.0]}
    return blueprint(schema.validate(schema.AgentConfig, raw, "uncertain"))


def stirred(what: Blueprint) -> Mind:
    """Return a mind with seeded weights."""
    torch.manual_seed(0)
    made = what.assemble()
    for held in made.trainable().values():
        stir(held, torch.Generator().manual_seed(7))
    return made


@EVERY
def test_a_level_imagines_draws_of_every_network_and_plans_see_all(slot: str, name: str) -> None:
    made = stirred(found(name))
    state, asked = torch.randn(2, made.site.latent), directive(made, 2, 4)
    made.actor.reset(2)
    plan = made.actor.plan(state, asked)
    for place, standing in zip(made.site.above, made.actor._standing, strict=True):
        level = place.level
        assert level.members == 2 * 2
        assert standing.foreseen.shape == (2, 4, level.horizon, made.site.goal.size)
        assert bool(standing.foreseen.isfinite().all())
        assert float(standing.foreseen.std(dim=1).max()) > 0, "futures that are all alike"
    assert plan.above.above is not None
    wanted = made.actor._wanted(1, made.actor._standing[1], asked.goal[:, None, None])
    assert wanted.shape[:2] == (2, 4)
    assert made.actor._wanted(0, made.actor._standing[0], wanted).shape[:2] == (2, 4 * 4)


@EVERY
def test_agents_in_a_batch_are_handed_their_own_futures(slot: str, name: str) -> None:
    made = stirred(found(name))
    state, asked = torch.randn(3, made.site.latent), directive(made, 3, 4)
    others = torch.cat((state[:1], state[1:] + 1.0))
    handed = []
    for latent in (state, others):
        made.actor.reset(3)
        plan = made.actor.plan(latent, asked)
        handed.append((made.actor._standing[0].foreseen[0], plan.actions[0]))
    for one, other in zip(*handed, strict=True):
        torch.testing.assert_close(one, other)


@EVERY
def test_guardrails_take_the_worst_future_of_a_level(slot: str, name: str) -> None:
    made = stirred(found(name))
    tier = made.tiers[0]
    actions = torch.randn(2, 3, 4, tier.level.site.actuators.size).clamp(-1, 1)
    state = torch.randn(2, tier.level.site.latent)
    seen = tier.objective.imagine(state, actions)
    speed = seen.quantities["joint_speed"].abs().amax(dim=-1).amax(dim=0)
    values = tier.objective.guard(state, actions)[:, :, 0] + 50.0
    torch.testing.assert_close(values, speed)


@EVERY
def test_it_lives_and_every_command_is_judged_at_every_level(slot: str, name: str) -> None:
    what = found(name)
    watch = watched(what, stirred(what).tensors())
    try:
        lived = watch.live([900_000], 2 * TICKS + 1)
    finally:
        watch.world.close()
    assert (lived.unvalidated, lived.uncaught, lived.flags) == (0, [], [])


@EVERY
def test_a_model_that_turned_hostile_is_built_with_the_same(slot: str, name: str) -> None:
    what = found(name)
    hostile = turned(what, (PromisingModel,), what.config.guardrails)
    made = hostile.assemble(stirred(what).tensors())
    assert isinstance(made.world_model, PromisingModel)
    assert [level.latent_variable.draws for level in made.world_model.levels] == [2, 2]
    assert made.world_model.latent_variable.draws == 2


@EVERY
def test_training_fits_it_at_every_level_and_says_what_it_tells(slot: str, name: str) -> None:
    what = found(name)
    few = {"steps": 4, "batch": 8, "horizon": 2}
    study = Study.model_validate(
        {
            "explore": {"episodes": 40, "ticks": 48},
            "learner": few,
            **dict.fromkeys(("surprise", "completion", "readouts"), few),
            "levels": {"learner": few | {"residual": True}, "readouts": few},
        }
    )
    before = what.assemble().tensors()
    learned = understand(what, study, silent())
    after = learned.mind.tensors()
    for level in ("level2", "level3"):
        assert f"{level}.information_z" in learned.figures
        assert math.isfinite(learned.figures[f"{level}.relative_error_1"])
        assert f"{level}.rms.fingertip" in learned.figures
    for index in range(2):
        own = [n for n in before if n.startswith(f"world_model.levels.{index}.latent_variable.")]
        assert own
        assert any(not torch.equal(before[n], after[n]) for n in own)


@EVERY
def test_who_reacts_is_handed_the_futures_too(slot: str, name: str) -> None:
    made = stirred(found(name))
    asked = directive(made, 1, 4, Mode.REACTIVE)
    made.actor.reset(1)
    plan = made.actor.plan(torch.randn(1, made.site.latent), asked)
    assert int(plan.mode[0]) == int(Mode.REACTIVE)
    assert made.actor._standing[0].foreseen.shape[1] == 4
