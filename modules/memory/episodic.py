"""Episodic memory: a ring of the latest states, what was done there and what it cost."""

from __future__ import annotations

import torch
from torch import Tensor

from agent.core.messages import Action, Appraisal, Percept, Recollection
from agent.core.protocols import Inbox, Ports, Site
from agent.core.settings import Settings


class EpisodicMemory:
    """Keeps (latent, intrinsic energy, command, tick) of the last `capacity` ticks per agent.

    Every tick it retrieves the nearest past states by latent distance; the critic trains on the
    sequences it returns. Source: LeCun (2022) sec. 3, "short-term memory".
    """

    class Config(Settings):
        """`neighbours` states are recollected per tick, leaving out the last `refractory` ticks."""

        capacity: int = 512
        neighbours: int = 4
        refractory: int = 10

    reads = (Percept,)
    recalls = (Percept, Appraisal, Action)
    posts = Recollection

    def __init__(self, config: Config, site: Site) -> None:
        """Allocate nothing yet; `reset` makes the ring."""
        self.config, self._site = config, site
        self.reset(1)

    def ports(self) -> Ports:
        """Return the sizes of latent, action and recollection."""
        return Ports(
            {
                "Z": self._site.latent,
                "A": self._site.actuators.size,
                "N": self.config.neighbours,
            }
        )

    def reset(self, batch: int) -> None:
        """Start an empty ring for `batch` agents."""
        c, z, a = self.config.capacity, self._site.latent, self._site.actuators.size
        self._latents = torch.zeros(batch, c, z)
        self._energies = torch.zeros(batch, c)
        self._commands = torch.zeros(batch, c, a)
        self._count = 0

    def tick(self, inbox: Inbox) -> Recollection:
        """Store the last tick's state with its cost and command, then recollect."""
        before, cost, action = inbox.last(Percept), inbox.last(Appraisal), inbox.last(Action)
        if before is not None and cost is not None and action is not None:
            self.store(before.latent, cost.intrinsic, action.command)
        return self.recollect(inbox[Percept].latent)

    def store(self, latent: Tensor, energy: Tensor, command: Tensor) -> None:
        """Write one state per agent into the ring: [B Z], [B], [B A]."""
        slot = self._count % self.config.capacity
        self._latents[:, slot] = latent
        self._energies[:, slot] = energy
        self._commands[:, slot] = command
        self._count += 1

    def recollect(self, latent: Tensor) -> Recollection:
        """Return the nearest stored states of each agent, nearest first; unknown ones are zero."""
        n, b = self.config.neighbours, latent.shape[0]
        filled = min(self._count, self.config.capacity)
        usable = filled - self.config.refractory
        if usable < 1:
            return Recollection(
                latent.new_zeros(b, n, latent.shape[1]),
                latent.new_zeros(b, n),
                latent.new_zeros(b, n),
                torch.zeros(b, n, dtype=torch.bool),
            )
        order = torch.arange(self._count - filled, self._count - self.config.refractory)
        slots = order % self.config.capacity
        past = self._latents[:, slots]
        distances = torch.linalg.vector_norm(past - latent[:, None], dim=-1)
        k = min(n, usable)
        near, index = distances.topk(k, dim=1, largest=False)
        pad = n - k
        rows = torch.arange(b)[:, None]
        latents = torch.nn.functional.pad(past[rows, index], (0, 0, 0, pad))
        energies = torch.nn.functional.pad(self._energies[:, slots][rows, index], (0, pad))
        known = torch.nn.functional.pad(torch.ones(b, k, dtype=torch.bool), (0, pad))
        near = torch.nn.functional.pad(near, (0, pad))
        return Recollection(latents, energies, near, known)

    def sequences(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return what is stored, by time: latents [B N Z], energies [B N], commands [B N A]."""
        filled = min(self._count, self.config.capacity)
        slots = torch.arange(self._count - filled, self._count) % self.config.capacity
        return self._latents[:, slots], self._energies[:, slots], self._commands[:, slots]
