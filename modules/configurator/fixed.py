"""A configurator that gives every tick the same directive, and the goal of the task."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from agent.core.errors import InputError, nearest
from agent.core.messages import Directive, Mode, Task
from agent.core.protocols import Inbox, Ports, Site
from agent.core.risk import Risk
from agent.core.settings import Settings


class FixedConfigurator:
    """Sets goal, weights, mode, horizon, budget and risk from the config, unchanged by events.

    Source: LeCun (2022) sec. 3 and 6, "configurator".
    """

    class Config(Settings):
        """`mode` 1 reacts, 2 deliberates; `budget_ms` 0 means no limit; `weights` scale terms.

        `risk_alpha` is the share of worst futures for `cvar`, the temperature for `free_energy`.
        """

        mode: Literal[1, 2] = 2
        horizon: int = 12
        budget_ms: float = 0.0
        risk: Literal["mean", "worst", "cvar", "free_energy"] = "mean"
        risk_alpha: float = 0.5
        weights: dict[str, float] = {}

    reads: ClassVar[tuple[type, ...]] = (Task,)
    recalls: ClassVar[tuple[type, ...]] = ()
    posts = Directive

    def __init__(self, config: Config, site: Site) -> None:
        """Prepare the directive.

        Raises InputError for a weight on an unknown term, or a `risk_alpha` out of range.
        """
        if config.horizon < 1:
            raise InputError(
                f"configurator.horizon: expected at least 1 tick, came {config.horizon}"
            )
        for name, weight in config.weights.items():
            if name not in site.terms:
                raise InputError(
                    f"configurator.weights: unknown term '{name}'; {nearest(name, site.terms)}"
                )
            if weight < 0:
                raise InputError(
                    f"configurator.weights.{name}: expected 0 or more, came {weight};"
                    f" energies are lowered, so a negative weight would seek the cost"
                )
        self._site, self.config = site, config
        self._weights = torch.tensor([config.weights.get(t, 1.0) for t in site.terms])
        self._risk = Risk(config.risk, config.risk_alpha)

    def ports(self) -> Ports:
        """Return the sizes of goal, terms and sensors."""
        site = self._site
        return Ports({"G": site.goal.size, "T": len(site.terms), "S": len(site.sensors.channels)})

    def reset(self, batch: int) -> None:
        """Nothing to forget."""

    def tick(self, inbox: Inbox) -> Directive:
        """Return the directive for this tick."""
        task = inbox[Task]
        goal = task.goal
        b = goal.shape[0]
        return Directive(
            goal=goal,
            weights=self._weights.expand(b, -1),
            attention=torch.ones(b, len(self._site.sensors.channels)),
            mode=torch.full((b,), int(Mode(self.config.mode))),
            horizon=self.config.horizon,
            budget_ms=self.config.budget_ms or float("inf"),
            risk=self._risk,
            latent=task.latent,
        )
