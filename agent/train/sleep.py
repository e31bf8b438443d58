"""Sleep: what an agent does with its memories between two episodes of a life.

Memory replays; the world model consolidates, the critic and the actor's policy learn; then memory
forgets what is redundant. Each module offers a verb of its own, and who offers none sleeps on.
Nothing is taken over that foresees held-out replay worse than before, and guardrails' margins,
which were calibrated for another model, are widened to what held-out replay shows of this one.

Source: LeCun (2022) sec. 3.3, the critic trains from memory; Lin (1992), experience replay;
McClelland, McNaughton, O'Reilly (1995), consolidation by replay; Hinton, Dayan, Frey, Neal (1995),
the wake-sleep algorithm, for a phase of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from agent.config.build import Mind
from agent.config.schema import SleepConfig
from agent.core.messages import Rollout
from agent.core.past import moment, since
from agent.core.replay import Replay
from agent.train.calibrate import conformal
from agent.train.progress import Figures

RATE = 0.1
"""Share of held-out forecasts that may exceed the margins in force."""
LEAST = math.ceil(1 / RATE) - 1
"""Held-out pieces without which nothing can be said at that rate, and nothing is learned."""


@runtime_checkable
class Replaying(Protocol):
    """A memory that outlives episodes."""

    def replay(self, ticks: int) -> Replay:
        """Return every stored piece of `ticks` ticks that followed one another."""
        ...


@runtime_checkable
class Pruning(Protocol):
    """A memory that can forget what is redundant in it."""

    def prune(self) -> Figures:
        """Forget it; return how many ticks were `stored` and are `kept`."""
        ...


@runtime_checkable
class Consolidating(Protocol):
    """A world model that learns from replay."""

    def consolidate(self, known: Replay, held: Replay, seed: int = 0) -> Figures:
        """Learn from `known`; `held` may only say how far the model errs."""
        ...


@runtime_checkable
class Anticipating(Protocol):
    """A critic that learns from replay."""

    def fit(
        self, latents: Tensor, energy: Tensor, ended: Tensor, seed: int = 0, anew: bool = True
    ) -> Figures:
        """Learn from sequences of latents [n L+1 Z] and energies [n L]; keep what is known too."""
        ...

    def missed(self, latents: Tensor, energy: Tensor, ended: Tensor) -> float:
        """Return how far what is anticipated is from what such sequences show."""
        ...


@runtime_checkable
class Rehearsing(Protocol):
    """An actor whose policy practises what was deliberated awake."""

    def rehearse(self) -> Figures:
        """Practise; return how many `lessons` there are."""
        ...


@dataclass(slots=True)
class Night:
    """What a sleep did: `figures` by part and name, and `notes`, a line for what it did not."""

    figures: Figures = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return it for people, a line each."""
        taken = ", ".join(f"{name} {value:.4g}" for name, value in self.figures.items())
        return [*([f"sleep: {taken}"] if taken else []), *self.notes]


def sleep(mind: Mind, config: SleepConfig, night: int = 0) -> Night:
    """Let `mind` sleep, between two episodes; `night` is the how-manieth of its life.

    Deterministic in what memory holds and `night`. Whatever fails is undone and noted.
    """
    found, memory = Night(), mind.memory
    if not mind.guardrails.verify():
        found.notes.append("sleep: the guardrails' seal is broken; nothing is learned")
        return found
    if not isinstance(memory, Replaying):
        found.notes.append(_lacks("memory", memory, "replays nothing; use replay"))
        return found
    known, held = memory.replay(config.ticks).split()
    ahead = memory.replay(mind.configurator.config.horizon).split()[1]
    if min(len(known), len(held), len(ahead)) < LEAST:
        found.notes.append(f"sleep: fewer than {LEAST} pieces to judge by; too little was lived")
    else:
        _learn(mind, config, (known, held, ahead), night, found)
    if config.actor:
        _rehearse(mind.actor, found)
    if config.memory:
        _prune(memory, found)
    return found


def _learn(
    mind: Mind, config: SleepConfig, replayed: tuple[Replay, Replay, Replay], night: int,
    found: Night,
) -> None:  # fmt: skip
    """Let world model and critic learn, then see what margins the model now needs."""
    known, held, ahead = replayed
    model, critic = mind.world_model, mind.critic
    if config.world_model and not isinstance(model, Consolidating):
        found.notes.append(_lacks("world_model", model, "does not consolidate; use consolidating"))
    elif config.world_model:
        _taken(
            "world_model", model, lambda: model.consolidate(known, held, night),
            lambda: foresight(model, ahead), found,
        )  # fmt: skip
    if config.critic and not isinstance(critic, Anticipating):
        found.notes.append(_lacks("critic", critic, "does not learn from replay; use td_lambda"))
    elif config.critic:
        lived, judged = _paid(known), _paid(held)
        _taken(
            "critic", critic, lambda: critic.fit(*lived, seed=night, anew=False),
            lambda: critic.missed(*judged), found,
        )  # fmt: skip
    if config.world_model:
        _widen(mind, ahead, found)


