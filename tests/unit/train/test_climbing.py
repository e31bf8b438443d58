"""Levels above the lowest: trained one after the other, and together; three of them at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from agent.config import schema
from agent.config.build import Blueprint, blueprint
from agent.core.errors import InputError
from agent.core.levels import Climb, plans
from agent.core.loop import live
from agent.core.messages import Plan, Verdict
from agent.evaluate.episodes import trials_of
from agent.train.asking import directives
from agent.train.augment import Shuffled
from agent.train.climbing import climb, join
from agent.train.coarse import Coarse, Span, ladder
from agent.train.course import Trained, course_of, train
from agent.train.dataset import Dataset
from agent.train.progress import silent
from agent.train.understanding import understand
from modules.world_model.joint import Joint
from tests.shelf import Power, shelf
from tests.tall import JOINT, TALL, explored, learners, spans, split
from tests.tiny import REACH


@pytest.fixture(scope="module")
def plain() -> Blueprint:
    return blueprint(schema.load(REACH, TALL))


@pytest.fixture(scope="module")
def both() -> Blueprint:
    return blueprint(schema.load(REACH, [*TALL, JOINT]))


@pytest.fixture(scope="module")
def apart(plain: Blueprint) -> Trained:
    return train(plain, silent())


@pytest.fixture(scope="module")
def together(both: Blueprint) -> Trained:
    return train(both, silent())


@pytest.fixture(scope="module")
def seen(plain: Blueprint) -> Dataset:
    return explored(plain)


@pytest.mark.parametrize("level", [1, 2])
def test_what_is_encoded_with_gradient_is_what_levels_see_one_after_the_other(
    level: int, plain: Blueprint, apart: Trained, seen: Dataset
) -> None:
    mind = plain.assemble(apart.tensors)
    levels = [tier.level for tier in mind.tiers][:level]
    steps, rows = 3, 400
    joint = Joint(Joint.Config(), *split(learners(mind, steps)))
    draws = torch.Generator().manual_seed(4)
    values, commands = spans(mind, seen)[level - 1].windows(rows, steps, draws)
    found = joint.lifted(level, values, commands)
    coarse: Coarse = ladder(levels, seen, mind.perception, mind.site.sensors)
    expected = coarse.windows(rows, steps, torch.Generator().manual_seed(4))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.detach(), other, atol=1e-5, rtol=1e-5)


def test_what_is_encoded_while_living_is_what_was_trained_on(
    plain: Blueprint, apart: Trained, seen: Dataset
) -> None:
    mind = plain.assemble(apart.tensors)
    latents = mind.perception.encode(seen.values[:3, :20])
    climbing = Climb(mind.site.above)
    lived = [climbing.see(latents[:, tick]) for tick in range(20)]
    for index, tier in enumerate(mind.tiers):
        latents = tier.level.abstract(tier.level.pooled(latents))
        told = torch.stack([codes[index] for codes in lived], dim=1)
        torch.testing.assert_close(told, latents, atol=1e-5, rtol=1e-5)


def test_three_levels_trained_apart_and_together_are_complete_and_differ(
    plain: Blueprint, apart: Trained, together: Trained
) -> None:
    assert set(apart.tensors) == set(together.tensors) == set(plain.assemble().tensors())
    for prefix in ("perception", "world_model.first", "world_model.levels.0.abstraction",
                   "world_model.levels.1.compression", "levels.0.readouts", "levels.1.readouts",
                   "levels.1.margins"):  # fmt: skip
        names = [name for name in apart.tensors if name.startswith(prefix)]
        assert names, prefix
        assert any(not torch.equal(apart.tensors[n], together.tensors[n]) for n in names), prefix
    for name in ("level2.relative_error_3", "level3.relative_error_3", "level2.rms.fingertip",
                 "level3.rms.fingertip", "level3.coverage", "relative_error_24"):  # fmt: skip
        assert apart.figures[name] != together.figures[name]
    assert apart.figures.keys() == together.figures.keys()


def test_figures_are_those_of_the_latents_that_are_kept(both: Blueprint, together: Trained) -> None:
    mind = both.assemble(together.tensors)
    course, held = course_of(both), together.dataset.split()[1]
    parts = learners(mind, 3)
    found = parts[0].evaluate(held, course.readouts.horizon)
    assert found["relative_error_24"] == pytest.approx(
        together.figures["relative_error_24"], rel=1e-4
    )
    for index, learner in enumerate(parts[1:]):
        levels = [tier.level for tier in mind.tiers[: index + 1]]
        coarse = ladder(levels, together.dataset, mind.perception, mind.site.sensors)
        told = learner.evaluate(coarse.split()[1], 3)
        for name in ("relative_error_1", "relative_error_3", "effective_rank"):
            kept = together.figures[f"level{index + 2}.{name}"]
            assert told[name] == pytest.approx(kept, rel=1e-3)


class Dropping:
    """An actor that leaves out the plan of the highest level."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def tick(self, inbox: Any) -> Plan:
        made: Plan = self._real.tick(inbox)
        assert made.above is not None
        return replace(made, above=replace(made.above, above=None))


