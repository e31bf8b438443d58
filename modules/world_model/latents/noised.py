"""A noised latent variable: one number, so blurred that only so much can be said with it."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from agent.core.protocols import Site
from agent.core.settings import Settings
from modules.world_model.variable import Energy


class Noised(nn.Module):
    """z is a Gaussian number; a network says from what came where it was and how blurred.

    With q(z | s, a, s') = N(m, d²) and the prior N(0, 1), what z tells is

        KL(q || p) = (m² + d² - 1) / 2 - log d        nats

    which training draws to `capacity` per tick, on average over a batch: 0 and z tells nothing.

    Source: LeCun (2022) sec. 4.6, z made noisy to limit its information; the capacity dial: Burgess
    et al. (2018), "Understanding disentangling in beta-VAE"; Kingma, Welling (2014).
    """

    class Config(Settings):
        """`capacity` in nats per tick, and the `weight` that draws it there.

        An imagination samples `draws` futures per network; a sweep tries `tries` values. `width` of
        the network's hidden layers.
        """

        capacity: float = Field(default=0.02, ge=0)
        draws: int = Field(default=4, ge=1)
        tries: int = Field(default=16, ge=1)
        weight: float = Field(default=0.1, gt=0)
        width: int = Field(default=64, ge=1)

    size: ClassVar[int] = 1

    def __init__(self, config: Config, site: Site) -> None:
        """Build an untrained posterior."""
        super().__init__()
        self.config, self.draws = config, config.draws
        self.posterior = nn.Sequential(
            nn.Linear(2 * site.latent + site.actuators.size, config.width),
            nn.SiLU(),
            nn.Linear(config.width, config.width),
            nn.SiLU(),
            nn.Linear(config.width, 2),
        )

    def infer(
        self,
        states: Tensor,
        actions: Tensor,
        after: Tensor,
        energy: Energy,
        seed: int | None = None,
        share: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """Return z [... 1] and its nats [...]; the posterior's mean without a `seed`."""
        seen = torch.cat((states.detach(), actions, (after - states).detach()), dim=-1)
        mean, log = self.posterior(seen).unflatten(-1, (2, 1)).unbind(dim=-2)
        log = 6.0 * (log / 6.0).tanh()
        nats = ((mean.square() + (2 * log).exp() - 1) / 2 - log).squeeze(-1)
        if seed is None:
            return mean, nats
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype).to(mean.device)
        return mean + log.exp() * noise, nats

    def penalty(self, nats: Tensor) -> Tensor:
        """Return weight * (mean nats - capacity)²."""
        return self.config.weight * (nats.mean() - self.config.capacity).square()

    def sample(self, states: Tensor, actions: Tensor, share: Tensor) -> Tensor:
        """Return the prior's quantile at `share`, [... 1]."""
        z: Tensor = torch.special.ndtri(share).unsqueeze(-1).to(states.dtype)
        return z

    def sweep(self, states: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Return `tries` equally likely values [C ... 1], and log C nats for each."""
        tries = self.config.tries
        shares = (torch.arange(tries, dtype=states.dtype) + 0.5) / tries
        lead = states.shape[:-1]
        values = torch.special.ndtri(shares).view(tries, *(1,) * (len(lead) + 1))
        nats = states.new_tensor(float(tries)).log().expand(tries, *lead)
        return values.expand(tries, *lead, 1), nats
