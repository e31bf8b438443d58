"""Levels trained together: what is hard to foresee from above changes what is perceived below.

Source: LeCun (2022) sec. 4.7: a hierarchical JEPA is trained by the same criteria at all its levels
at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from agent.core.settings import Settings
from modules.world_model.learn import Learner, schedule
from modules.world_model.lessons import Experience


class Joint(nn.Module):
    """Takes gradient steps on the sum of what the learners of all levels minimise.

    Those above the lowest learn from latents and macro-actions as they are made now, of every tick
    of their windows: gradients flow through pooling and abstraction into all levels below, and
    into perception. Learners bring the heads of their objectives along, and go on counting steps
    where they stopped. Resumed from `state_dict` and `optimiser`, it continues bit for bit.
    """

    class Config(Settings):
        """So many `steps` at the peak learning `rate`, and the `weight` of each level above.

        That of the lowest is 1. The rate rises and falls as a learner's; all else, from minibatches
        to objectives, is each learner's own, the largest gradient that of the lowest.
        """

        steps: int = Field(default=4000, ge=1)
        rate: float = Field(default=5e-4, gt=0)
        weight: float = Field(default=1.0, gt=0)

    def __init__(self, config: Config, lowest: Learner, above: Sequence[Learner]) -> None:
        """Prepare to train with the learners of the `lowest` level and of all `above`, in order."""
        super().__init__()
        self.config, self.lowest, self.above = config, lowest, nn.ModuleList(above)
        self._learners = (lowest, *above)
        trained = [p for p in self.parameters() if p.requires_grad]
        self.optimiser = torch.optim.Adam(trained, lr=config.rate, fused=True)

    def step(self, index: int, experience: Sequence[Experience]) -> dict[str, float]:
        """Take gradient step `index`; return every level's figures, those above by their name.

        Of the lowest level, `experience` are windows as it always sees them; of every other, those
        that `lifted` takes.
        """
        loss, figures = torch.zeros(()), dict[str, float]()
        for level, (learner, seen) in enumerate(zip(self._learners, experience, strict=True)):
            count = learner.config.steps + index
            values, commands, other = learner.minibatch(count, seen)
            if level:
                values, commands = self.lifted(level, values, commands)
                other = None
            part, found = learner.loss(count, values, commands, other)
            loss = loss + (self.config.weight if level else 1.0) * part
            prefix = f"level{level + 1}." if level else ""
            figures |= {prefix + name: value for name, value in found.items()}
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.rate * schedule(index, self.config.steps)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters(), self.lowest.config.clip)
        self.optimiser.step()
        for learner in self._learners:
            learner.follow()
        return figures | {"loss": float(loss.detach())}

    def lifted(self, level: int, values: Tensor, commands: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the learner of a `level` (1 is the nearest above) takes; differentiable.

        Of sensors [n C+T+1 O] at the C ticks before a window (`context`) and its own, and commands
        [n T A]: sensors at the ends of its steps and behind them the pooled latent below,
        [n L+1 O+Zb], and what is done below in each, [n L stride Ab].
        """
        levels: list[Any] = [learner.model for learner in self._learners[1 : level + 1]]
        perception: Any = self.lowest.perception
        latents, top = perception.encode(values), levels[-1]
        for below in levels[:-1]:
            latents = below.abstract(below.pooled(latents))
            commands = below.compress(_grouped(commands, below.stride))
        ends = slice(context(levels), None, top.ticks)
        seen = torch.cat((values[:, ends], top.pooled(latents)[:, ends]), dim=-1)
        return seen, _grouped(commands, top.stride)


def _grouped(actions: Tensor, size: int) -> Tensor:
    """Return actions [n T A] by so many at a time, [n T/size size A]."""
    return actions.reshape(len(actions), -1, size, actions.shape[-1])


def context(levels: Sequence[Any]) -> int:
    """Return of how many ticks before a window the last of `levels` pools what was seen."""
    return sum(level.pool - 1 for level in levels)


__all__ = ["Joint", "context"]
