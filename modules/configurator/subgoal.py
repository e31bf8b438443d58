"""A sub-goal as a config tells it: what to want, what counts meanwhile, and when it is done.

Source: LeCun (2022) sec. 3 (the configurator modulates the other modules for the task at hand) and
4.6 (sub-goals of a plan as objectives); options with a termination condition: Sutton, Precup, Singh
(1999).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from agent.core.settings import Settings

WORDS = ("told", "start")
"""What a place may be besides numbers and readouts: that of the task, that of the first tick."""


class Offset(Settings):
    """A place beside another: `of` is that one, `plus` how far from it, number by number."""

    of: str | list[float | str]
    plus: list[float]


Place = str | list[float | str] | Offset
"""A value of a readout in its unit: numbers or words, or one word for all numbers.

A word is `told`, `start`, or a readout: what that is now, as the percept has it, tick by tick. A
readout of one number is that number; one of as many as there are gives each its own.
"""


class Completion(Settings):
    """When a sub-goal is done, by what readouts say of the percept for `ticks` ticks in a row.

    The readout `quantity` is `within` so much of `near`, by default what the sub-goal asks of it;
    or every one of its numbers is at least `above`, at most `below`, or both.
    """

    quantity: str
    within: float | None = Field(default=None, gt=0)
    near: Place | None = None
    above: float | None = None
    below: float | None = None
    ticks: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _one_kind(self) -> Completion:
        compared = self.above is not None or self.below is not None
        if compared == (self.within is not None) or (compared and self.near is not None):
            raise ValueError("expected either `within` (of `near`), or `above`, `below` or both")
        return self


class SubGoal(Settings):
    """One sub-goal: what it wants, what it comes `after`, when it is `done`, and what it is worth.

    `goal` names readouts and the places they should be at. `after` are those done before;
    `instead` names one that this stands in for, on a route of its own, and `cost` is what choosing
    it costs. It fails after `timeout` ticks or `vetoes` in a row by the gate (0: never), and is
    tried again `retries` times.

    While it is at hand, `weights` scale cost terms (those not named keep the configurator's) and
    `attention` sensors, by name; `mode`, `horizon` and `budget_ms` replace the configurator's.
    """

    goal: dict[str, Place] = {}
    done: Completion
    after: list[str] = []
    instead: str | None = None
    cost: float = Field(default=1.0, ge=0)
    timeout: int = Field(default=0, ge=0)
    vetoes: int = Field(default=0, ge=0)
    retries: int = Field(default=0, ge=0)
    weights: dict[str, float] = {}
    attention: dict[str, float] = {}
    mode: Literal[1, 2] | None = None
    horizon: int | None = Field(default=None, ge=1)
    budget_ms: float | None = Field(default=None, ge=0)
