"""An actor that does one thing wrong after another, to be kept in a process of its own."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from typing import Any

import torch

from agent.core.protocols import Inbox, Site
from agent.core.settings import Settings
from modules.actor.still import Still


class Wayward(Still):
    """Rests, but for what `deeds` name tick by tick."""

    class Config(Settings):
        """What to do at which tick; nothing after the last. `built` false: it cannot be built."""

        deeds: tuple[str, ...] = ()
        built: bool = True

    def __init__(self, config: Config, site: Site) -> None:
        """Remember the deeds."""
        super().__init__(config, site)  # type: ignore[arg-type]
        if not config.built:
            raise RuntimeError("nobody home")
        self._deeds = iter(config.deeds)

    def tick(self, inbox: Inbox) -> Any:
        """Return a plan, or not."""
        plan = super().tick(inbox)
        return getattr(self, next(self._deeds, "rest"))(plan)

    def rest(self, plan: Any) -> Any:
        """Do nothing wrong."""
        return plan

    def fail(self, plan: Any) -> Any:
        """Raise."""
        raise ValueError("not today")

    def nothing(self, plan: Any) -> Any:
        """Post nothing."""
        return None

    def text(self, plan: Any) -> Any:
        """Post a plan whose reasons are numbers."""
        return replace(plan, reasons=(3,))

    def short(self, plan: Any) -> Any:
        """Post a plan without commands."""
        return replace(plan, actions=plan.actions[..., :0])

    def chat(self, plan: Any) -> Any:
        """Print, which must not get between the messages."""
        print("x" * 4096, flush=True)
        return plan

    def dawdle(self, plan: Any) -> Any:
        """Come late."""
        time.sleep(1.0)
        return plan

    def hang(self, plan: Any) -> Any:
        """Never come back."""
        while True:
            pass

    def meddle(self, plan: Any) -> Any:
        """Take the limits off every guardrail and the gate off its hinges; plan to crash."""
        rails: Any = self._objective.guardrails  # type: ignore[attr-defined]
        for term in rails._terms:
            term.limit = torch.tensor(99.0)
        rails.verify = lambda: True
        return replace(plan, actions=plan.actions + 99.0, violation=plan.violation * 0.0)

    def garble(self, plan: Any) -> Any:
        """Write what is no message to the runtime."""
        os.write(int(sys.argv[1]), b"\xff" * 64)
        return plan

    def die(self, plan: Any) -> Any:
        """End the process."""
        os._exit(7)