def _paid(replay: Replay) -> tuple[Tensor, Tensor, Tensor]:
    """Return what a critic learns from; pieces are cut out of lives, nothing ends in them."""
    return replay.latents, replay.energies, torch.zeros_like(replay.energies, dtype=torch.bool)


def _rehearse(actor: Any, found: Night) -> None:
    if isinstance(actor, Rehearsing):
        found.figures |= {f"actor.{k}": v for k, v in actor.rehearse().items()}
    else:
        found.notes.append(_lacks("actor", actor, "has no lessons to rehearse; use habit"))


def _prune(memory: Any, found: Night) -> None:
    if isinstance(memory, Pruning):
        found.figures |= {f"memory.{k}": v for k, v in memory.prune().items()}
    else:
        found.notes.append(_lacks("memory", memory, "does not prune itself"))


@torch.no_grad()
def foresight(model: Any, replay: Replay) -> float:
    """Return the rms error, over pieces and ticks, of latents foreseen from each piece's first."""
    ahead = model.imagine(replay.latents[:, 0], replay.commands[:, None]).latents
    gap = ahead.mean(dim=0)[:, 0] - replay.latents[:, 1:]
    return float(gap.square().sum(dim=-1).mean().sqrt())


def _taken(
    name: str, part: Any, learn: Callable[[], Any], missed: Callable[[], float], found: Night
) -> None:
    """Let `part` learn, and undo it unless it then misses held-out replay by less than before."""
    if not isinstance(part, nn.Module):
        found.notes.append(_lacks(name, part, "has no weights that could be taken back"))
        return
    before = {k: v.detach().clone() for k, v in part.state_dict().items()}
    was, now, why = missed(), math.nan, "held-out replay was foreseen worse"
    try:
        with _learning(part):
            learn()
        now = missed()
    except Exception as fault:  # noqa: BLE001 - a module may do anything; it wakes as it was
        why = " ".join(f"{type(fault).__name__}: {fault}".split())
    taken = now < was and all(bool(v.isfinite().all()) for v in part.state_dict().values())
    if not taken:
        part.load_state_dict(before)
        found.notes.append(f"sleep: {name}: undone ({why})")
    figures = {"before": was, "after": now if math.isfinite(now) else was, "taken": float(taken)}
    found.figures |= {f"{name}.{k}": v for k, v in figures.items()}


@contextmanager
def _learning(part: nn.Module) -> Iterator[None]:
    """Let gradients reach `part` for a while."""
    part.requires_grad_(True)
    try:
        with torch.enable_grad():
            yield
    finally:
        part.requires_grad_(False)


@torch.no_grad()
def _widen(mind: Mind, held: Replay, found: Night) -> None:
    """Put margins into force that held-out replay asks of the model as it is now.

    Never below the sealed ones. What replay holds are commands that went out, one a plan, and
    neighbouring pieces overlap: this is no promise like that of calibration, but what was seen.
    """
    rails, own = mind.rails, mind.guardrails
    if not rails:
        return
    excess = _excess(mind, held)
    sealed = own.sealed_margins(excess.shape[-1])
    wanted = conformal(excess.nan_to_num(nan=torch.inf), RATE)
    more = torch.where(own.realised[:, None], (wanted - sealed).clamp(min=0.0), 0.0)
    more = more.clamp(max=torch.finfo(more.dtype).max)
    (own if mind.adaptive is None else mind.adaptive).widen(more)
    for index, rail in enumerate(rails):
        covered = (excess[:, index] <= sealed[index]).float().mean(dim=0)
        found.figures[f"covered.{rail.name}"] = float(covered.min())
        found.figures[f"widened.{rail.name}"] = float(more[index].max())


def _excess(mind: Mind, held: Replay) -> Tensor:
    """Return realised - foreseen values of guardrails [n R H], through the sealed readouts.

    What guardrails remember begins with the first latent of each piece.
    """
    own, start, actions = mind.guardrails, held.latents[:, 0], held.commands[:, None]
    now = moment(start, {}, {})
    read = own.read(now)
    past = since(mind.rails, replace(now, quantities=read))
    came = Rollout(start, actions, held.latents[None, :, None, 1:], {}, networks=1, past=past)
    came = replace(came, quantities=own.read(came))
    foreseen = mind.world_model.imagine(start, actions)
    foreseen = replace(foreseen, quantities=own.read(foreseen), past=past)
    return own.values(came)[:, 0] - own.values(foreseen)[:, 0]


def _lacks(slot: str, part: Any, what: str) -> str:
    return f"sleep: {slot}: {type(part).__name__} {what}"
