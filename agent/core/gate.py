"""The gate: the last word on every action. It belongs to the runtime and fails closed.

Feasible plan → go. Else the plan kept from the last tick, if it still is feasible. Else, where
even holding the fallback would break a guardrail, the plan that breaks it less: a body that has
strayed must be able to come back. Else the declared fallback. Every other way things can go wrong
(no plan, NaN, wrong shape, late, broken seal) ends in the fallback too.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from agent.core.errors import InputError
from agent.core.guardrails import Guardrails, violation
from agent.core.messages import Action, Percept, Plan, Ruling, Verdict
from agent.core.objective import GuardedObjective
from agent.core.spec import Layout


class Gate:
    """Re-evaluates the sealed guardrails over whole plans and lets out only safe commands."""

    def __init__(
        self,
        guardrails: Guardrails,
        objective: GuardedObjective,
        actuators: Layout,
        fallback: Tensor,
        deadline_ms: float = float("inf"),
    ) -> None:
        """Stand after the actor.

        `fallback` [A] in actuator units is what goes out when nothing else may; `deadline_ms`
        is the longest a tick may think before its plan counts as late.
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
        self._kept: Tensor | None = None

    def reset(self) -> None:
        """Forget the plan kept from the last tick."""
        self._kept = None

    @torch.no_grad()
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
            if not fault and not self._intact():
                fault = "the guardrails' seal is broken"
            if not fault and (percept is None or plan is None):
                fault = "no plan"
            if fault or percept is None or plan is None:
                return self._veto(batch, fault)
            return self._judge(percept, plan)
        except Exception as failure:  # noqa: BLE001 - whatever happens, no actuator stays live
            reason = " ".join(str(failure).split())
            return self._veto(batch, f"the gate failed: {type(failure).__name__}: {reason}")

    def _intact(self) -> bool:
        """Say whether plans are still judged by the guardrails that were sealed."""
        own = self.guardrails
        return own is self._objective.guardrails and own.seal == self.sealed and own.verify()

    def _judge(self, percept: Percept, plan: Plan) -> tuple[Verdict, Action]:
        state, actions = _own(percept.latent), _own(plan.actions)
        batch = state.shape[0]
        shape = (batch, actions.shape[1], len(self._low))
        if tuple(actions.shape) != shape or shape[1] < 1:
            return self._veto(batch, f"plan has shape {list(actions.shape)}, not {list(shape)}")
        if actions.dtype is not self._low.dtype:
            return self._veto(batch, f"plan has {actions.dtype}, not {self._low.dtype}")
        if plan.reasons:
            return self._mend(state, actions, plan.reasons)
        low, high = self._limits
        within = (actions.numpy() >= low) & (actions.numpy() <= high)
        if not within.all() or not np.isfinite(state.numpy()).all():
            return self._mend(state, actions)
        values = self._values(state, actions)
        worst, which = _worst(values)
        if not float(worst.max()) <= 0.0:
            return self._mend(state, actions)
        self._kept = actions
        margins = self._margin(which, values)
        verdict = Verdict(self._none(batch, 0), self._none(batch, -1), worst, margins)
        return verdict, Action(actions[:, 0].clone())

    def _mend(
        self, state: Tensor, actions: Tensor, refusals: tuple[str, ...] = ()
    ) -> tuple[Verdict, Action]:
        """Judge row by row where at least one plan may not go out as it is.

        `refusals` are the actor's own reasons against its plan, one for each agent.
        """
        batch = state.shape[0]
        refusals = refusals or ("",) * batch
        sane = torch.isfinite(actions).all(dim=2).all(dim=1) & torch.isfinite(state).all(dim=1)
        sane &= torch.tensor([not r for r in refusals])
        clamped = torch.minimum(torch.maximum(actions, self._low), self._high)
        clamped = torch.where(sane[:, None, None], clamped, self.fallback)
        state = torch.where(sane[:, None], state, torch.zeros_like(state))
        bent = (clamped != actions).any(dim=2).any(dim=1)

        values = self._values(state, clamped)
        worst, which = _worst(values)
        worst = torch.where(sane, worst, torch.inf)
        allowed = sane & (worst <= 0.0)
        chosen, repaired = clamped, allowed & bent
        kept_ok = torch.zeros_like(allowed)
        if self._kept is not None and self._kept.shape == clamped.shape and not allowed.all():
            backup = torch.cat([self._kept[:, 1:], self.fallback.expand(batch, 1, -1)], dim=1)
            backup_worst, _ = _worst(self._values(state, backup))
            kept_ok = sane & ~allowed & (backup_worst <= 0.0)
            chosen = torch.where(kept_ok[:, None, None], backup, chosen)
            repaired = repaired | kept_ok
        lesser = sane & ~allowed & ~kept_ok
        if lesser.any():
            held = self._values(state, self.fallback.expand_as(clamped))
            lesser = lesser & (violation(values) < violation(held))
            repaired = repaired | lesser
        vetoed = ~(allowed | kept_ok | lesser)
        chosen = torch.where(vetoed[:, None, None], self.fallback, chosen)
        self._kept = chosen

        ruling = self._none(batch, int(Ruling.ALLOWED))
        ruling[repaired] = int(Ruling.REPAIRED)
        ruling[vetoed] = int(Ruling.VETOED)
        blamed = torch.where(sane & (worst > 0.0), which, torch.full_like(which, -1))
        margins = self._margin(which, values)
        reasons = self._reasons(ruling, blamed, sane, bent, lesser, refusals)
        verdict = Verdict(ruling, blamed, worst, margins, reasons)
        return verdict, Action(chosen[:, 0].clone())

    @staticmethod
    def _none(batch: int, value: int) -> Tensor:
        return torch.full((batch,), value)

    def _values(self, state: Tensor, actions: Tensor) -> Tensor:
        return self._objective.guard(state, actions[:, None])[:, 0]

    def _margin(self, which: Tensor, values: Tensor) -> Tensor:
        if not len(self.guardrails):
            return torch.zeros(len(which))
        step = values.amax(dim=1).argmax(dim=1)
        return self.guardrails.margins(values.shape[-1])[which, step]

    def _reasons(
        self,
        ruling: Tensor,
        blamed: Tensor,
        sane: Tensor,
        bent: Tensor,
        lesser: Tensor,
        refusals: tuple[str, ...],
    ) -> tuple[str, ...]:
        if not bool(ruling.any()):
            return ()
        reasons = []
        columns = (c.tolist() for c in (ruling, blamed, sane, bent, lesser))
        for r, g, ok, out, less, refused in zip(*columns, refusals, strict=True):
            if r == Ruling.ALLOWED:
                reasons.append("")
            elif not ok:
                reasons.append(f"{refused or 'plan or percept not finite'}; fallback")
            elif g >= 0:
                mended = "less than the fallback would" if less else "kept plan"
                done = mended if r == Ruling.REPAIRED else "fallback"
                reasons.append(f"{self.guardrails.names[g]}; {done}")
            else:
                reasons.append("outside actuator limits; clamped" if out else "")
        return tuple(reasons)

    def _veto(self, batch: int, reason: str) -> tuple[Verdict, Action]:
        self._kept = None
        inf = torch.full((batch,), torch.inf)
        ruling = torch.full((batch,), int(Ruling.VETOED))
        blamed = torch.full((batch,), -1)
        verdict = Verdict(ruling, blamed, inf, torch.zeros(batch), (reason,) * batch)
        return verdict, Action(self.fallback.expand(batch, -1).clone())


def _own(given: Tensor) -> Tensor:
    """Return a copy that nobody else holds: what was judged is what goes out.

    Raises TypeError for anything but a plain tensor, which might answer otherwise when asked again.
    """
    if type(given) is not Tensor:
        raise TypeError(f"expected a plain tensor, came {type(given).__name__}")
    return given.detach().clone()


def _worst(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the worst value over guardrails and steps [B], and whose it is [B]."""
    if values.shape[1] == 0:
        none = values.new_full((values.shape[0],), -torch.inf)
        return none, torch.full_like(none, -1, dtype=torch.int64)
    per_guardrail = values.amax(dim=2)
    worst, which = per_guardrail.max(dim=1)
    return worst, which
