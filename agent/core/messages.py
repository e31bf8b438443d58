"""The nouns: every message that modules exchange, once per tick.

Axes: `B` agents in lock-step, `K` candidate plans, `H` horizon in ticks, `A` action,
`O` packed sensors, `Q` those of them that are no images, `S` sensors, `Z` latent, `G` goal,
`T` cost terms, `R` guardrails, `U` sub-goals, `N` recollected states, `E` ensemble members,
`M` draws of the world model's latent variable z, folded into `E` in a rollout, `F` futures that a
level above foresees. Energies are scalars; lower is better. What is not posted but answered,
`Rollout` and `Bill`, is in `agent.core.imagined`.

Source: LeCun (2022), "A Path Towards Autonomous Machine Intelligence", sec. 3.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import IntEnum

from torch import Tensor

from agent.core.considered import Fan, Rival
from agent.core.imagined import Bill as Bill
from agent.core.imagined import Rollout as Rollout
from agent.core.risk import Risk
from agent.core.spec import maybe, tensor
from agent.core.subgoals import Subgoals


class Mode(IntEnum):
    """How an action is chosen. Source: LeCun (2022) sec. 3.1.

    `CARRIED` is said of plans only: the last one went on, unexamined (`Directive.carry`).
    """

    CARRIED = 0
    REACTIVE = 1
    DELIBERATE = 2


class Ruling(IntEnum):
    """What the gate decided about a plan."""

    ALLOWED = 0
    REPAIRED = 1
    VETOED = 2


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked of the agent from outside: a goal in the quantity the task terms name.

    A goal that was shown rather than told, by an observation, is also given as the `latent` that
    perception makes of it; `goal` is then what readouts say of that latent.
    """

    goal: Tensor = tensor("B", "G")
    latent: Tensor | None = maybe("B", "Z")


@dataclass(frozen=True, slots=True)
class Observation:
    """What the world's sensors show. `values` is packed by the world's sensor layout."""

    values: Tensor = tensor("B", "O")
    valid: Tensor = tensor("B", "S", dtype="bool")
    time_s: Tensor = tensor("B", unit="s")
    first: Tensor = tensor("B", dtype="bool")


@dataclass(frozen=True, slots=True)
class Percept:
    """The perceived state: latent, its uncertainty, and the surprise of the last forecast.

    `surprise` is the squared latent error of the forecast over its own predicted spread;
    zero on the first tick, when nothing was forecast.
    """

    latent: Tensor = tensor("B", "Z")
    uncertainty: Tensor = tensor("B", low=0.0)
    surprise: Tensor = tensor("B", low=0.0)


@dataclass(frozen=True, slots=True)
class Recollection:
    """Past states nearest to the present one, with what they cost and how far away they are.

    An associative memory adds `retrieved`, the stored state that the present one calls to mind, and
    `mismatch`, the energy of the present among what is stored, low where that is familiar; and of
    every sensor the latent of the last moment in which it was valid, `seen`, and how many ticks ago
    that was, `unseen` (-1: never).
    """

    latents: Tensor = tensor("B", "N", "Z")
    energies: Tensor = tensor("B", "N")
    distances: Tensor = tensor("B", "N", low=0.0)
    known: Tensor = tensor("B", "N", dtype="bool")
    retrieved: Tensor | None = maybe("B", "Z")
    mismatch: Tensor | None = maybe("B")
    seen: Tensor | None = maybe("B", "S", "Z")
    unseen: Tensor | None = maybe("B", "S", dtype="int64")

    def rows(self, which: Tensor | slice) -> Recollection:
        """Return what some agents recollect."""
        parts: dict[str, Tensor | None] = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v[which] for k, v in parts.items() if v is not None})


@dataclass(frozen=True, slots=True)
class Appraisal:
    """The energy of now, by term, and the critic's anticipation of future intrinsic energy.

    `stage` is how many sub-goals are done, where a term has a sequence of them.
    """

    terms: Tensor = tensor("B", "T")
    intrinsic: Tensor = tensor("B")
    energy: Tensor = tensor("B")
    anticipation: Tensor = tensor("B")
    stage: Tensor | None = maybe("B", dtype="int64")


