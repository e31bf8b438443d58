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


def expect_branches(kind: type) -> None:
    """Raise InputError unless futures can be lived in worlds of this class.

    Ours have a `simulation` and `packed`, those of others `branches` and `branched`. What a camera
    would see of every candidate plan takes minutes a tick to draw.
    """
    if not getattr(kind, "branches", hasattr(kind, "packed")):
        raise InputError(
            f"oracle: expected a world whose futures can be simulated, came {kind.__name__}, with a"
            f" camera or without MuJoCo; set eval.oracle_episodes=0 and run.reference=false"
        )


class Oracle:
    """Imagines by simulating: true dynamics from the hidden state, encoded by agent perception.

    It serves the agents that live in `world`, each recognised by its present latent.
    """

    reads: ClassVar[tuple[type, ...]] = (Percept, Action)
    recalls: ClassVar[tuple[type, ...]] = ()
    posts: ClassVar[type] = Forecast
    members = 1

    def __init__(self, world: Any, perception: Perception) -> None:
        """Simulate from the states of `world`. Raises InputError as `expect_branches` does."""
        expect_branches(type(world))
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
        rows = np.repeat(self._rows(state), candidates)
        shown = self._futures(rows, actions.reshape(-1, horizon, size))
        latents = self._perception.encode(shown)
        shape = (1, batch, candidates, horizon, state.shape[-1])
        return Rollout(state, actions, latents.reshape(shape), {}, networks=1)

    @torch.no_grad()
    def tick(self, inbox: Inbox) -> Forecast:
        """Return the true next latent, without spread."""
        percept, action = inbox[Percept], inbox[Action]
        ahead = self.imagine(percept.latent, action.command[:, None, None]).latents[0, :, 0, 0]
        return Forecast(ahead, torch.full((len(ahead),), 1e-3), torch.zeros(len(ahead)))

    def _futures(self, rows: Any, actions: Tensor) -> Tensor:
        """Return what sensors would show [n H O] of the copies `rows` [n] under `actions` [n H A].

        A world whose sensors hold what physics does not, such as a charge, offers `foreseen`.
        """
        if hasattr(self._world, "branched"):
            found: Tensor = self._world.branched(rows, actions)
            return found
        simulation = self._world.simulation
        control = np.repeat(actions.double().numpy(), simulation.substeps, axis=1)
        _, trace = simulation.branch(simulation.state[rows], control)
        ticks = trace.reshape(*actions.shape[:2], -1, trace.shape[-1])
        if hasattr(self._world, "foreseen"):
            told: Tensor = self._world.foreseen(ticks, rows)
            return told
        packed: Tensor = self._world.packed(ticks.reshape(-1, *ticks.shape[2:]))
        return packed

    def _rows(self, state: Tensor) -> list[int]:
        """Return which copy each latent [B Z] is of."""
        if hasattr(self._world, "showing"):
            present = self._world.showing()
        else:
            present = self._world.packed(self._world.simulation.trace)
        rows: list[int] = (
            torch.cdist(state, self._perception.encode(present)).argmin(dim=1).tolist()
        )
        return rows
