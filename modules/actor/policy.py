"""The Mode-1 network: a whole plan in one pass, distilled from Mode-2.

Source: LeCun (2022) sec. 3.1.1 (Mode-1) and 3.1.3 ("from Mode-2 to Mode-1", amortised inference).
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from agent.core.protocols import Site
from agent.core.settings import Settings

NEAR = 0.2
"""How far a goal is, in deviations of all goals, when its direction is half as loud."""


class Policy(nn.Module):
    """Maps a latent and a goal to actions for `horizon` ticks, inside the limits by construction.

    It proposes a whole plan, not one action, so that guardrails can be checked on what it is about
    to do. Untrained it proposes to rest: the action nearest to zero within the limits.
    """

    class Config(Settings):
        """`width` of its two hidden layers, `horizon` in ticks, `settle` and `span`.

        The last `settle` ticks of a plan are rest, so that every plan ends where it can stay: a
        cost-to-go need be right for such states only, and a plan kept from the last tick stays
        feasible. `span` is the share of the actuators' range, around its centre, that is ever used:
        commands that exploration hardly tried are where a planner finds a model's mistakes.
        """

        width: int = Field(default=192, ge=1)
        horizon: int = Field(default=12, ge=1)
        settle: int = Field(default=0, ge=0)
        span: float = Field(default=0.65, gt=0, le=1)

    goal_mean: Tensor
    goal_scale: Tensor
    place: Tensor
    low: Tensor
    high: Tensor
    rest: Tensor

    def __init__(self, config: Config, site: Site) -> None:
        """Build an untrained policy. Raises ValueError if an actuator has no finite limits."""
        super().__init__()
        self.horizon, self.size, self.settle = config.horizon, site.actuators.size, config.settle
        low, high = site.actuators.bounds()
        if not bool((torch.isfinite(low) & torch.isfinite(high)).all()):
            raise ValueError(
                f"policy: expected finite limits for every actuator, came"
                f" {site.actuators.describe()} with none; declare low and high in the world"
            )
        centre, half = (low + high) / 2, config.span * (high - low) / 2
        low, high = (centre - half).maximum(low), (centre + half).minimum(high)
        last = nn.Linear(config.width, config.horizon * self.size)
        self.net = nn.Sequential(
            nn.Linear(site.latent + 3 * site.goal.size + 1, config.width),
            nn.SiLU(),
            nn.Linear(config.width, config.width),
            nn.SiLU(),
            last,
        )
        rest = torch.zeros_like(low).clamp(low, high)
        share = (2 * (rest - low) / (high - low) - 1).clamp(-0.99, 0.99)
        with torch.no_grad():
            last.weight.zero_()
            last.bias.copy_(share.atanh().repeat(config.horizon))
        self.register_buffer("goal_mean", torch.zeros(site.goal.size))
        self.register_buffer("goal_scale", torch.ones(site.goal.size))
        self.register_buffer("place", torch.zeros(site.latent + 1, site.goal.size))
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("high", high, persistent=False)
        self.register_buffer("rest", rest, persistent=False)

    def forward(self, latent: Tensor, goal: Tensor) -> Tensor:
        """Return plans [..., H, A] in actuator units for latents [..., Z] and goals [..., G]."""
        scaled = (goal - self.goal_mean) / self.goal_scale
        gap = scaled - (latent @ self.place[:-1] + self.place[-1])
        away = gap.square().sum(dim=-1, keepdim=True).clamp(min=1e-8).sqrt()
        seen = torch.cat((latent, scaled, gap, gap / (away + NEAR), away), dim=-1)
        raw = self.net(seen).unflatten(-1, (self.horizon, self.size))
        return self.settled(self.low + (self.high - self.low) * (raw.tanh() + 1) / 2)

    def settled(self, plans: Tensor) -> Tensor:
        """Return plans [..., H, A] with their last `settle` ticks (all but one at most) at rest."""
        if not self.settle:
            return plans
        ticks = plans.shape[-2]
        moving = torch.arange(ticks) < max(ticks - self.settle, 1)
        return torch.where(moving.unsqueeze(-1), plans, self.rest)

    def propose(self, latent: Tensor, goal: Tensor, horizon: int) -> Tensor:
        """Return plans [B horizon A]: cut short, or continued at rest beyond the policy's own."""
        return self.settled(stretch(self(latent, goal), horizon, self.rest))

    @torch.no_grad()
    def fit_scale(self, latents: Tensor, places: Tensor, goals: Tensor) -> None:
        """Take mean and deviation of goals [m G], and where latents [n Z] are, before training.

        `places` [n G] are read from latents linearly, by least squares, so that the network sees
        how far the goal is. Where nothing is asked (G is 0) there is nothing to scale.
        """
        if not goals.shape[1]:
            return
        self.goal_mean.copy_(goals.mean(dim=0))
        self.goal_scale.copy_(goals.std(dim=0).clamp(min=1e-6))
        rows = torch.cat((latents, torch.ones(len(latents), 1)), dim=1)
        scaled = (places - self.goal_mean) / self.goal_scale
        self.place.copy_(torch.linalg.lstsq(rows.double(), scaled.double()).solution)


def stretch(actions: Tensor, horizon: int, rest: Tensor) -> Tensor:
    """Return plans [B H A] as [B horizon A]: cut short, or continued with the action `rest` [A]."""
    have = actions.shape[1]
    if have >= horizon:
        return actions[:, :horizon]
    return torch.cat((actions, rest.expand(len(actions), horizon - have, -1)), dim=1)
