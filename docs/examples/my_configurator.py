from dataclasses import replace

import torch

from agent.core.messages import Percept
from modules.configurator.fixed import FixedConfigurator


class Surprised(FixedConfigurator):
    """Deliberates for a tick when the last forecast missed; reacts otherwise."""

    recalls = (Percept,)

    def tick(self, inbox):
        asked, last = super().tick(inbox), inbox.last(Percept)
        if last is None:
            return asked
        return replace(asked, mode=torch.where(last.surprise > 0.5, 2, 1))
