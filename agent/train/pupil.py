"""A mind that learns in between, to say what to explore next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from agent.config.build import Blueprint, Mind
from agent.core.errors import InputError, nearest
from agent.core.messages import Rollout
from agent.train.asking import directives, expect_comparable
from agent.train.dataset import HELD_OUT, Dataset
from agent.train.explore import Explorer, explorer_batch
from agent.train.fitting import fit_readouts
from agent.train.lookahead import look_ahead
from agent.train.progress import descend, silent
from agent.train.stages import fit_critic, intrinsic
from modules.world_model.learn import Learner

if TYPE_CHECKING:  # which imports this file
    from agent.train.understanding import Study


@dataclass(frozen=True, slots=True)
class Pupil:
    """A mind that has seen the experience so far, as curiosity and acting ask of it.

    `aims` [n G] are goals that it met with; G is 0 where nothing is asked. `scales` are those of
    terms in its plans, by name.
    """

    mind: Mind
    aims: Tensor
    scales: Mapping[str, float]

    def encode(self, values: Tensor) -> Tensor:
        """Return latents [..., Z] of packed sensor values [..., O]."""
        latents: Tensor = self.mind.perception.encode(values)
        return latents

    def imagine(self, state: Tensor, actions: Tensor) -> Rollout:
        """Return the futures of `actions` [B K H A] from `state` [B Z]."""
        rollout: Rollout = self.mind.world_model.imagine(state, actions)
        return rollout

    def plan(self, state: Tensor, goal: Tensor, fresh: bool) -> Tensor:
        """Return plans [B H A] from `state` [B Z]; `fresh` forgets the last ones."""
        actor = getattr(self.mind.actor, "lowest", self.mind.actor)
        if fresh:
            actor.reset(len(state))
        plans: Tensor = actor.plan(state, directives(self.mind, self.scales)(goal)).actions
        return plans


def expect_able(mind: Mind, config: Explorer.Config) -> None:
    """Raise InputError unless a mind can act on what its first rounds teach it."""
    if not mind.blueprint.wants:
        raise InputError(
            "train.explore.policy: expected an agent that wants something, for it to act, came one"
            " that only watches; give it terms, or explore by 'ou' or 'curiosity'"
        )
    untaught = [t.name for t in mind.terms if isinstance(t, nn.Module)]
    if untaught:
        raise InputError(
            f"train.explore.policy: expected terms that need no training of their own, for an agent"
            f" that acts before it, came {untaught[0]}; use another, or explore by 'ou'"
        )
    for name in config.acting.weights:
        if name not in mind.site.terms:
            raise InputError(
                f"train.explore.acting.weights: unknown term '{name}';"
                f" {nearest(name, mind.site.terms)}"
            )
    if explorer_batch(config) < HELD_OUT:
        raise InputError(
            f"train.explore.episodes: expected at least {HELD_OUT} for each of"
            f" {config.acting.rounds} rounds, one of them to be held out, came {config.episodes} in"
            f" all; raise it"
        )


def pupil(
    blueprint: Blueprint, study: Study, dataset: Dataset, index: int, steps: int | None = None
) -> Pupil:
    """Return what `dataset` teaches a new mind in round `index`.

    It takes `steps`, those of the policy unless others are given; who is to act learns to read
    quantities, too.
    """
    mind, acting = blueprint.assemble(), study.explore.policy == "acting"
    own = study.explore.acting.steps if acting else study.explore.curiosity.steps
    settings = study.learner.model_copy(update={"steps": steps or own})
    parts = [c.build(mind.site) for c in blueprint.objectives]
    seed = blueprint.config.seed * 1000 + index
    learner = Learner(settings, mind.perception, mind.world_model, parts, seed)
    mind.perception.fit_normaliser(dataset.sample())
    descend(
        "curiosity",
        settings.steps,
        lambda step: learner.step(step, dataset),
        learner,
        learner.optimiser,
        silent(),
    )
    goal = mind.site.goal.names
    flat = dataset.sample().flatten(0, -2)
    aims = flat[:, mind.site.sensors[goal[0]]] if goal else flat[:, :0]
    if not acting:
        return Pupil(mind, aims, {})
    expect_comparable(mind, dataset, silent())
    for part in (mind.perception, mind.world_model):
        part.requires_grad_(False)
    fit = study.readouts.model_copy(update={"steps": own})
    fit_readouts(mind.readouts, mind.perception, mind.world_model, dataset, fit, silent(), seed)
    if any(t.kind == "intrinsic" for t in mind.terms):
        wanted = intrinsic(mind)
        fit_critic(mind.critic, mind.memory, mind.perception, dataset, wanted, silent(), seed)
    mind = blueprint.assemble(mind.tensors())
    ahead = study.explore.acting.lookahead
    look_ahead(mind, mind.perception, dataset, aims, ahead, silent(), seed)
    return Pupil(mind, aims, study.explore.acting.weights)
