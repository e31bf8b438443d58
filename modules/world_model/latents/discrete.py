"""A discrete latent variable: one of K codes, each paid for by how unlikely it was."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from agent.core.protocols import Site
from agent.core.settings import Settings
from modules.world_model.variable import Energy


class Discrete(nn.Module):
    """z is one of K codes; the predictor's first layer holds the codebook, a row per code.

    A network learns the prior p(z | s, a). In training, and wherever a future is explained, z is

        z* = argmin_z  mean_e mse(f_e(s, a, z), s') + price * -log p(z | s, a)

    and -log p(z*), the divergence of that choice from the prior, is the information it carries. As
    a code is taken only where it saves more energy than it costs, one code serves all that is
    predictable, for nothing. With one code there is no latent variable.

    Source: LeCun (2022) sec. 4.4, min over z, and 4.6, limited information; entropy-constrained
    vector quantisation: Chou, Lookabaugh, Gray (1989).
    """

    class Config(Settings):
        """`codes` K; `price` of a nat, in mean squared latent error; `weight` of the prior's loss.

        An imagination samples `draws` futures per network. `width` of the prior's hidden layers.
        """

        codes: int = Field(default=4, ge=1)
        draws: int = Field(default=4, ge=1)
        price: float = Field(default=0.002, ge=0)
        weight: float = Field(default=0.1, gt=0)
        width: int = Field(default=64, ge=1)

    def __init__(self, config: Config, site: Site) -> None:
        """Build an untrained prior."""
        super().__init__()
        self.config, self.size, self.draws = config, config.codes, config.draws
        self.prior = nn.Sequential(
            nn.Linear(site.latent + site.actuators.size, config.width),
            nn.SiLU(),
            nn.Linear(config.width, config.width),
            nn.SiLU(),
            nn.Linear(config.width, config.codes),
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
        """Return the code of least energy and price, one-hot [... K], and its nats [...]."""
        states = states.detach()
        logs = self._logs(states, actions)
        with torch.no_grad():
            codes, nats = self._codes(logs)
            errors = torch.stack([energy(z) for z in codes])
            best = (errors + share * self.config.price * nats).argmin(dim=0)
        chosen = F.one_hot(best, self.size).to(logs.dtype)
        return chosen, -(chosen * logs).sum(dim=-1)

    def penalty(self, nats: Tensor) -> Tensor:
        """Return weight * mean nats: the cross-entropy that the prior learns from."""
        return self.config.weight * nats.mean()

    def sample(self, states: Tensor, actions: Tensor, share: Tensor) -> Tensor:
        """Return the code at `share` of the prior's cumulated probabilities, one-hot [... K]."""
        cumulated = self._logs(states, actions).exp().cumsum(dim=-1)
        index = (cumulated[..., :-1] < share.unsqueeze(-1)).sum(dim=-1)
        return F.one_hot(index, self.size).to(states.dtype)

    def sweep(self, states: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Return every code, one-hot [K ... K], and its nats [K ...]."""
        return self._codes(self._logs(states, actions))

    def _codes(self, logs: Tensor) -> tuple[Tensor, Tensor]:
        every = torch.eye(self.size, dtype=logs.dtype, device=logs.device)
        shape = (self.size, *(1,) * (logs.ndim - 1), self.size)
        return every.view(shape).expand(self.size, *logs.shape), -logs.movedim(-1, 0)

    def _logs(self, states: Tensor, actions: Tensor) -> Tensor:
        logs: Tensor = self.prior(torch.cat((states, actions), dim=-1)).log_softmax(dim=-1)
        return logs
