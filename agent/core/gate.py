"""The gate: the last word on every action. It belongs to the runtime and fails closed.

Feasible plan → go. Else a repair that the model says is feasible: the smallest change of the plan,
the plan kept from the last tick, a braking manoeuvre (`agent.core.repair`). Else, where even
holding the fallback would break a guardrail, what breaks it less: a body that has strayed must be
able to come back. Else the declared fallback. Every other way things can go wrong (no plan, NaN,
wrong shape, late, broken seal) ends in the fallback too.

A gate knows a layout of commands, a fallback among them and an objective to imagine with, and
of the levels above only what `agent.core.overseer` says of their plans.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from agent.core.adaptive import AdaptiveMargins
from agent.core.errors import InputError
from agent.core.guardrails import Guardrails
from agent.core.mend import Body, margin_of, mend, worst_of
from agent.core.messages import Action, Percept, Plan, Ruling, Verdict
from agent.core.objective import GuardedObjective
from agent.core.origin import origin_of
from agent.core.overseer import OVERSEEN, Overseer
from agent.core.protocols import Above
from agent.core.spec import Layout
from agent.core.ungraded import ungraded
from agent.core.watch import Watch

OWN = (
    "guardrails", "_objective", "fallback", "_low", "_high", "_limits", "deadline_ms", "sealed",
    "_adaptive", "_origin", "_above",
)  # fmt: skip
"""What a gate holds from when it is built."""


class Gate:
    """Re-evaluates the sealed guardrails over whole plans and lets out only safe commands."""

    def __init__(
        self,
        guardrails: Guardrails,
        objective: GuardedObjective,
        actuators: Layout,
        fallback: Tensor,
        deadline_ms: float = float("inf"),
        origin: Watch | None = None,
        above: Sequence[tuple[Above, Guardrails, GuardedObjective]] = (),
    ) -> None:
        """Stand after the actor.

        `fallback` [A] in actuator units is what goes out when nothing else may; `deadline_ms`
        is the longest a tick may think before its plan counts as late. `origin` is the watch from
        when the agent was built (`origin_of`); without it, what is there now is taken for sound.
        `above` are the levels above, the nearest first: plans there must keep the guardrails, too.
        Raises InputError if the fallback is not finite or outside the actuator limits.
        """
        self._low, self._high = actuators.bounds()
        self._limits = self._low.numpy(), self._high.numpy()
        if fallback.shape != self._low.shape:
            raise InputError(
                f"gate.fallback: expected {len(self._low)} numbers ({actuators.describe()}),"
                f" came {len(fallback)}; give one per actuator"
            )
        inside = (fallback >= self._low) & (fallback <= self._high)
        if not bool(inside.all()):
            raise InputError(
                f"gate.fallback: expected commands within [{self._low.tolist()},"
                f" {self._high.tolist()}], came {fallback.tolist()}; choose a command the"
                f" actuators can follow"
            )
        self.guardrails, self._objective = guardrails, objective
        self.fallback, self.deadline_ms = fallback, deadline_ms
        self.sealed = guardrails.seal
        self._adaptive: AdaptiveMargins | None = None
        self._above = Overseer(above)
        self.reset()
        self._origin = origin or origin_of(Gate, guardrails, objective, fallback)
        self._watch = self._watched()

    def _watched(self) -> Watch:
        """Return a watch over what this gate holds, and over who answers for the levels above."""
        above = {self._above: OVERSEEN} if self._above else {}
        return Watch({self: OWN, **above}, beside=self._origin)

    def adapt(self, adaptive: AdaptiveMargins) -> None:
        """Let margins be widened by what is lived from the next episode on."""
        self._adaptive = adaptive
        self._watch = self._watched()

    def reset(self) -> None:
        """Forget the plan kept from the last tick, and what guardrails remember of the episode."""
        self._kept: Tensor | None = None
        self._state: Tensor | None = None
        self._above.reset()
        self.guardrails.begin()
        if self._adaptive is not None:
            self._adaptive.begin()
        self._trace, self._seen = self.guardrails.trace, False

    @ungraded
    def look(self, percept: Percept | None) -> None:
        """Let the guardrails remember this tick, once, before anybody plans in it.

        Plans are judged from what was perceived now, whatever is done to the message later. None
        is a tick in which nothing was perceived.
        """
        if not self._seen and self.guardrails.trace == self._trace:
            self.guardrails.witness(None if percept is None else percept.latent)
            self._trace, self._seen = self.guardrails.trace, True
            self._state = None if percept is None else _own(percept.latent)
            if self._state is not None:
                self._above.look(self._state)
            if self._adaptive is not None and percept is not None:
                self._adaptive.see(percept.latent)
                self._trace = self.guardrails.trace

    def sent(self, action: Action) -> None:
        """Take note of the command that goes out, for margins that adapt."""
        if self._adaptive is not None:
            self._adaptive.sent(action.command)

    @ungraded
    def rule(
        self, percept: Percept | None, plan: Plan | None, fault: str = ""
    ) -> tuple[Verdict, Action]:
        """Return the verdict and the command of this tick; never raises.

        `fault` names what already went wrong before the gate (a module failed, the plan is
        late); it vetoes. `percept` and `plan` may be None then.
        """
        batch = 1
        try:
            batch = 1 if percept is None else percept.latent.shape[0]
            self.look(percept)
            state, self._state, self._seen = self._state, None, False
            broken = self._broken()
            if broken:
                self.guardrails.breach()
            fault = fault or broken or ("no plan" if state is None or plan is None else "")
            if fault or state is None or plan is None:
                return self._veto(batch, fault)
            return self._judge(state, plan)
        except Exception as failure:  # noqa: BLE001 - whatever happens, no actuator stays live
            reason = " ".join(str(failure).split())
            return self._veto(batch, f"the gate failed: {type(failure).__name__}: {reason}")

    def _broken(self) -> str:
        """Say what is no longer as it was sealed: what judges plans, or who asks it; "": all is."""
        own = self.guardrails
        same = own is self._objective.guardrails and own.seal == self.sealed
        if not (same and own.trace == self._trace and own.verify()):
            return "the guardrails' seal is broken"
        if not self._above.verify():
            return "the guardrails' seal of a level above is broken"
        if self._origin.intact() and self._watch.intact():
            return ""
        return "the gate is not the one that was built and sealed"

    def _judge(self, state: Tensor, plan: Plan) -> tuple[Verdict, Action]:
        actions = _own(plan.actions)
        batch = state.shape[0]
        shape = (batch, actions.shape[1], len(self._low))
        if tuple(actions.shape) != shape or shape[1] < 1:
            return self._veto(batch, f"plan has shape {list(actions.shape)}, not {list(shape)}")
        if actions.dtype is not self._low.dtype:
            return self._veto(batch, f"plan has {actions.dtype}, not {self._low.dtype}")
        actions = self._continued(actions)
        reasons = plan.reasons or self._above.refusals(plan)
        if reasons:
            return self._mend(state, actions, reasons)
        (low, high), commands = self._limits, actions.numpy()
        within = np.clip(commands, low, high) == commands
        if not within.all() or not np.isfinite(state.numpy()).all():
            return self._mend(state, actions)
        values = self._values(state, actions)
        worst, which = worst_of(values)
        if not all(w <= 0.0 for w in worst.tolist()):
            return self._mend(state, actions, values=values)
        self._kept = actions
        margins = self._margin(which, values)
        verdict = Verdict(
            self._none(batch, 0), self._none(batch, -1), worst, margins, values[:, :, 0]
        )
        return verdict, Action(actions[:, 0].clone())

    def _continued(self, actions: Tensor) -> Tensor:
        """Return plans as long as margins were calibrated for: after their end comes the fallback.

        What comes of a short plan must be seen, too.
        """
        lacking = self.guardrails.calibrated - actions.shape[1]
        if lacking <= 0:
            return actions
        rest = self.fallback.expand(len(actions), lacking, -1)
        return torch.cat([actions, rest], dim=1)

    def _mend(
        self,
        state: Tensor,
        actions: Tensor,
        refusals: tuple[str, ...] = (),
        values: Tensor | None = None,
    ) -> tuple[Verdict, Action]:
        """Judge agent by agent where at least one plan may not go out as it is."""
        body = Body(self._low, self._high, self.fallback)
        verdict, self._kept = mend(
            state, actions, refusals, values, self._kept, body, self._objective
        )
        return verdict, Action(self._kept[:, 0].clone())

    @staticmethod
    def _none(batch: int, value: int) -> Tensor:
        return torch.from_numpy(np.array([value] * batch))

    def _values(self, state: Tensor, actions: Tensor) -> Tensor:
        return self._objective.guard(state, actions[:, None])[:, 0]

    def _margin(self, which: Tensor, values: Tensor) -> Tensor:
        return margin_of(self.guardrails, which, values)

    def _veto(self, batch: int, reason: str) -> tuple[Verdict, Action]:
        self._kept = None
        inf = torch.full((batch,), torch.inf)
        ruling = torch.full((batch,), int(Ruling.VETOED))
        blamed = torch.full((batch,), -1)
        ahead = inf[:, None].expand(batch, len(self.guardrails))
        verdict = Verdict(ruling, blamed, inf, torch.zeros(batch), ahead, (reason,) * batch)
        return verdict, Action(self.fallback.expand(batch, -1).clone())


def _own(given: Tensor) -> Tensor:
    """Return a copy that nobody else holds: what was judged is what goes out.

    Raises TypeError for anything but a plain tensor, which might answer otherwise when asked again.
    """
    if type(given) is not Tensor:
        raise TypeError(f"expected a plain tensor, came {type(given).__name__}")
    return given.detach().clone()
