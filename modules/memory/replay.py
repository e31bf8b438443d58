"""A memory that outlives episodes, to be played again asleep, and thinned there.

Source: Lin (1992), experience replay; Isele, Cosgun (2018), "Selective experience replay for
lifelong learning", sec. 4: keep by surprise, by what was at stake, and so that all is covered.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from agent.core.messages import Action, Appraisal, Percept, Recollection
from agent.core.protocols import Inbox, Site
from agent.core.replay import Replay
from modules.memory.episodic import EpisodicMemory

BRIEF = 2
"""Ticks up to which an episode is none: wiring tries so many, on zeros."""


@dataclass(frozen=True, slots=True)
class Ticks:
    """Lived ticks, one a row: `latents` [n Z], `energies`, `surprises` [n], `commands` [n A].

    `number` [n] counts the ticks of a life; it skips one where an episode or an agent ends.
    """

    latents: Tensor
    energies: Tensor
    surprises: Tensor
    commands: Tensor
    number: Tensor

    def rows(self, which: Tensor | slice) -> Ticks:
        """Return some of the ticks."""
        return Ticks(*(column[which] for column in self.columns))

    def __add__(self, later: Ticks) -> Ticks:
        """Return these ticks and, after them, those of `later`, which are numbered anew."""
        start = int(self.number[-1]) + 2 if len(self.number) else 0
        own = (*later.columns[:-1], later.number + start)
        return Ticks(*map(torch.cat, zip(self.columns, own, strict=True)))

    @property
    def columns(self) -> tuple[Tensor, ...]:
        """All of it."""
        return self.latents, self.energies, self.surprises, self.commands, self.number


class ReplayMemory(EpisodicMemory):
    """The ring of `episodic`, and, beside it, the ticks of past episodes, the latest `kept`.

    Recollections are of the episode, as there. `replay` gives pieces of the life so far; `prune`
    forgets what is redundant in it. A new life begins with `forget`.
    """

    class Config(EpisodicMemory.Config):
        """As `episodic`; how much is `kept`, and what is redundant in it.

        A piece of `piece` ticks is redundant if at least half of them are alike a tick in a later
        piece that is kept: its latent, and the one after it, together within `near` of a deviation
        of all that is stored. The `precious` share of pieces that surprised most, and that cost
        most, never is. Pieces are kept whole, so that they can be replayed.
        """

        kept: int = Field(default=16_384, ge=1)
        near: float = Field(default=0.4, ge=0)
        precious: float = Field(default=0.1, ge=0, le=1)
        piece: int = Field(default=12, ge=1)

    posts = Recollection

    def __init__(self, config: Config, site: Site) -> None:
        """Remember nothing yet."""
        self.config: ReplayMemory.Config = config
        self._today: list[tuple[Tensor, ...]] = []
        self._site = site
        self.forget()

    def forget(self) -> None:
        """Start a new life."""
        none = torch.zeros(0)
        latents, commands = (
            torch.zeros(0, size) for size in (self._site.latent, self._site.actuators.size)
        )
        self.life = Ticks(latents, none, none, commands, none.long())
        self._today = []
        self.reset(1)

    def reset(self, batch: int) -> None:
        """Forget the episode's ring; what was lived in it is kept for replay."""
        self._settle()
        super().reset(batch)

    def tick(self, inbox: Inbox) -> Recollection:
        """Store the last tick's state with its cost, surprise and command, then recollect."""
        before, cost, action = inbox.last(Percept), inbox.last(Appraisal), inbox.last(Action)
        if before is not None and cost is not None and action is not None:
            self.store(before.latent, cost.intrinsic, action.command)
            row = before.latent, cost.intrinsic, before.surprise, action.command
            self._today.append(tuple(part.clone() for part in row))
        return self.recollect(inbox[Percept].latent)

    def replay(self, ticks: int) -> Replay:
        """Return every stored piece of `ticks` ticks that followed one another, oldest first."""
        self._settle()
        life, ticks = self.life, max(ticks, 1)
        number = life.number
        whole = number[ticks:] - number[: max(len(number) - ticks, 0)] == ticks
        start = whole.nonzero()[:, 0]
        spots = start[:, None] + torch.arange(ticks + 1)
        later = spots[:, 1:]
        return Replay(
            life.latents[spots],
            life.commands[spots[:, :-1]],
            life.energies[later],
            life.surprises[later],
            number[start],
        )

    def prune(self) -> dict[str, float]:
        """Forget redundant ticks (see `Config`); return how many were stored and are kept."""
        self._settle()
        life = self.life
        count = len(life.number)
        if count > 1:
            self.life = life.rows(~self._redundant(life))
        return {"stored": float(count), "kept": float(len(self.life.number))}

    def _redundant(self, life: Ticks) -> Tensor:
        """Return which ticks [n] are redundant; the latest pieces are looked at first."""
        follows = life.number.diff() == 1
        after = torch.where(follows[:, None], life.latents[1:], life.latents[:-1])
        rows = torch.cat((life.latents, torch.cat((after, life.latents[-1:]))), dim=1)
        alike = life.latents.var(dim=0).sum().sqrt() * self.config.near
        run = torch.cat((torch.zeros(1, dtype=torch.int64), (~follows).cumsum(dim=0)))
        since = life.number - life.number[torch.searchsorted(run, run)]
        cut = torch.stack((run, since // self.config.piece), dim=1)
        _, piece = torch.unique_consecutive(cut, return_inverse=True, dim=0)
        size = piece.bincount()
        needed = torch.zeros(len(size), dtype=torch.bool)
        for worth in (life.surprises, life.energies):
            mean = piece.bincount(worth) / size
            needed |= mean > torch.quantile(mean, 1.0 - self.config.precious)
        kept = torch.zeros(len(rows), dtype=torch.bool)
        for index in reversed(range(len(size))):
            own = piece == index
            others = rows[kept]
            if len(others) and not needed[index]:
                new = torch.cdist(rows[own], others).amin(dim=1) > alike
                needed[index] = 2 * int(new.sum()) > int(size[index])
            kept |= own & (needed[index] | ~kept.any())
        return ~kept

    def _settle(self) -> None:
        """Lay what was lived since the last time beside what is kept, agent by agent."""
        today, self._today = self._today, []
        if len(today) <= BRIEF:
            return
        columns = [torch.stack(column, dim=1) for column in zip(*today, strict=True)]
        for agent in range(len(columns[0])):
            number = torch.arange(len(today))
            latents, energies, surprises, commands = (column[agent] for column in columns)
            lived = Ticks(latents, energies, surprises, commands, number)
            flat = torch.cat([c.reshape(len(today), -1) for c in lived.columns[:-1]], dim=1)
            self.life = self.life + lived.rows(flat.isfinite().all(dim=1))
        self.life = self.life.rows(slice(-self.config.kept, None))
