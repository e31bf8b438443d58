"""What a training objective of the world model sees, and what it is.

Source: LeCun (2022) sec. 4.5: an energy of two codes and a prediction, and what keeps it from being
low everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Views:
    """One minibatch of n windows of L steps, in the code of perception and as predicted.

    `latents` [n L+1 Z] are codes of perception; `targets` [n L+1 Z] are what a prediction should
    hit: the same, without gradient, or those of a slow copy (`Learner.Config.target`), in each case
    of the moment's second view if experience offers one.
    `predicted` [n L Z] is several steps from `latents[:, 0]`: `predicted[:, h]` is to meet
    `targets[:, h + 1]`. Members of an ensemble are stacked along n. `commands` [n L A] are in units
    of half the actuators' range around its centre. `seed` belongs to this step alone: whoever draws
    numbers draws them from it, so that a resumed run continues bit for bit. At a level above the
    lowest, `below` [n L+1 Zb] is what the latents are codes of.
    """

    latents: Tensor
    targets: Tensor
    predicted: Tensor
    commands: Tensor
    seed: int = 0
    below: Tensor | None = None


class Objective(Protocol):
    """A summand of the training loss, built as `Class(config, site)`; lower is better.

    One with weights of its own is an `nn.Module`; they are trained along. `predicts` says whether
    it alone makes the predictor follow its targets; at least one in a list must.
    """

    predicts: ClassVar[bool]
    config: Any
    """Its `Config`, whose `weight` (> 0) the learner multiplies the penalty with."""

    def __call__(self, views: Views) -> tuple[Tensor, dict[str, float]]:
        """Return the penalty, a scalar before `weight`, and figures for the log by name."""
        ...
