"""The energy view: how badly a future fits a present, for a world model with or without z.

Source: LeCun (2022) sec. 4.1-4.4: F(x, y) = min over z of E(x, y, z), or its soft minimum.
"""

from __future__ import annotations

import torch
from torch import Tensor

from modules.world_model.jepa import JEPA


@torch.no_grad()
def energies(model: JEPA, latents: Tensor, actions: Tensor, temperature: float = 0.0) -> Tensor:
    """Return the energy [n L] of each tick of futures, given the first state and `actions` [n L A].

    `latents` [n L+1 Z] are the codes of x and of y_1..y_L. With e(z) the mean squared error of a
    prediction, over networks and dimensions, a tick costs min_z e(z), or at a temperature T above 0

        -T log sum_z p(z) exp(-e(z) / T)

    with the prior p over the values that the latent variable sweeps. The trajectory goes on from
    the best z. Without a latent variable it is e. Rows are independent.
    """
    variable, networks = model.latent_variable, model.ensemble
    states, found = latents[:, 0].expand(networks, -1, -1), []
    for h, move in enumerate(actions.unbind(dim=1)):
        moves, after = move.expand(networks, -1, -1), latents[:, h + 1]
        if variable is None:
            states = model.step(states, moves)
            found.append(_error(states, after))
            continue
        values, nats = variable.sweep(states.mean(dim=0), model.scaled(move))
        ahead = torch.stack([model.step(states, moves, z.expand(networks, -1, -1)) for z in values])
        errors = torch.stack([_error(a, after) for a in ahead])
        if temperature > 0:
            scores = -errors / temperature - nats
            found.append(temperature * (torch.logsumexp(-nats, 0) - torch.logsumexp(scores, 0)))
            best = scores.argmax(dim=0)
        else:
            found.append(errors.amin(dim=0))
            best = errors.argmin(dim=0)
        states = ahead[best, :, torch.arange(len(best))].movedim(1, 0)
    return torch.stack(found, dim=1)


def _error(ahead: Tensor, after: Tensor) -> Tensor:
    """Return the mean squared error [n] of predictions [E n Z], over networks and dimensions."""
    return (ahead - after).square().mean(dim=(0, 2))