@dataclass(frozen=True, slots=True)
class Directive:
    """Executive control: goal, weights, attention, mode, horizon, budget and risk attitude.

    `latent` is the goal as a latent, if it was shown; `stage` how many places of a sequence are
    done; `past` what memory recollected; `subgoals` where a task of several stands: what terms may
    need to know besides the goal. `foreseen` is where, in the goal's quantity, the plan of the
    level above predicts to be after each of `H` ticks, in each of `F` equally likely futures.
    `carry` says who goes on with the last plan, if that is sound, without another look at it.
    It carries nothing about guardrails: the configurator has no handle on them.
    """

    goal: Tensor = tensor("B", "G")
    weights: Tensor = tensor("B", "T", low=0.0)
    attention: Tensor = tensor("B", "S", low=0.0)
    mode: Tensor = tensor("B", dtype="int64")
    horizon: int = 1
    budget_ms: float = float("inf")
    risk: Risk = Risk()
    latent: Tensor | None = maybe("B", "Z")
    stage: Tensor | None = maybe("B", dtype="int64")
    past: Recollection | None = None
    subgoals: Subgoals | None = None
    foreseen: Tensor | None = maybe("B", "F", "H", "G")
    carry: Tensor | None = maybe("B", dtype="bool")

    def rows(self, which: Tensor | slice) -> Directive:
        """Return the directive of some agents only."""
        past, subgoals, foreseen = self.past, self.subgoals, self.foreseen
        carry = self.carry
        return replace(
            self,
            goal=self.goal[which],
            weights=self.weights[which],
            attention=self.attention[which],
            mode=self.mode[which],
            latent=None if self.latent is None else self.latent[which],
            stage=None if self.stage is None else self.stage[which],
            past=None if past is None else past.rows(which),
            subgoals=None if subgoals is None else subgoals.rows(which),
            foreseen=None if foreseen is None else foreseen[which],
            carry=None if carry is None else carry[which],
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """Actions to take, the states the actor imagined, and the bill it expects to pay.

    `temptation` is the candidate of least energy regardless of guardrails, and
    `temptation_violation` what it would have violated them by (0: nothing was refused).
    `iterations` is how far thinking got and `complete` whether it got to its end. `reasons` say of
    each agent why there is no plan that may go out ("": there is one); empty if all have one.

    `above` is the plan of the level above that this one follows, in that level's latents, actions
    and steps; None where there is no level above.
    """

    actions: Tensor = tensor("B", "H", "A")
    latents: Tensor = tensor("B", "H", "Z")
    energy: Tensor = tensor("B")
    terms: Tensor = tensor("B", "T", "H")
    guardrails: Tensor = tensor("B", "R", "H")
    violation: Tensor = tensor("B", low=0.0)
    temptation: Tensor = tensor("B", "H", "A")
    temptation_violation: Tensor = tensor("B", low=0.0)
    mode: Tensor = tensor("B", dtype="int64")
    evaluations: int = 0
    elapsed_ms: float = 0.0
    complete: bool = True
    iterations: int = 0
    reasons: tuple[str, ...] = ()
    rival: Rival | None = None
    fan: Fan | None = None
    above: Plan | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's ruling per agent, and the guardrail that decided it (-1: none).

    `predicted` is the worst value of that guardrail over the plan, in its own unit, where
    values above 0 violate; `margin` the calibrated margin included in it. `ahead` is what the gate
    foresaw, of every guardrail and margin included, for the end of this tick under the command that
    goes out; infinite where it judged nothing.
    """

    ruling: Tensor = tensor("B", dtype="int64")
    guardrail: Tensor = tensor("B", dtype="int64")
    predicted: Tensor = tensor("B")
    margin: Tensor = tensor("B")
    ahead: Tensor = tensor("B", "R")
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """The command that goes out, in actuator units, always within limits and finite."""

    command: Tensor = tensor("B", "A")


@dataclass(frozen=True, slots=True)
class Forecast:
    """The predicted next percept and its spread, given the action that went out.

    `spread`: what the model does not know, over members. `z_spread`: what nobody can know from the
    present, over draws of the latent variable; 0 without one.
    """

    latent: Tensor = tensor("B", "Z")
    spread: Tensor = tensor("B", low=0.0)
    z_spread: Tensor = tensor("B", low=0.0)


Message = (
    Task
    | Observation
    | Percept
    | Recollection
    | Appraisal
    | Directive
    | Plan
    | Verdict
    | Action
    | Forecast
)
