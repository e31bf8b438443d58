"""Associative memory: what the present calls to mind, of this episode and of earlier ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from agent.core.messages import (
    Action,
    Appraisal,
    Forecast,
    Observation,
    Percept,
    Recollection,
)
from agent.core.protocols import Inbox, Ports, Site
from agent.core.settings import Settings
from modules.memory import hopfield
from modules.memory.nearest import Nearest
from modules.memory.ring import Ring

FAR = 1e4
"""Where a stored latent would be that is not there: too far to be attended to."""
ZERO = torch.zeros(())


class AssociativeMemory:
    """Key-value attention over stored latents: a modern Hopfield network, with its energy.

    Keeps of every tick the latent, the intrinsic energy paid there and the critic's anticipation,
    the command, the forecast of the next latent and its spread, and which sensors were valid: past,
    present and predicted states. Recollects the nearest past states, what retrieval settles in,
    and of every sensor the last moment it was valid. With `path`, what was lived is kept in a file
    and recollected in later runs. See README.md beside it for the equations.
    Source: LeCun (2022) sec. 3, "short-term memory"; Ramsauer et al. (2021).
    """

    class Config(Settings):
        """`capacity`, `neighbours` and `refractory` as in `episodic`; how retrieval goes; the file.

        `beta` sharpens retrieval, in 1 / squared latent units; it makes `steps` updates among the
        `attended` nearest latents. With `path` memories outlive the run; the `kept` latest ticks of
        earlier episodes are recollected, up to `exact` of them by comparing with every one.
        """

        capacity: int = Field(default=512, ge=1)
        neighbours: int = Field(default=4, ge=1)
        refractory: int = Field(default=10, ge=0)
        beta: float = Field(default=8.0, gt=0)
        steps: int = Field(default=3, ge=1)
        attended: int = Field(default=32, ge=1)
        path: str = ""
        kept: int = Field(default=2_000_000, ge=1)
        exact: int = Field(default=20_000, ge=0)
        probes: int = Field(default=16, ge=1)

    reads = (Observation, Percept)
    recalls = (Observation, Percept, Appraisal, Action, Forecast)
    posts = Recollection

    def __init__(self, config: Config, site: Site) -> None:
        """Remember nothing yet. Raises InputError if the file at `path` is another agent's."""
        self.config, self._site = config, site
        self._journal: Any = None
        self._past: Nearest | None = None
        if config.path and site.percepts:
            from modules.memory.journal import Journal  # locks files, as not every system can

            self._journal = Journal(Path(config.path), site)
        self._start(1)

    def ports(self) -> Ports:
        """Return the sizes of latent, action, sensors and recollection."""
        site = self._site
        return Ports(
            {
                "Z": site.latent,
                "A": site.actuators.size,
                "N": self.config.neighbours,
                "S": len(site.sensors.channels),
            }
        )

    def reset(self, batch: int) -> None:
        """Start an episode of `batch` agents; with a file the last one joins the earlier ones.

        Raises InputError if another process has the file.
        """
        if self._journal is not None:
            if self._past is None:
                self._past = Nearest(self._site.latent, self.config.exact, self.config.probes)
                records = self._journal.open()[-self.config.kept :]
                latents, energies = (records[n].copy() for n in ("latent", "energy"))
                self._past.add(torch.from_numpy(latents), torch.from_numpy(energies))
            if self._lived:
                latents, energies = zip(*self._lived, strict=True)
                self._past.add(torch.cat(latents), torch.cat(energies))
            self._journal.sync()
        self._start(batch)

    def _start(self, batch: int) -> None:
        z, a, s = self._site.latent, self._site.actuators.size, len(self._site.sensors.channels)
        columns = {"latent": (z,), "energy": (), "anticipation": (), "command": (a,)}
        columns |= {"forecast": (z,), "spread": (), "is_valid": (s,)}
        self._ring = Ring(batch, self.config.capacity, columns)
        self._lived: list[tuple[Tensor, Tensor]] = []
        self._episode = 0

    def tick(self, inbox: Inbox) -> Recollection:
        """Store the last tick with its cost, command and forecast, then recollect.

        Stored is what time has passed since; in the trial ticks of wiring none does.
        """
        now, observed = inbox[Percept], inbox[Observation]
        before, then, cost = inbox.last(Percept), inbox.last(Observation), inbox.last(Appraisal)
        action, ahead = inbox.last(Action), inbox.last(Forecast)
        if before and then and cost and action and ahead:
            columns = {
                "latent": before.latent, "energy": cost.intrinsic,
                "anticipation": cost.anticipation, "command": action.command,
                "forecast": ahead.latent, "spread": ahead.spread, "is_valid": then.valid,
            }  # fmt: skip
            self._ring.write(**columns)
            if self._journal is not None and bool((observed.time_s > then.time_s).any()):
                self._keep(columns)
        return self.recollect(now.latent, observed.valid)

    def store(self, latent: Tensor, energy: Tensor, command: Tensor) -> None:
        """Write one state per agent, of which no more is known: [B Z], [B], [B A]."""
        self._ring.write(latent=latent, energy=energy, command=command)

    def sequences(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return this episode, by time: latents [B N Z], energies [B N], commands [B N A]."""
        ring, numbers = self._ring, self._ring.numbers()
        return ring.at("latent", numbers), ring.at("energy", numbers), ring.at("command", numbers)

    def predictions(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return what was predicted, by the time of prediction, and what it was to cost.

        Latents of the next tick [B N Z], their spread [B N], future intrinsic energy [B N].
        """
        ring, n = self._ring, self._ring.numbers()
        return ring.at("forecast", n), ring.at("spread", n), ring.at("anticipation", n)

    def recollect(self, latent: Tensor, valid: Tensor) -> Recollection:
        """Return what latents [B Z], at which sensors were `valid` [B S], call to mind."""
        config, n = self.config, self.config.neighbours
        latents, energies, near = self._nearest(latent, max(config.attended, n))
        known = near.isfinite()
        apart = latents.masked_fill(~known.unsqueeze(-1), FAR)
        retrieved = hopfield.retrieve(apart, latent, config.beta, config.steps, level=True)
        mismatch = hopfield.energy(apart, latent, config.beta, level=True)
        ever = known.any(dim=1)
        seen, unseen = self._seen(latent, valid)
        return Recollection(
            latents[:, :n],
            energies[:, :n],
            near[:, :n].masked_fill(~known[:, :n], 0.0),
            known[:, :n],
            retrieved.where(ever.unsqueeze(1), latent),
            mismatch.where(ever, torch.zeros(())),
            seen,
            unseen,
        )

    def _nearest(self, latent: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the `k` nearest latents [B k Z], energies [B k], distances [B k], nearest first.

        Where there are fewer, latents and energies are 0 and distances infinite.
        """
        ring, rows = self._ring, torch.arange(len(latent))[:, None]
        moments = ring.numbers(self.config.refractory)
        past = ring.at("latent", moments)
        near = torch.linalg.vector_norm(past - latent[:, None], dim=-1)
        near, which = near.topk(min(k, len(moments)), dim=1, largest=False)
        found = [past[rows, which]], [ring.at("energy", moments)[rows, which]], [near]
        if self._past is not None and len(self._past):
            near, which = self._past.search(latent, k)
            parts = self._past.keys[which], self._past.energies[which], near
            for listed, part in zip(found, parts, strict=True):
                listed.append(part)
        latents, energies, near = (torch.cat(listed, dim=1) for listed in found)
        near, order = near.topk(min(k, near.shape[1]), dim=1, largest=False)
        lack = k - near.shape[1]
        known = near.isfinite()
        return (
            F.pad(latents[rows, order].where(known.unsqueeze(-1), ZERO), (0, 0, 0, lack)),
            F.pad(energies[rows, order].where(known, ZERO), (0, lack)),
            F.pad(near, (0, lack), value=torch.inf),
        )

    def _seen(self, latent: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latent [B S Z] of the last moment each sensor was valid, and its age [B S].

        A sensor that is valid now was last so now; one that never was has age -1 and the present.
        """
        ring, numbers = self._ring, self._ring.numbers()
        seen = latent.unsqueeze(1).repeat(1, valid.shape[1], 1)
        unseen = torch.where(valid, 0, -1)
        if not len(numbers):
            return seen, unseen
        order = torch.arange(1, len(numbers) + 1)[:, None]
        last = (ring.at("is_valid", numbers) * order).amax(dim=1)
        past = ring.at("latent", numbers)[torch.arange(len(latent))[:, None], last - 1]
        recalled = (last > 0) & ~valid
        seen = past.where(recalled.unsqueeze(-1), seen)
        return seen, torch.where(recalled, len(numbers) + 1 - last, unseen)

    def _keep(self, columns: dict[str, Tensor]) -> None:
        """Write a tick into the file, and remember it for later episodes."""
        if not self._episode:
            self._episode = self._journal.begin()
        rows = torch.arange(len(columns["latent"]))
        self._journal.write(
            {name: value.numpy() for name, value in columns.items()}
            | {"episode": self._episode, "row": rows.numpy(), "tick": self._ring.count - 1}
        )
        self._lived.append((columns["latent"], columns["energy"]))
