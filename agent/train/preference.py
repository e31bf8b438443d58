"""A cost from demonstrations: what was done has low energy, what the planner would have done more.

No negatives are drawn: the alternatives are the planner's own plans, the lowest energies there are
under what has been learned so far. Each must cost more than the demonstration by a margin that
grows with how unlike it they are; once it does, nothing more is asked.

Source: LeCun (2022) sec. 4.5 (non-contrastive training of energies); LeCun et al. (2006) sec. 2.2.3
(hinge loss on energies); Ratliff, Bagnell, Zinkevich (2006), maximum margin planning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from agent.config.build import Mind
from agent.core.messages import Directive, Rollout
from agent.core.settings import Settings
from agent.train.asking import directives, fresh_plans
from agent.train.dataset import Dataset
from agent.train.progress import Figures, Ledger

MIX = 1_000_003
CHUNK = 64


class Preferring(Settings):
    """`rounds` of planning `windows` alternatives, then `steps` of descent on all so far.

    An alternative that differs by one deviation per feature and step must cost `margin` more.
    `decay` is Adam's decoupled weight decay, `rate` its rate.
    """

    rounds: int = Field(default=6, ge=1)
    windows: int = Field(default=256, ge=1)
    steps: int = Field(default=200, ge=1)
    batch: int = Field(default=256, ge=1)
    margin: float = Field(default=0.3, gt=0)
    decay: float = Field(default=0.01, ge=0)
    rate: float = Field(default=3e-3, gt=0)


@dataclass(frozen=True, slots=True)
class Choices:
    """What was done and what would have been, n windows of H ticks from the same state and goal.

    `done` and `instead` [n H F] are features of the learned term; `known` [n], by how much the
    terms that are not learned charge more for what was done.
    """

    done: Tensor
    instead: Tensor
    known: Tensor

    def __add__(self, other: Choices) -> Choices:
        """Return both."""
        return Choices(
            torch.cat((self.done, other.done)),
            torch.cat((self.instead, other.instead)),
            torch.cat((self.known, other.known)),
        )


def fit_preference(
    mind: Mind,
    term: Any,
    shown: Dataset,
    goals: Tensor,
    config: Preferring,
    ledger: Ledger,
    seed: int = 0,
) -> Figures:
    """Train `term` (`modules.cost.terms.preference`), one of the mind's, in place.

    `shown` are episodes of sensors [N T+1 O] and commands, towards `goals` [N G]: what anybody
    could have watched. The mind's other terms and its planner are taken as they are.
    """
    with torch.no_grad():
        term.fit_scale(mind.readouts.read(mind.perception.encode(shown.values)))
    term.requires_grad_(True)
    optimiser = torch.optim.AdamW(term.parameters(), lr=config.rate, weight_decay=config.decay)
    generator = torch.Generator().manual_seed(seed * MIX)
    choices: Choices | None = None
    figures: Figures = {}
    for number in range(config.rounds):
        fresh = _compared(mind, term, shown, goals, config.windows, generator)
        choices = fresh if choices is None else choices + fresh
        figures = {f"first.{k}": v for k, v in _told(term, fresh, config).items()}
        for _ in range(config.steps):
            pick = torch.randint(len(choices.known), (config.batch,), generator=generator)
            part = Choices(choices.done[pick], choices.instead[pick], choices.known[pick])
            loss = _hinge(term, part, config).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        figures |= _told(term, choices, config)
        ledger.log("preference", number + 1, config.rounds, figures)
    term.requires_grad_(False)
    return figures


@torch.no_grad()
def _compared(
    mind: Mind, term: Any, shown: Dataset, goals: Tensor, count: int, generator: torch.Generator
) -> Choices:
    """Return windows of what was done beside what the mind, as it is now, would have done."""
    ask, plan = directives(mind), fresh_plans(mind)
    horizon = mind.configurator.config.horizon
    episode = torch.randint(len(shown), (count, 1), generator=generator)
    start = torch.randint(shown.ticks - horizon + 1, (count, 1), generator=generator)
    tick = start + torch.arange(horizon + 1)
    latents = mind.perception.encode(shown.at(episode, tick))
    commands, aims = shown.commands[episode, tick[:, :-1]], goals[episode[:, 0]]
    parts = []
    for rows in torch.split(torch.arange(count), CHUNK):
        state, asked = latents[rows, 0], ask(aims[rows])
        futures = latents[rows, 1:][None, :, None]
        read = mind.readouts.read(futures)
        was = Rollout(state, commands[rows].unsqueeze(1), futures, read, networks=1)
        made = plan(state, asked)
        would = mind.objective.imagine(state, made.actions.unsqueeze(1))
        able = (made.violation <= 0) & torch.isfinite(made.energy)
        known = _known(mind, term, was, asked) - _known(mind, term, would, asked)
        done, instead = (term.features(r.quantities).mean(dim=0)[:, 0] for r in (was, would))
        parts.append(Choices(done[able], instead[able], known[able]))
    return sum(parts[1:], parts[0])


def _known(mind: Mind, term: Any, rollout: Rollout, asked: Directive) -> Tensor:
    """Return what the other terms charge for a rollout of one candidate, [B]."""
    bill = mind.cost.energy(rollout, asked)
    own = mind.site.terms.index(term.name)
    charged: Tensor = bill.energy[:, 0] - bill.terms[:, 0, own].sum(dim=-1)
    return charged


def _hinge(term: Any, choices: Choices, config: Preferring) -> Tensor:
    """Return by how much alternatives cost too little, [n], >= 0."""
    unlike = (choices.done - choices.instead).square().mean(dim=(1, 2)).sqrt()
    more = term.weight * (term(choices.instead) - term(choices.done)).mean(dim=1) - choices.known
    return F.relu(config.margin * unlike - more)


@torch.no_grad()
def _told(term: Any, choices: Choices, config: Preferring) -> Figures:
    gap = (term(choices.instead) - term(choices.done)).mean()
    short = _hinge(term, choices, config)
    return {
        "gap": float(gap),
        "short": float(short.mean()),
        "content": float((short <= 0).float().mean()),
        "known": float(choices.known.mean()),
    }
