"""Understanding a world before wanting anything in it: explore, world model, completion, readouts.

Source: LeCun (2022) sec. 3.3 and 4.5: a world model is learned by self-supervision, mostly by
watching; what is to be done in that world comes later.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from agent.config.build import Blueprint, Mind, objectives
from agent.core.errors import InputError
from agent.core.settings import Settings
from agent.train import videos
from agent.train.asking import expect_comparable
from agent.train.augment import Shuffled
from agent.train.climbing import Climbing, climb, expect_climbable, join, read_levels
from agent.train.dataset import Dataset
from agent.train.explore import Explorer, explorer_batch
from agent.train.fitting import (
    Completing,
    Fit,
    Holding,
    fit_completion,
    fit_readouts,
    fit_surprise,
)
from agent.train.given import given
from agent.train.progress import Figures, Ledger
from agent.train.pupil import expect_able, pupil
from agent.train.recall import encoded, recalling
from agent.train.rounds import curve
from agent.train.stages import explore, learn_world
from modules.world_model.learn import Learner

REHEARSED = "train.rehearse.objectives"
"""Where a config lists the objectives of rehearsing."""

STILL = 0.3
"""Share of explored ticks without any change that is worth a word."""


class Watch(Settings):
    """What to learn from before acting at all: a folder of `videos`, in windows of `ticks`; or "".

    Objectives that look at commands learn nothing here: there are none.
    """

    videos: str = ""
    ticks: int = Field(default=48, ge=1)
    learner: Learner.Config = Learner.Config(
        steps=4000,
        objectives=[
            {"use": "prediction", "weight": 1.0},
            {"use": "vicreg", "weight": 1.0, "variance": 1.0, "covariance": 0.2},
        ],
    )


class Study(Settings):
    """Settings of the stages that need no judgement.

    A `dataset`, a file that `import` wrote, takes the place of exploring. Sensors named in
    `shuffled` tell the learner nothing, so that latents become blind to them. `rehearse` goes on
    training the world model alone once percepts are settled: latents are then stored, so that a
    step costs a fraction of one that looks at images; its settings are its own, `residual` too.
    """

    watch: Watch = Watch()
    dataset: str = ""
    explore: Explorer.Config = Explorer.Config()
    shuffled: tuple[str, ...] = ()
    learner: Learner.Config = Learner.Config()
    rehearse: Learner.Config | None = None
    surprise: Fit = Fit()
    completion: Fit = Fit()
    readouts: Fit = Fit()
    levels: Climbing = Climbing()


@dataclass(frozen=True, slots=True)
class Understanding:
    """What watching gave: a mind whose percepts, world model and readouts are trained and frozen.

    `figures` are those of the stages so far; `dataset` is what was watched, latents in place of
    images: `recalling` encodes it.
    """

    mind: Mind
    dataset: Dataset
    figures: Figures


def understand(blueprint: Blueprint, study: Study, ledger: Ledger) -> Understanding:
    """Learn percepts, world model and readouts; goes on where the ledger's states end."""
    seed, figures = blueprint.config.seed, Figures()
    if study.rehearse is not None:
        objectives(study.rehearse.objectives, REHEARSED)  # refused now rather than after an hour
    mind = blueprint.assemble()
    expect_climbable(mind, study.levels, study.learner)
    dataset = experience(blueprint, mind, study, ledger)
    expect_comparable(mind, dataset, ledger)
    warn_if_still(dataset, ledger)
    if dataset.lived is not None:
        figures["explore.lived_ticks"] = float(dataset.lived.float().mean())
    if not study.dataset:
        told = curve(study.explore, dataset, blueprint.singles["world"].kind)
        figures |= {f"explore.{k}": v for k, v in told.items()}
    if study.watch.videos:
        figures |= {f"watch.{k}": v for k, v in watch(mind, study.watch, ledger, seed).items()}
    parts = [c.build(mind.site) for c in blueprint.objectives]
    learner = Learner(study.learner, mind.perception, mind.world_model, parts, seed)
    view = partial(Shuffled, sensors=mind.site.sensors, names=study.shuffled)
    seen = view if study.shuffled else (lambda part: part)
    figures |= learn_world(learner, dataset, study.readouts.horizon, ledger, seen)
    perception, model = mind.perception.requires_grad_(False), mind.world_model
    stored = encoded(dataset, perception, mind.site.sensors)
    if study.rehearse is not None:
        figures |= rehearse(mind, study.rehearse, study, stored, ledger, seed)
    model.requires_grad_(False)
    above, found = climb(mind, study.levels, stored, ledger, seed)
    figures |= found
    if study.levels.joint is not None:
        every, horizon = [learner, *above], study.readouts.horizon
        figures |= join(mind, every, study.levels.joint, dataset, seen, horizon, ledger)
    if isinstance(perception, Holding):
        known, held = map(seen, dataset.split())
        found = fit_surprise(perception, model, known, held, study.surprise, ledger, seed)
        figures |= {f"surprise.{k}": v for k, v in found.items()}
    dataset = stored
    if isinstance(perception, Completing):
        found = fit_completion(perception, model, dataset, study.completion, ledger, seed)
        figures |= {f"completion.{k}": v for k, v in found.items()}
    eyes = recalling(perception, mind.site.sensors)
    errors = fit_readouts(mind.readouts, eyes, model, dataset, study.readouts, ledger, seed)
    figures |= {f"rms.{name}": error for name, error in errors.items()}
    figures |= _probe_scores(mind, dataset)
    figures |= read_levels(mind, study.levels, dataset, ledger, seed)
    return Understanding(mind, dataset, figures)


