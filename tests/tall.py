"""A tiny agent of three levels above one another."""

from __future__ import annotations

from typing import Any

from agent.config.build import Blueprint, Mind
from agent.train.coarse import Span, Viewpoint
from agent.train.course import course_of
from agent.train.dataset import Dataset
from agent.train.explore import Explorer, explorer_batch
from modules.world_model.joint import context
from modules.world_model.learn import Learner
from modules.world_model.objectives.prediction import Prediction
from tests.tiny import TINY

LEVELS = (
    "[{ticks: 4, pool: 4, latent: 8, hidden: 16, width: 16, horizon: 4, macro: 2},"
    " {ticks: 8, pool: 10, latent: 8, hidden: 16, width: 16, horizon: 3, macro: 2}]"
)
"""Of the two above; the higher pools more than a step of its own."""

TALL = [
    *TINY,
    "latent=12",
    "train.learner.batch=16",
    f"world_model={{use: hjepa, width: 16, members: 2, levels: {LEVELS}}}",
    "cost={use: composite, above: [subgoal]}",
    "terms=[{use: subgoal}, {use: effort, weight: 0.02}]",
    "guardrails=[{use: at_least, name: keep_clear, quantity: proximity, limit: -0.5}]",
    "actor={use: hierarchical, planners: [{use: cem, samples: 8, iterations: 1, elites: 2},"
    " {use: sparse_tree, grounded: true, branches: 6, iterations: 0},"
    " {use: sparse_tree, grounded: true, branches: 6, iterations: 0}]}",
    "gate.deadline_ms=10000",
    "train.levels={learner: {steps: 30, horizon: 3, batch: 16}, readouts: {steps: 30, horizon: 3},"
    " calibrate: {rounds: 2, episodes: 8, segments: 2}}",
]
"""Three levels above one another, the two higher ones grounded in those below."""

JOINT = "train.levels.joint={steps: 12, rate: 0.001}"


def learners(mind: Mind, length: int = 2) -> list[Learner]:
    """Return a learner for every level."""
    for part in (mind.perception, mind.world_model):
        part.requires_grad_(True)
    config = Learner.Config(steps=5, batch=4, horizon=length, objectives=[{"use": "prediction"}])
    found = [Learner(config, mind.perception, mind.world_model, predicting(mind.site))]
    for tier in mind.tiers:
        view = Viewpoint(tier.level, mind.site.sensors.size)
        found.append(Learner(config, view, tier.level, predicting(tier.level.site)))
    return found


def predicting(site: Any) -> list[Any]:
    return [Prediction(Prediction.Config(), site)]


def spans(mind: Mind, dataset: Dataset) -> list[Span]:
    levels = [tier.level for tier in mind.tiers]
    return [Span(dataset, one.ticks, context(levels[: i + 1])) for i, one in enumerate(levels)]


def split(parts: list[Learner]) -> tuple[Learner, list[Learner]]:
    return parts[0], parts[1:]


def explored(plain: Blueprint) -> Dataset:
    """Return what exploring as configured shows."""
    config = course_of(plain).explore
    world = plain.world(explorer_batch(config))
    try:
        return Explorer(config, world, 1).collect(lambda *_: None)
    finally:
        world.close()
