"""The course of training, from exploring to margins.

What `understanding` does; then critic, cost-to-go, lookahead, distil, calibrate.

Nothing here is rewarded. The world model learns by watching what its own random commands do; the
cost-to-go, the policy and the margins are then made inside that model, and the margins checked
against the world. Source: LeCun (2022) sec. 3.1, 3.3 and 4.5.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from agent.config.build import MARGINS, Blueprint, Mind, margins_of
from agent.config.choose import choose
from agent.config.schema import validate
from agent.core.errors import InputError
from agent.core.guardrails import realised
from agent.core.messages import Directive, Plan, Rollout
from agent.train.asking import directives, fresh_plans
from agent.train.calibrate import Calibrate, calibrate, watched, witnessed
from agent.train.calibrate_levels import calibrate_levels
from agent.train.dataset import Dataset
from agent.train.detours import Detours, fit_to_go, imagine_moves
from agent.train.distil import Distil, skill
from agent.train.lookahead import Lookahead, expect_teachable, look_ahead
from agent.train.progress import Figures, Ledger
from agent.train.recall import recalling
from agent.train.stages import fit_critic, intrinsic
from agent.train.understanding import Study, understand

CALIBRATION_SEEDS = 500_000
LEVEL_SEEDS = 700_000


class Course(Study):
    """Settings of every stage; `explore` and `calibrate` are the ones that use the world.

    `actor` holds settings of the actor that are others while it learns: a search that is cheaper in
    every plan of exploring, looking ahead and lessons. Margins are calibrated of who acts later.
    """

    actor: dict[str, Any] = {}
    lookahead: Lookahead = Lookahead()
    detours: Detours = Detours()
    distil: Distil = Distil()
    calibrate: Calibrate = Calibrate()


@dataclass(frozen=True, slots=True)
class Trained:
    """Weights and margins by checkpoint name, the figures of every stage, and what was explored."""

    tensors: dict[str, Tensor]
    figures: Figures
    dataset: Dataset


def course_of(blueprint: Blueprint) -> Course:
    """Return the settings of training. Raises InputError if the section `train` does not fit."""
    course: Course = validate(Course, blueprint.config.train, "train")
    learning(blueprint, course)
    return course


def learning(blueprint: Blueprint, course: Course) -> Blueprint:
    """Return the agent as it is while it learns: of `blueprint`, with the settings `course.actor`.

    Raises InputError if they are not the actor's, or name another actor or policy.
    """
    if "use" in course.actor:
        raise InputError(
            f"train.actor: expected settings of the actor {blueprint.singles['actor'].use}, came"
            f" another actor, '{course.actor['use']}'; leave out 'use'"
        )
    own, actor = blueprint.singles["actor"], {**blueprint.config.actor, **course.actor}
    chosen = choose("actor", "train.actor", actor)
    if getattr(chosen.settings, "policy", None) != getattr(own.settings, "policy", None):
        raise InputError(
            "train.actor: expected the policy that the actor has, which is what learns, came"
            " another; leave out 'policy'"
        )
    config = blueprint.config.model_copy(update={"actor": actor})
    return replace(blueprint, config=config, singles={**blueprint.singles, "actor": chosen})


def train(blueprint: Blueprint, ledger: Ledger) -> Trained:
    """Train every part of an agent from nothing; goes on where the ledger's states end.

    Raises InputError if the config's `train` section does not fit.
    """
    course = course_of(blueprint)
    for config in (course.lookahead, course.explore.acting.lookahead):
        expect_teachable(blueprint.singles["critic"].kind, config)  # now rather than after an hour
    seed, begin, busy = blueprint.config.seed, time.monotonic(), time.process_time()
    learner = learning(blueprint, course)
    understood = understand(learner, course, ledger)
    mind, dataset, figures = understood.mind, understood.dataset, understood.figures
    if any(t.kind == "intrinsic" for t in mind.terms):
        perception = recalling(mind.perception, mind.site.sensors)
        found = fit_critic(
            mind.critic, mind.memory, perception, dataset, intrinsic(mind), ledger, seed
        )
        figures |= {f"critic.{k}": v for k, v in found.items()}
    mind = watchful(learner, mind, course, dataset)
    figures |= _imagined_stages(learner, mind, course, dataset, ledger, seed)
    tensors, measured, gathered = _calibrated(blueprint, mind.tensors(), course, dataset, ledger)
    figures |= {f"calibrate.{k}": v for k, v in measured.items()}
    tensors, more, more_gathered = _calibrated_above(blueprint, tensors, course, dataset, ledger)
    figures, gathered = figures | more, gathered + more_gathered
    figures["transitions"] = float(dataset.transitions + gathered)
    figures["train_s"] = time.monotonic() - begin
    figures["train_cpu_s"] = time.process_time() - busy
    return Trained(tensors, figures, dataset)


def watchful(blueprint: Blueprint, mind: Mind, course: Course, dataset: Dataset) -> Mind:
    """Return `mind`, assembled anew, planning under margins that held-out exploration suggests."""
    mind = blueprint.assemble(mind.tensors())
    return blueprint.assemble(mind.tensors() | _provisional(mind, course, dataset))


def _provisional(mind: Mind, course: Course, dataset: Dataset) -> dict[str, Tensor]:
    """Return margins to learn under, from held-out exploration, until planning calibrates them."""
    rails = [r for r in mind.rails if realised(r)]
    if not rails:
        return {}
    _, held = dataset.split()
    margins = watched(
        held, recalling(mind.perception, mind.site.sensors), mind.objective.imagine, rails,
        mind.site.sensors.scalars, mind.configurator.config.horizon, course.calibrate.rate,
    )  # fmt: skip
    return {MARGINS: margins}


def _imagined_stages(
    blueprint: Blueprint, mind: Mind, course: Course, dataset: Dataset, ledger: Ledger, seed: int
) -> Figures:
    """Learn what trainable terms, critic and policy learn inside the world model."""
    site = mind.site
    perception = recalling(mind.perception, site.sensors)
    figures: Figures = {}
    if not blueprint.wants:
        return figures
    values = _allowed(mind, dataset.sample())
    goals = _aims(mind, values)
    for term in (t for t in mind.terms if isinstance(t, nn.Module) and not _shown_by_others(t)):
        moves = imagine_moves(
            course.detours,
            dataset,
            perception,
            mind.objective.imagine,
            mind.guardrails.evaluate,
            site.sensors,
            site.actuators,
            site.goal.names[0],
            seed,
        )
        term.requires_grad_(True)
        found = fit_to_go(term, moves, course.detours, ledger, seed)
        term.requires_grad_(False)
        figures |= {f"{term.name}.{k}": v for k, v in found.items()}
    found = look_ahead(mind, perception, dataset, goals, course.lookahead, ledger, seed)
    figures |= {f"lookahead.{k}": v for k, v in found.items()}
    if hasattr(mind.actor, "policy"):
        generator = torch.Generator().manual_seed(seed)
        pick = torch.randint(len(values), (20_000,), generator=generator)
        aims = goals[torch.randint(len(goals), (20_000,), generator=generator)]
        with torch.no_grad():
            latents = perception.encode(values[pick])
        found = skill(
            mind.actor, fresh_plans(mind), mind.objective, directives(mind), latents, goals[pick],
            goals, aims, course.distil, ledger, seed,
        )  # fmt: skip
        figures |= {f"distil.{k}": v for k, v in found.items()}
    return figures


def _calibrated(
    blueprint: Blueprint,
    tensors: dict[str, Tensor],
    course: Course,
    dataset: Dataset,
    ledger: Ledger,
) -> tuple[dict[str, Tensor], Figures, int]:
    """Calibrate margins in rounds; every round plans under the last one's, freshly sealed."""
    if not any(chosen.realised for chosen in blueprint.guardrails):
        return tensors, {}, 0
    kept = ledger.load("calibrate")
    if kept is not None:
        gathered = int(kept[1]["transitions"])
        return tensors | {MARGINS: kept[0]["margins"]}, kept[1], gathered
    state = {"mind": blueprint.assemble({k: v for k, v in tensors.items() if k != MARGINS})}

    def plan(latent: Tensor, directive: Directive) -> Plan:
        made: Plan = fresh_plans(state["mind"])(latent, directive)
        return made

    def imagine(start: Tensor, actions: Tensor) -> Rollout:
        return state["mind"].objective.imagine(start, actions)

    def apply(margins: Tensor) -> None:
        state["mind"] = blueprint.assemble(tensors | {MARGINS: margins})

    mind = state["mind"]
    rails = [r for r in mind.rails if realised(r)]
    goals = _aims(mind, _allowed(mind, dataset.sample()))
    world = blueprint.world(min(64, course.calibrate.episodes))
    try:
        margins, figures, data = calibrate(
            course.calibrate, world, mind.perception, plan, directives(mind), imagine, rails,
            goals, apply, ledger, CALIBRATION_SEEDS + blueprint.config.seed * 10_000,
        )  # fmt: skip
    finally:
        world.close()
    figures |= {"transitions": float(data.transitions)}
    ledger.save("calibrate", {"margins": margins}, figures)
    return tensors | {MARGINS: margins}, figures, data.transitions