def expect_explorable(mind: Mind, study: Study) -> int:
    """Return the longest horizon that is trained, in ticks.

    Raises InputError if episodes are to be too short for it, if margins above would be measured on
    parts of plans, or if the agent cannot explore as it is told to.
    """
    windows = [study.learner, study.readouts]
    if isinstance(mind.perception, Completing):
        windows.append(study.completion)
    parts = [mind.blueprint.singles[slot].settings for slot in ("readouts", "configurator")]
    longest = int(max(getattr(part, "horizon", 1) for part in windows + parts))
    for level in getattr(mind.world_model, "levels", ()):
        steps = max(level.horizon, study.levels.learner.horizon, study.levels.readouts.horizon)
        longest = max(longest, steps * level.ticks)
    if study.explore.ticks < longest:
        raise InputError(
            f"train.explore.ticks: expected {longest} or more, the longest horizon that is trained,"
            f" came {study.explore.ticks}; explore longer episodes, or lower the horizons"
        )
    climbs, segments = getattr(mind.actor, "climbs", False), study.levels.calibrate.segments
    follow = mind.tiers[-1].level.follow if climbs and mind.tiers else 1
    if segments % follow:
        raise InputError(
            f"train.levels.calibrate.segments: expected a multiple of {follow}, the steps for which"
            f" the highest level follows a plan, came {segments}; live whole plans"
        )
    if study.explore.policy == "acting" and not study.dataset:
        expect_able(mind, study.explore)
    return longest


def experience(blueprint: Blueprint, mind: Mind, study: Study, ledger: Ledger) -> Dataset:
    """Return what to learn from: the dataset that is given, or one explored in the world.

    Raises InputError as `expect_explorable` does.
    """
    longest = expect_explorable(mind, study)
    if study.dataset:
        return given(Path(study.dataset), blueprint.singles["world"].kind, longest)
    hold = mind.perception.hold if isinstance(mind.perception, Holding) else None
    world = blueprint.world(explorer_batch(study.explore))
    try:
        seed = blueprint.config.seed * study.explore.episodes
        return explore(study.explore, world, seed, ledger, hold, partial(pupil, blueprint, study))
    finally:
        world.close()


def warn_if_still(dataset: Dataset, ledger: Ledger) -> None:
    """Say so if much of what is there to learn from is that nothing changes."""
    if dataset.images is not None:
        return
    nothing = (dataset.values.diff(dim=1) == 0).all(dim=-1)
    still = float(nothing[torch.arange(dataset.ticks) < dataset.ends()[:, None]].float().mean())
    if still > STILL:
        ledger.say(
            f"  warning: in {still:.0%} of explored ticks nothing changed, and so much of what is"
            f" learned is that; explore with larger commands, or for shorter (train.explore.ticks)"
        )


def watch(mind: Mind, config: Watch, ledger: Ledger, seed: int) -> Figures:
    """Train percepts and world model on videos, in place: a joint embedding without actions.

    The predictor is told the middle of every actuator's range at every tick; what commands do, it
    learns later from those that are really given.
    """
    site, where = mind.site, "train.watch.learner.objectives"
    dataset = videos.read(
        Path(config.videos), site.sensors, site.actuators.size, site.rate_hz, config.ticks
    )
    low, high = site.actuators.bounds()
    dataset.commands[:] = (low + high) / 2
    parts = [c.build(site) for c in objectives(config.learner.objectives, where)]
    learner = Learner(config.learner, mind.perception, mind.world_model, parts, seed)
    found = learn_world(learner, dataset, config.learner.horizon, ledger, stage="watch")
    return found | {"frames": float(dataset.transitions + len(dataset))}


def rehearse(
    mind: Mind, config: Learner.Config, study: Study, stored: Dataset, ledger: Ledger, seed: int
) -> Figures:
    """Go on training the world model, in place, under percepts that are frozen.

    Returns its held-out figures over the readouts' horizon anew.
    """
    parts = [c.build(mind.site) for c in objectives(config.objectives, REHEARSED)]
    perception: Any = recalling(mind.perception, mind.site.sensors)
    learner = Learner(config, perception, mind.world_model, parts, seed)
    return learn_world(learner, stored, study.readouts.horizon, ledger, stage="rehearse")


@torch.no_grad()
def _probe_scores(mind: Mind, dataset: Dataset) -> Figures:
    """Return the held-out share of variance that readouts explain, per sensor."""
    _, held = dataset.split()
    every = torch.arange(0, held.ticks + 1, 7)
    values = held.values[:, every][every <= held.ends()[:, None]]
    read = mind.readouts.read(recalling(mind.perception, mind.site.sensors).encode(values))
    scores: dict[str, Any] = {}
    for channel, where in mind.readouts.layout.slices():
        truth = values[:, where]
        error = (read[channel.name] - truth).square().sum()
        scores[f"probe_r2.{channel.name}"] = float(
            1 - error / (truth - truth.mean(dim=0)).square().sum().clamp(min=1e-12)
        )
    return scores
