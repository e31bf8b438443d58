"""The true simulator behind the world-model face: the reference column, never part of an agent.

Only this file lets a planner see the simulator. It answers "how good could this planner be if its
world model were perfect?", with everything else (perception, readouts, cost, search) unchanged.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from agent.core.errors import InputError
from agent.core.messages import Action, Forecast, Percept, Rollout
from agent.core.protocols import Inbox, Perception, Ports


class Oracle:
    """Imagines by simulating: true dynamics from the hidden state, encoded by agent perception.

    It serves the agents that live in `world`, each recognised by its present latent.
    """

    reads: ClassVar[tuple[type, ...]] = (Percept, Action)
    recalls: ClassVar[tuple[type, ...]] = ()
    posts: ClassVar[type] = Forecast
    members = 1

    def __init__(self, world: Any, perception: Perception) -> None:
        """Simulate from the states of `world`, a world with a `simulation` and `packed`.

        Raises InputError if it has no `packed`: what a camera would see of every candidate plan
        takes minutes a tick to draw.
        """
        if not hasattr(world, "packed"):
            raise InputError(
                f"oracle: expected a world whose sensors can be told from physics, came"
                f" {type(world).__name__} with a camera; set eval.oracle_episodes=0 and"
                f" run.reference=false"
            )
        self._world, self._perception = world, perception

    def ports(self) -> Ports:
        """Insist on nothing of its own."""
        return Ports()

    def reset(self, batch: int) -> None:
        """Nothing to forget."""

    @torch.no_grad()
    def imagine(self, state: Tensor, actions: Tensor, latent: Tensor | None = None) -> Rollout:
        """Return the true futures of `actions` [B K H A] as encoded latents [1 B K H Z]."""
        batch, candidates, horizon, size = actions.shape
        simulation = self._world.simulation
        rows = self._rows(state)
        start = np.repeat(simulation.state[rows], candidates, axis=0)
        control = actions.reshape(-1, horizon, size).double().numpy()
        control = np.repeat(control, simulation.substeps, axis=1)
        _, trace = simulation.branch(start, control)
        ticks = trace.reshape(-1, simulation.substeps, trace.shape[-1])
        latents = self._perception.encode(self._world.packed(ticks))
        shape = (1, batch, candidates, horizon, state.shape[-1])
        return Rollout(state, actions, latents.reshape(shape), {}, networks=1)

    @torch.no_grad()
    def tick(self, inbox: Inbox) -> Forecast:
        """Return the true next latent, without spread."""
        percept, action = inbox[Percept], inbox[Action]
        ahead = self.imagine(percept.latent, action.command[:, None, None]).latents[0, :, 0, 0]
        return Forecast(ahead, torch.full((len(ahead),), 1e-3), torch.zeros(len(ahead)))

    def _rows(self, state: Tensor) -> list[int]:
        now = self._perception.encode(self._world.packed(self._world.simulation.trace))
        rows: list[int] = torch.cdist(state, now).argmin(dim=1).tolist()
        return rows