def _calibrated_above(
    blueprint: Blueprint,
    tensors: dict[str, Tensor],
    course: Course,
    dataset: Dataset,
    ledger: Ledger,
) -> tuple[dict[str, Tensor], Figures, int]:
    """Calibrate the margins of levels above, if the actor plans there; in rounds, as below."""
    mind = blueprint.assemble(tensors)
    rails = [r for r in mind.rails if realised(r)]
    if not (mind.tiers and rails and getattr(mind.actor, "climbs", False)):
        return tensors, {}, 0
    names = [margins_of(index) for index in range(len(mind.tiers))]
    settings = course.levels.calibrate
    ticks = settings.segments * mind.tiers[-1].level.ticks
    gathered = settings.rounds * settings.episodes * ticks
    kept = ledger.load("calibrate_levels")
    if kept is not None:
        return tensors | kept[0], kept[1], gathered

    def under(margins: list[Tensor]) -> Mind:
        return blueprint.assemble(tensors | dict(zip(names, margins, strict=False)))

    goals = _aims(mind, _allowed(mind, dataset.sample()))
    world = blueprint.world(min(64, settings.episodes))
    try:
        margins, figures = calibrate_levels(
            settings, world, under, directives, goals,
            LEVEL_SEEDS + blueprint.config.seed * 10_000,
        )  # fmt: skip
    finally:
        world.close()
    found = dict(zip(names, margins, strict=True))
    ledger.log("calibrate_levels", 1, 1, figures)
    ledger.save("calibrate_levels", found, figures)
    return tensors | found, figures, gathered


def _shown_by_others(term: nn.Module) -> bool:
    """Say whether a term is learned from demonstrations (`agent.train.preference`), not here."""
    return bool(getattr(term, "demonstrated", False))


def _allowed(mind: Mind, values: Tensor) -> Tensor:
    """Return the sensor values [n O], of [... O], at which no guardrail was broken."""
    flat = values.reshape(-1, values.shape[-1])
    rollout = witnessed(
        flat, flat.new_zeros(len(flat), 1, 1), flat[:, None], mind.site.sensors.scalars
    )
    if not mind.rails:
        return flat
    worst = torch.stack([r.value(rollout)[0, :, 0, 0] for r in mind.rails]).amax(dim=0)
    return flat[worst <= 0.0]


def _aims(mind: Mind, values: Tensor) -> Tensor:
    """Return what goals could be [n G] at sensor values [n O]; G is 0 if nothing is asked."""
    goal = mind.site.goal.names
    return values[:, mind.site.sensors[goal[0]]] if goal else values[:, :0]
