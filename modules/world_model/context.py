"""One changed world, as least squares that go on: what it does to commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Context:
    """What one changed world does to commands: `weight` [N A], with N = Z + A + 1.

    `information` [NA NA] and `evidence` [NA] are the sums of its least squares, whose solution
    `weight` is; `lessons` is the number of transitions they hold.
    Source: Åström, Wittenmark (1995), "Adaptive Control", ch. 2, recursive least squares.
    """

    weight: Tensor
    information: Tensor
    evidence: Tensor
    lessons: int = 0

    @classmethod
    def around(cls, weight: Tensor, information: Tensor) -> Self:
        """Return a context that believes in `weight` as much as `information` [NA NA] says."""
        return cls(weight, information, information @ weight.flatten().double())

    def after(self, design: Tensor, seen: Tensor, share: float, lessons: int) -> Self | None:
        """Return the context after `lessons` more, `seen` [n] = `design` [n NA] times weight.

        They count `share` each. None if the solution is not finite: then nothing was learned.
        """
        information = self.information + share * design.T @ design
        evidence = self.evidence + share * design.T @ seen
        solved, fault = torch.linalg.solve_ex(information, evidence)
        weight = solved.float().view_as(self.weight)
        if bool(fault) or not bool(weight.isfinite().all()):
            return None
        return type(self)(weight, information, evidence, self.lessons + lessons)