@pytest.mark.parametrize("name", ["apart", "together"])
def test_three_levels_live_and_are_judged_at_every_level(
    name: str, request: pytest.FixtureRequest, plain: Blueprint
) -> None:
    trained: Trained = request.getfixturevalue(name)
    mind, seeds = plain.assemble(trained.tensors), [3, 4]
    assert [len(tier.guardrails.margins(1)) for tier in mind.tiers] == [1, 1]
    for drop in (False, True):
        world = plain.world(len(seeds))
        try:
            agent = mind.agent(world)
            if drop:
                agent.modules["actor"] = Dropping(agent.modules["actor"])
            tasks = trials_of(world).tasks(seeds)
            lived = list(live(agent, world, seeds, tasks, 10))
        finally:
            world.close()
        assert not [tick.faults for tick in lived if tick.faults]
        said = [reason for tick in lived for reason in tick.messages[Verdict].reasons]
        assert any("level 3 has no plan" in reason for reason in said) == drop
        if not drop:
            every = [list(plans(tick.messages[Plan])) for tick in lived]
            assert [len(made) for made in every] == [3] * 10
            upper = [made[2] for made in every]
            assert all(plan is upper[0] for plan in upper[:8])
            assert upper[8] is not upper[0]
            assert upper[0].latents.shape[1:] == (3, 8)


def test_every_level_begins_with_what_the_one_below_tried(plain: Blueprint, apart: Trained) -> None:
    mind, asked = plain.assemble(apart.tensors), []
    low, middle, high = mind.actor.planners
    high.ground = _heard(high.ground, asked)
    middle.suggest = _heard(middle.suggest, asked)
    goals = torch.tensor([[0.2, 0.2], [-0.1, 0.3]])
    latent = mind.perception.encode(apart.dataset.values[:2, 0])
    mind.actor.reset(2)
    lowest, first, second = plans(mind.actor.plan(latent, directives(mind)(goals)))
    (place, below, codes, _), (done,) = asked
    assert place is mind.site.above[1]
    assert below is mind.site.above[0].site
    assert torch.equal(codes, Climb(mind.site.above).see(latent)[0])
    assert done.shape == (2, 2, 2), "rows, steps of the middle level, its macro-actions"
    assert torch.equal(place.level.compress(done), second.actions[:, 0])
    for planner, plan in ((middle, first), (high, second)):
        among = (plan.actions[:, :1] == planner._offer.actions).all(dim=-1).any(dim=1)
        assert bool(among.all())
    assert lowest.actions.shape[-1] == 2
    assert low is mind.actor.lowest


def _heard(real: Any, asked: list[Any]) -> Any:
    def call(*given: Any) -> Any:
        asked.append(given)
        return real(*given)

    return call


def test_training_together_goes_on_where_it_was_interrupted(
    both: Blueprint, together: Trained
) -> None:
    ledger, kept = shelf()
    course, cut = course_of(both), 0

    def save(name: str, tensors: Any, figures: Any) -> None:
        nonlocal cut
        ledger.save(name, tensors, figures)
        if name == "joint" and figures["done"] == 5 and not cut:
            cut += 1
            raise Power

    failing = replace(ledger, save=save)
    with pytest.raises(Power):
        understand(both, course, failing)
    assert kept["joint"][1]["done"] == 5
    assert "readouts" not in kept, "what is read out is read out of the final latents"
    found = understand(both, course, failing)
    tensors = found.mind.tensors()
    for name, value in together.tensors.items():
        if name.startswith(("perception", "world_model", "readouts", "levels.")) and (
            name in tensors and "margins" not in name
        ):
            assert torch.equal(tensors[name], value), name


def test_sensors_that_are_shuffled_are_shuffled_for_every_level(
    plain: Blueprint, seen: Dataset
) -> None:
    mind, drawn = plain.assemble(), []

    def view(part: Any) -> Any:
        made = Shuffled(part, mind.site.sensors, ["impact"])
        drawn.append(part)
        return made

    course = course_of(plain)
    above, _ = climb(mind, course.levels, seen, silent(), 0)
    every = [learners(mind)[0], *above]
    join(mind, every, Joint.Config(steps=1), seen, view, 6, silent())
    assert [type(part) for part in drawn] == [Dataset, Span, Span, Dataset]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["world_model={use: jepa}", "actor={use: cem}"], "joint: .*levels above, came jepa"),
        (["train.explore.ticks=20"], "train.explore.ticks: expected 24 or more"),
        (["train.levels.learner.objectives=[{use: vicreg}]"], "train.levels.learner.objectives"),
        (["train.levels.joint.steps=0"], "levels.joint.steps'"),
        (["train.levels.joint.rate=0"], "levels.joint.rate'"),
        (["train.levels.joint.weight=-1"], "levels.joint.weight'"),
        (["train.levels.joint.batch=3"], "levels.joint.batch'; known: rate, steps, weight"),
        (["world_model.levels.1.pooled=2"], "'levels.1.pooled'; did you mean 'pool'"),
        (
            ["world_model.levels.1.follow=2", "train.levels.calibrate.segments=3"],
            "levels.calibrate.segments: expected a multiple of 2, .*came 3",
        ),
        (["train.learner.residual=true"], "train.learner.residual: .*latent variable.*, came none"),
        (["train.levels.learner.residual=true"], "train.levels.learner.residual: .*, came none"),
        (["train.levels.learner.device=cuda"], "device: expected that of train.learner, cpu"),
    ],
)
def test_what_cannot_be_trained_together_is_refused_before_exploring(
    change: list[str], said: str
) -> None:
    ledger, kept = shelf()
    with pytest.raises(InputError, match=said):
        train(blueprint(schema.load(REACH, [*TALL, JOINT, *change])), ledger)
    assert not kept


def test_images_are_not_encoded_at_every_tick_of_a_level() -> None:
    tall = ["world_model={use: hjepa, levels: [{ticks: 4}]}", "cost.above=[effort]"]
    seeing = blueprint(schema.load(REACH.with_name("reach-pixels.yaml"), [*tall, JOINT]))
    with pytest.raises(InputError, match="joint: expected sensors without images, .*came 'camera'"):
        train(seeing, silent())
