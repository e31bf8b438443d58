"""Training of the levels above the lowest: one after the other, then all together.

Source: LeCun (2022) sec. 4.7, training of a hierarchical JEPA.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from agent.config.build import Mind, objectives
from agent.core.errors import InputError
from agent.core.settings import Settings
from agent.train.calibrate import Calibrate
from agent.train.coarse import Coarse, Span, Viewpoint, ladder
from agent.train.dataset import Dataset
from agent.train.fitting import Fit, fit_readouts
from agent.train.progress import Figures, Ledger, descend
from agent.train.recall import recalling
from agent.train.stages import judged, learn_world
from modules.world_model.joint import Joint, context
from modules.world_model.learn import Learner

CLIMBED = "train.levels.learner.objectives"
"""Where a config lists the objectives of levels above the lowest."""


class Climbing(Settings):
    """How each level above the lowest is trained, one after the other, and its readouts.

    Horizons are in steps of the level. With `joint`, all levels, the lowest and perception among
    them, are then trained on together. `calibrate` is how margins are measured.
    """

    learner: Learner.Config = Learner.Config(
        steps=6000,
        horizon=4,
        objectives=[
            {"use": "prediction", "weight": 1.0},
            {"use": "vicreg", "weight": 1.0, "variance": 1.0, "covariance": 0.2},
            {"use": "inverse", "weight": 1.0},
            {"use": "macro", "weight": 1.0},
        ],
    )
    joint: Joint.Config | None = None
    readouts: Fit = Fit(horizon=8)
    calibrate: Calibrate = Calibrate(rounds=3, episodes=64)


def expect_climbable(mind: Mind, config: Climbing, lowest: Learner.Config) -> None:
    """Raise InputError if the levels cannot be trained so, or the `lowest` not as it is told."""
    above = [tier.level for tier in mind.tiers]
    _expect_hidden("train.learner", lowest, [mind.world_model])
    _expect_hidden("train.levels.learner", config.learner, above)
    if mind.tiers:
        objectives(config.learner.objectives, CLIMBED)
    if config.joint is None:
        return
    if not mind.tiers:
        raise InputError(
            "train.levels.joint: expected a world model with levels above, came"
            f" {mind.blueprint.singles['world_model'].use}; use hjepa, or leave `joint` out"
        )
    sensors = mind.site.sensors
    if sensors != sensors.scalars:
        seen = [c.name for c in sensors.channels if c.name not in sensors.scalars.names]
        raise InputError(
            f"train.levels.joint: expected sensors without images, which would be encoded at every"
            f" tick of every step of a level, came '{seen[0]}'; leave `joint` out"
        )
    if config.learner.device != lowest.device:
        raise InputError(
            f"train.levels.learner.device: expected that of train.learner, {lowest.device}, since"
            f" `joint` trains both at once, came {config.learner.device}; name the same"
        )


def _expect_hidden(where: str, config: Learner.Config, models: Sequence[Any]) -> None:
    """Raise InputError if there is no latent variable that could be trained to explain the rest."""
    if config.residual and all(getattr(m, "latent_variable", None) is None for m in models):
        raise InputError(
            f"{where}.residual: expected a world model with a latent variable there, came none;"
            " name one (see `python run_agent.py list latent_variable`), or leave `residual` out"
        )


def climb(
    mind: Mind, config: Climbing, dataset: Dataset, ledger: Ledger, seed: int
) -> tuple[list[Learner], Figures]:
    """Learn every level above the lowest in place, each from latents of the one below.

    Returns their learners, and held-out figures by level: `level2.` is the nearest above.
    """
    learners, figures = list[Learner](), Figures()
    for index, tier in enumerate(mind.tiers):
        stage, level = f"level{index + 2}", tier.level
        parts = [c.build(level.site) for c in objectives(config.learner.objectives, CLIMBED)]
        level.requires_grad_(True)
        learner = Learner(config.learner, _view(mind, index), level, parts, seed)
        seen = _seen(mind, index, dataset)
        found = learn_world(learner, seen, config.learner.horizon, ledger, stage=stage)
        level.requires_grad_(False)
        learners.append(learner)
        figures |= {f"{stage}.{k}": v for k, v in found.items()}
    return learners, figures


def join(
    mind: Mind,
    learners: Sequence[Learner],
    config: Joint.Config,
    dataset: Dataset,
    view: Callable[[Any], Any],
    horizon: int,
    ledger: Ledger,
) -> Figures:
    """Train perception, world model and all levels above together, in place.

    `learners` are those of all levels, the lowest first; `view` is how they see experience. Returns
    their held-out figures anew, those of the lowest over `horizon` ticks.
    """
    lowest, *above = learners
    trained = mind.perception, mind.world_model
    for part in trained:
        part.requires_grad_(True)
    joint = Joint(config, lowest, above)
    known, held = dataset.split()
    levels = [tier.level for tier in mind.tiers]
    spans = [Span(known, one.ticks, context(levels[: i + 1])) for i, one in enumerate(levels)]
    seen = [view(part) for part in (known, *spans)]
    joint.to(lowest.config.device)
    descend("joint", config.steps, lambda i: joint.step(i, seen), joint, joint.optimiser, ledger)
    joint.to("cpu")
    for part in trained:
        part.requires_grad_(False)
    figures = judged(lowest, view(held), horizon, ledger, "joint")
    for index, learner in enumerate(above):
        stage, (_, apart) = f"level{index + 2}", _seen(mind, index, dataset).split()
        found = judged(learner, apart, learner.config.horizon, ledger, stage)
        figures |= {f"{stage}.{k}": v for k, v in found.items()}
    return figures


def read_levels(
    mind: Mind, config: Climbing, dataset: Dataset, ledger: Ledger, seed: int
) -> Figures:
    """Fit the readouts of every level above in place; return their held-out errors, by level."""
    figures = Figures()
    for index, tier in enumerate(mind.tiers):
        level, stage = tier.level, f"level_readouts{index + 2}"
        seen = replace(_seen(mind, index, dataset), compress=level.compress)
        view, fit = _view(mind, index), config.readouts
        tier.readouts.requires_grad_(True)
        errors = fit_readouts(tier.readouts, view, level, seen, fit, ledger, seed, stage)
        tier.readouts.requires_grad_(False)
        figures |= {f"level{index + 2}.rms.{k}": v for k, v in errors.items()}
    return figures


def _view(mind: Mind, index: int) -> Viewpoint:
    """Return the perception of a level above, 0 being the nearest."""
    return Viewpoint(mind.tiers[index].level, mind.site.sensors.scalars.size)


def _seen(mind: Mind, index: int, dataset: Dataset) -> Coarse:
    """Return the dataset as a level above sees it, 0 being the nearest; those below are trained."""
    levels, sensors = [tier.level for tier in mind.tiers[: index + 1]], mind.site.sensors
    return ladder(levels, dataset, recalling(mind.perception, sensors), sensors)
