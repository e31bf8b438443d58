"""Episodic memory: a ring of the latest states, what was done there and what it cost."""

from __future__ import annotations

import torch
from torch import Tensor

from agent.core.messages import Action, Appraisal, Percept, Recollection
from agent.core.protocols import Inbox, Ports, Site
from agent.core.settings import Settings
from modules.memory.ring import Ring


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
        z, a = self._site.latent, self._site.actuators.size
        self._ring = Ring(
            batch, self.config.capacity, {"latent": (z,), "energy": (), "command": (a,)}
        )

    def tick(self, inbox: Inbox) -> Recollection:
        """Store the last tick's state with its cost and command, then recollect."""
        before, cost, action = inbox.last(Percept), inbox.last(Appraisal), inbox.last(Action)
        if before is not None and cost is not None and action is not None:
            self.store(before.latent, cost.intrinsic, action.command)
        return self.recollect(inbox[Percept].latent)

    def store(self, latent: Tensor, energy: Tensor, command: Tensor) -> None:
        """Write one state per agent into the ring: [B Z], [B], [B A]."""
        self._ring.write(latent=latent, energy=energy, command=command)

    def recollect(self, latent: Tensor) -> Recollection:
        """Return the nearest stored states of each agent, nearest first; unknown ones are zero."""
        n, b = self.config.neighbours, latent.shape[0]
        moments = self._ring.numbers(self.config.refractory)
        usable = len(moments)
        if usable < 1:
            return Recollection(
                latent.new_zeros(b, n, latent.shape[1]),
                latent.new_zeros(b, n),
                latent.new_zeros(b, n),
                torch.zeros(b, n, dtype=torch.bool),
            )
        past = self._ring.at("latent", moments)
        distances = torch.linalg.vector_norm(past - latent[:, None], dim=-1)
        k = min(n, usable)
        near, index = distances.topk(k, dim=1, largest=False)
        pad = n - k
        rows = torch.arange(b)[:, None]
        latents = torch.nn.functional.pad(past[rows, index], (0, 0, 0, pad))
        energies = torch.nn.functional.pad(self._ring.at("energy", moments)[rows, index], (0, pad))
        known = torch.nn.functional.pad(torch.ones(b, k, dtype=torch.bool), (0, pad))
        near = torch.nn.functional.pad(near, (0, pad))
        return Recollection(latents, energies, near, known)

    def sequences(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return what is stored, by time: latents [B N Z], energies [B N], commands [B N A]."""
        ring = self._ring
        numbers = ring.numbers()
        return ring.at("latent", numbers), ring.at("energy", numbers), ring.at("command", numbers)
