"""Levels trained together: what one misses is felt by all below it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.config import schema
from agent.config.build import Blueprint, blueprint
from agent.train.dataset import Dataset
from modules.world_model.joint import Joint
from modules.world_model.learn import Learner
from tests.tall import TALL, explored, learners, predicting, spans, split
from tests.tiny import REACH


@pytest.fixture(scope="module")
def plain() -> Blueprint:
    return blueprint(schema.load(REACH, TALL))


@pytest.fixture(scope="module")
def seen(plain: Blueprint) -> Dataset:
    return explored(plain)


@pytest.mark.parametrize("level", [1, 2])
def test_what_a_level_misses_is_felt_by_all_below(
    level: int, plain: Blueprint, seen: Dataset
) -> None:
    mind = plain.assemble()
    joint = Joint(Joint.Config(), *split(learners(mind)))
    learner = joint.above[level - 1]
    values, commands, _ = learner.minibatch(0, spans(mind, seen)[level - 1])
    learner.loss(0, *joint.lifted(level, values, commands))[0].backward()

    def felt(part: Any) -> bool:
        return any(p.grad is not None and bool(p.grad.any()) for p in part.parameters())

    assert felt(mind.perception)
    assert felt(mind.tiers[0].level.abstraction)
    assert felt(mind.tiers[0].level.compression)
    assert felt(mind.tiers[1].level) == (level == 2)
    assert not felt(mind.world_model.first), "latents are encoded, not predicted below"


def test_a_weight_counts_every_level_above(plain: Blueprint, seen: Dataset) -> None:
    found = []
    for weight in (1.0, 3.0):
        mind = plain.assemble()
        joint = Joint(Joint.Config(weight=weight), *split(learners(mind)))
        found.append(joint.step(0, [seen, *spans(mind, seen)]))
    one, three = found
    above = one["level2.loss"] + one["level3.loss"]
    lowest = one["loss"] - above
    assert lowest == pytest.approx(three["prediction"], rel=1e-4)
    assert three["loss"] == pytest.approx(lowest + 3 * above, rel=1e-4)
    assert three["level3.prediction"] == pytest.approx(one["level3.prediction"])


def test_slow_targets_follow_at_every_level(plain: Blueprint, seen: Dataset) -> None:
    mind = plain.assemble()
    parts = learners(mind)
    slow = [
        Learner(
            one.config.model_copy(update={"target": "ema", "decay": 0.5}),
            one.perception,
            one.model,
            predicting(one.model.site),
        )
        for one in parts
    ]
    before = [copy.deepcopy(one.slow) for one in slow]
    Joint(Joint.Config(rate=0.01), *split(slow)).step(0, [seen, *spans(mind, seen)])
    for one, kept in zip(slow, before, strict=True):
        assert one.slow is not None and kept is not None
        parts_of = (kept, one.perception, one.slow)
        weights = [[p.detach() for p in part.parameters()] for part in parts_of]
        assert any(not torch.equal(old, new) for old, new in zip(*weights[:2], strict=True))
        for old, fast, now in zip(*weights, strict=True):
            torch.testing.assert_close(now, (old + fast) / 2)


def test_a_step_of_all_levels_mixes_no_devices(
    plain: Blueprint, seen: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device `meta` refuses to compute with the processor's tensors, as a GPU does."""
    mind = plain.assemble()
    parts = [
        Learner(one.config.model_copy(update={"device": "meta"}), one.perception, one.model,
                predicting(one.model.site))
        for one in learners(mind)
    ]  # fmt: skip
    joint = Joint(Joint.Config(), *split(parts)).to("meta")
    monkeypatch.setattr(Tensor, "__float__", lambda _: 1.0)
    monkeypatch.setattr(joint.optimiser, "step", lambda: None)
    assert joint.step(1, [seen, *spans(mind, seen)])["level3.loss"] == 1.0
