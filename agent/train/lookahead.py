"""A critic that anticipates what plans would come to, not only what was lived.

What was lived while exploring is noisy and half learned: a critic of that alone tells good states
hardly apart. Here plans of the agent's own start where experience has been, and the critic learns
what they cost in the world model, itself at their ends: fitted value iteration.
Source: Lowrey et al. (2019), Plan Online, Learn Offline, algorithm 1, for values that come from
planning; Munos, Szepesvari (2008), Finite-Time Bounds for Fitted Value Iteration.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from pydantic import Field
from torch import Tensor

from agent.config.build import Mind
from agent.core.errors import InputError
from agent.core.messages import Rollout
from agent.core.protocols import Encoder, Term
from agent.core.settings import Settings
from agent.train.asking import directives
from agent.train.dataset import Dataset
from agent.train.progress import Figures, Ledger

MIX = 1_000_003
BATCH = 64
"""So many plans are made at a time."""
KEPT = 4
"""Rounds whose plans are learned from, the last ones: fewer states, and the critic swings."""


class Lookahead(Settings):
    """`rounds` of planning from `states` of experience, then `steps` of learning; 0: none."""

    rounds: int = Field(default=0, ge=0)
    states: int = Field(default=1024, ge=1)
    steps: int = Field(default=400, ge=1)


class Regressing(Protocol):
    """A critic that learns from anticipations that others made."""

    def anticipate(self, latents: Tensor) -> Tensor:
        """Return anticipated energy [...] of latents [..., Z]."""
        ...

    def discounts(self, ticks: int) -> Tensor:
        """Return by what energies 0 to `ticks` ticks later count now [ticks + 1]."""
        ...

    def regress(self, latents: Tensor, targets: Tensor, steps: int, seed: int = 0) -> float:
        """Take `steps` towards `targets` [n] of latents [n Z]; return the rms error left."""
        ...

    def requires_grad_(self, requires_grad: bool) -> object:
        """Let gradients reach the weights, or not."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Return all weights by name."""
        ...

    def load_state_dict(self, state: dict[str, Tensor]) -> object:
        """Take back what `state_dict` gave."""
        ...


def expect_teachable(kind: type, config: Lookahead) -> None:
    """Raise InputError if plans are to teach critics of this class, and cannot."""
    if config.rounds and not (hasattr(kind, "regress") and hasattr(kind, "discounts")):
        raise InputError(
            f"train.lookahead: expected a critic that can learn from plans, came {kind.__name__};"
            f" use td_lambda, or leave rounds at 0"
        )


def look_ahead(
    mind: Mind,
    perception: Encoder,
    dataset: Dataset,
    aims: Tensor,
    config: Lookahead,
    ledger: Ledger,
    seed: int = 0,
) -> Figures:
    """Let the critic of `mind` learn what its plans would come to, from states of `dataset`.

    Plans are as ever, of the config's horizon and with all terms, each for one of `aims` [n G]; G
    is 0 where nothing is asked. They begin their search from what was really done. What counts for
    the critic is what intrinsic terms charge in them. Without such there is nothing to learn.
    Raises InputError as `expect_teachable` does.
    """
    drives = [term for term in mind.terms if term.kind == "intrinsic"]
    if not config.rounds or not drives:
        return {}
    expect_teachable(type(mind.critic), config)
    critic: Regressing = mind.critic
    horizon = mind.configurator.config.horizon
    latents, targets = torch.zeros(0, mind.site.latent), torch.zeros(0)
    kept, figures = ledger.load("lookahead"), Figures()
    if kept is not None:
        state, figures = dict(kept[0]), dict(kept[1])
        latents, targets = state.pop("shown.latents"), state.pop("shown.targets")
        critic.load_state_dict(state)
    for index in range(int(figures.get("rounds", 0)), config.rounds):
        generator = torch.Generator().manual_seed(seed * MIX + index)
        values, commands = dataset.windows(config.states, horizon, generator)
        goals = aims[torch.randint(len(aims), (config.states,), generator=generator)]
        with torch.no_grad():
            starts = perception.encode(values[:, 0])
            before = float(critic.anticipate(starts).mean())
        cuts = [slice(i, i + BATCH) for i in range(0, config.states, BATCH)]
        planned = torch.cat(
            [_planned(mind, drives, starts[cut], goals[cut], commands[cut]) for cut in cuts]
        )
        latents = torch.cat((latents, starts))[-KEPT * config.states :]
        targets = torch.cat((targets, planned))[-KEPT * config.states :]
        critic.requires_grad_(True)
        error = critic.regress(latents, targets, config.steps, seed + index)
        critic.requires_grad_(False)
        figures = {"anticipated": before, "planned": float(planned.mean()), "error": error}
        figures["rounds"] = index + 1.0
        ledger.log("lookahead", index + 1, config.rounds, figures)
        state = critic.state_dict() | {"shown.latents": latents, "shown.targets": targets}
        ledger.save("lookahead", state, figures)
    return figures


@torch.no_grad()
def _planned(
    mind: Mind, drives: Sequence[Term], latents: Tensor, goals: Tensor, commands: Tensor
) -> Tensor:
    """Return what `drives` and the critic charge [n] for plans from latents [n Z] to goals [n G].

    Their search begins with `commands` [n H A], which were carried out there. They are charged for
    as if they had been lived: networks that disagree about them cost nothing.
    """
    actor, critic = getattr(mind.actor, "lowest", mind.actor), mind.critic
    directive = directives(mind)(goals)
    actor.reset(len(latents))
    actor.suggest(commands)
    plan = actor.plan(latents, directive)
    ahead = plan.latents[None, :, None]
    read = mind.readouts.read(ahead)
    lived = Rollout(latents, plan.actions[:, None], ahead, read, networks=1)
    each = [term.weight * term.energy(lived, directive)[0, :, 0] for term in drives]
    paid = torch.cat((torch.stack(each).sum(dim=0), critic.anticipate(plan.latents[:, -1:])), dim=1)
    worth: Tensor = (paid * critic.discounts(plan.actions.shape[1])).sum(dim=1)
    return worth
