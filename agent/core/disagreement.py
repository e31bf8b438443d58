"""What a world model does not know: how far its networks disagree about an imagined future."""

from __future__ import annotations

import torch
from torch import Tensor

from agent.core.errors import InputError
from agent.core.messages import Rollout


def disagreement(rollout: Rollout) -> Tensor:
    """Return the networks' disagreement at every imagined step, [B K H], >= 0; differentiable.

    The deviation over networks of their mean over draws of z, rms over the dimensions of the
    latent, times the rollout's `spread_scale`: the error to be expected, per dimension, in the
    units in which a training with `vicreg` gives latents a deviation of about 1. What draws of z
    disagree about is left out: nobody can know that. Two networks may still take a draw for
    different codes where the prior of one is near a boundary; that counts as disagreement.
    0 where there is one network: there is nothing to disagree about.

    Raises InputError if the rollout does not say how many networks it comes from.
    Source: Depeweg et al. (2018), law of total variance; Chua et al. (2018), PETS.
    """
    futures, count = rollout.latents, rollout.networks
    if count < 1 or len(futures) % count:
        raise InputError(
            f"disagreement: expected futures of a whole number of networks, came {len(futures)} of"
            f" {count}; use a world model that says so (Rollout.networks), such as jepa"
        )
    if count == 1:
        return futures.new_zeros(rollout.actions.shape[:-1])
    each = futures.reshape(count, -1, *futures.shape[1:]).mean(dim=1)
    apart = torch.linalg.vector_norm(each - each.mean(dim=0), dim=(0, -1))
    found: Tensor = apart * rollout.spread_scale / ((count - 1) * futures.shape[-1]) ** 0.5
    return found
