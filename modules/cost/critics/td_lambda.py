"""The critic: anticipates the intrinsic energy still to come.

Source: LeCun (2022) sec. 3.3 (intrinsic cost, trainable critic, trained from short-term memory);
TD(lambda) targets: Sutton, Barto (2018) sec. 12.1.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from agent.core.protocols import Site
from agent.core.settings import Settings

MIX = 1_000_003


class TDLambdaCritic(nn.Module):
    """Maps latents to the discounted sum of future intrinsic energy, never negative.

    An ensemble; its members differ in initial weights and minibatches. The anticipation is their
    mean, plus `caution` times their spread where that is above 0: where memory has little to say
    the worse is expected. Energy comes from outside at every tick, so it is learned, never imposed.
    Source of the ensemble: Lakshminarayanan et al. (2017); of the caution, as a bound of confidence
    on a cost: Chen et al. (2017), UCB exploration via Q-ensembles.
    """

    class Config(Settings):
        """Members and `width`; `discount` per tick; `trace`, the lambda of TD(lambda); training."""

        members: int = Field(default=2, ge=1)
        caution: float = Field(default=0.0, ge=0)
        width: int = Field(default=64, ge=1)
        discount: float = Field(default=0.95, ge=0, lt=1)
        trace: float = Field(default=0.9, ge=0, le=1)
        steps: int = Field(default=1500, ge=1)
        batch: int = Field(default=256, ge=1)
        rounds: int = Field(default=3, ge=1)
        rate: float = Field(default=2e-3, gt=0)

    scale: Tensor

    def __init__(self, config: Config, site: Site) -> None:
        """Build an untrained critic: it anticipates next to nothing."""
        super().__init__()
        self.config = config
        self.nets = nn.ModuleList(
            nn.Sequential(
                nn.Linear(site.latent, config.width),
                nn.SiLU(),
                nn.Linear(config.width, 1),
            )
            for _ in range(config.members)
        )
        self.register_buffer("scale", torch.tensor(1e-6))

    def anticipate(self, latents: Tensor) -> Tensor:
        """Return anticipated energy [...] of latents [..., Z]; differentiable."""
        each = self.views(latents)
        mean = each.mean(dim=0)
        if not self.config.caution:
            return mean
        return mean + self.config.caution * each.std(dim=0, correction=0)

    def views(self, latents: Tensor) -> Tensor:
        """Return what each member anticipates, [members ...], of latents [..., Z]."""
        raw = torch.stack([net(latents).squeeze(-1) for net in self.nets])
        return F.softplus(raw) * self.scale

    def spread(self, latents: Tensor) -> Tensor:
        """Return the members' deviation [...], >= 0: how little memory says of latents [..., Z]."""
        return self.views(latents).std(dim=0, correction=0)

    @torch.no_grad()
    def targets(self, latents: Tensor, energy: Tensor, ended: Tensor) -> Tensor:
        """Return TD(lambda) targets [N T] from sequences.

        Shapes: `latents` [N T+1 Z]; `energy` [N T], paid on arriving in state t+1; `ended` [N T],
        true where that arrival ended the episode for good, so that nothing follows it.
        """
        discount, trace = self.config.discount, self.config.trace
        ahead = self.views(latents[:, 1:]).mean(dim=0)
        result, later = torch.empty_like(energy), ahead[:, -1]
        for t in reversed(range(energy.shape[1])):
            mixed = (1 - trace) * ahead[:, t] + trace * later
            later = energy[:, t] + discount * mixed.masked_fill(ended[:, t], 0.0)
            result[:, t] = later
        return result

    @torch.no_grad()
    def missed(self, latents: Tensor, energy: Tensor, ended: Tensor) -> float:
        """Return the rms distance of what is anticipated from the targets of sequences."""
        gap = self.anticipate(latents[:, :-1]) - self.targets(latents, energy, ended)
        return float(gap.square().mean().sqrt())

    def fit(
        self,
        latents: Tensor,
        energy: Tensor,
        ended: Tensor,
        seed: int = 0,
        anew: bool = True,
        counted: Tensor | None = None,
    ) -> dict[str, float]:
        """Learn from sequences (see `targets`) and return the error and the share explained.

        It learns of the states that are `counted` [N T], None: of all; targets are of all.
        Targets are recomputed `rounds` times. Deterministic in the sequences and `seed`. What is
        learned `anew` takes the size of energies from these sequences; else the size stays, and
        with it what is anticipated of states that they do not show.
        """
        config = self.config
        which = torch.ones_like(ended) if counted is None else counted
        flat = latents[:, :-1][which]
        if anew:
            paid = energy if counted is None else energy[counted]
            self.scale.copy_(paid.mean() / (1 - config.discount) + 1e-6)
        optimiser = torch.optim.Adam(self.parameters(), lr=config.rate)
        generator = torch.Generator().manual_seed(seed * MIX)
        goal = torch.zeros(len(flat))
        for _ in range(config.rounds):
            goal = self.targets(latents, energy, ended)[which]
            self._descend(flat, goal, config.steps // config.rounds, optimiser, generator)
        with torch.no_grad():
            error = (self.views(flat).mean(dim=0) - goal).square().mean()
            explained = 1 - error / goal.var().clamp(min=1e-12)
        return {"error": float(error.sqrt()), "explained": float(explained)}

    def discounts(self, ticks: int) -> Tensor:
        """Return by what energies 0 to `ticks` ticks later count now [ticks + 1]."""
        return self.config.discount ** torch.arange(ticks + 1)

    def regress(self, latents: Tensor, targets: Tensor, steps: int, seed: int = 0) -> float:
        """Take `steps` towards `targets` [n] of latents [n Z]; return the rms error left.

        Deterministic in both and in `seed`. The size of energies stays.
        """
        optimiser = torch.optim.Adam(self.parameters(), lr=self.config.rate)
        generator = torch.Generator().manual_seed(seed * MIX)
        self._descend(latents, targets, steps, optimiser, generator)
        with torch.no_grad():
            return float((self.views(latents).mean(dim=0) - targets).square().mean().sqrt())

    def _descend(
        self, latents: Tensor, goal: Tensor, steps: int, optimiser: Any, generator: torch.Generator
    ) -> None:
        """Take `steps` towards `goal` [n] of latents [n Z], in minibatches a member."""
        config = self.config
        for _ in range(steps):
            pick = torch.randint(len(latents), (config.members, config.batch), generator=generator)
            loss = torch.zeros(())
            for net, rows in zip(self.nets, pick, strict=True):
                value = F.softplus(net(latents[rows]).squeeze(-1))
                loss = loss + F.mse_loss(value, goal[rows] / self.scale)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
