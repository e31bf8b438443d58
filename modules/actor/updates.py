"""Updates: how a planner that samples learns from a wave where to sample next."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from modules.actor.sampling import Pool


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Where to sample: `centres` [B C H A], an equal share around each, and `deviation` [B H A]."""

    centres: Tensor
    deviation: Tensor

    def samples(self, noise: Tensor) -> Tensor:
        """Return candidates [B N H A] from noise [N H A] of unit variance."""
        count, alike = noise.shape[0], self.centres.shape[1]
        centres = self.centres
        if alike > 1:
            centres = centres.repeat_interleave(-(-count // alike), dim=1)[:, :count]
        return centres + self.deviation.unsqueeze(1) * noise

    def refit(self, elites: Pool, momentum: float) -> Gaussian:
        """Return mean and deviation of the elites, by maximum likelihood.

        From the second refit on, when there is one centre, the share `momentum` of the last ones
        stays. Elites that are not finite carry no weight; a lone elite has no deviation, so the
        last one is halved. Source: Rubinstein (1999); elites ranked by guardrails first, Wen,
        Topcu (2018), constrained cross-entropy method.
        """
        actions, count = elites.actions, elites.actions.shape[1]
        sound = torch.isfinite(elites.energy)
        if count > 1 and bool(sound.all()):
            mean, spread = actions.mean(dim=1), actions.std(dim=1)
        else:
            mean, spread = self._weighed(actions, sound.to(actions.dtype)[:, :, None, None])
        if self.centres.shape[1] == 1:
            mean = momentum * self.centres[:, 0] + (1 - momentum) * mean
            spread = momentum * self.deviation + (1 - momentum) * spread
        return Gaussian(mean.unsqueeze(1), spread)

    def _weighed(self, actions: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and deviation over the candidates of weight 1 rather than 0 [B K 1 1]."""
        count = weight.sum(dim=1)
        mean = (weight * actions).sum(dim=1) / count.clamp(min=1.0)
        mean = torch.where(count > 0, mean, self.centres.mean(dim=1))
        square = (weight * (actions - mean.unsqueeze(1)).square()).sum(dim=1)
        spread = (square / (count - 1).clamp(min=1.0)).sqrt()
        return mean, torch.where(count > 1, spread, self.deviation / 2)


def softmax(pool: Pool, temperature: float) -> Tensor:
    """Return weights [B K] that add up to 1: exp(-energy / temperature), guardrails first.

    While a feasible candidate exists, infeasible ones carry no weight; where none does, violation
    stands in for energy. What is not finite carries none; where nothing is finite, all are alike.
    `temperature` is in deviations of what is weighed, so that the unit of the energy is of no
    matter. Source: Williams et al. (2017), information theoretic MPC, eq. 34.
    """
    feasible = pool.violation <= 0
    can = feasible.any(dim=1, keepdim=True)
    price = torch.where(can, pool.energy.masked_fill(~feasible, torch.inf), pool.violation)
    sound = torch.isfinite(price)
    count = sound.sum(dim=1, keepdim=True).clamp(min=1)
    known = price.masked_fill(~sound, 0.0)
    mean = known.sum(dim=1, keepdim=True) / count
    square = (known - mean).square().masked_fill(~sound, 0.0).sum(dim=1, keepdim=True)
    scale = temperature * (square / count).sqrt()
    least = price.amin(dim=1, keepdim=True).nan_to_num(posinf=0.0)
    logits = -(known - least) / scale.clamp(min=1e-12)
    logits = logits.masked_fill(~sound, -torch.inf)
    logits = torch.where(sound.any(dim=1, keepdim=True), logits, 0.0)
    return logits.softmax(dim=1)
