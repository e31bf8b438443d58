"""Guardrails, compiled once and sealed: they can be evaluated and verified, not changed.

The seal is a SHA-256 over the guardrails' code and parameters, the margins, and the code and
weights of the readouts they look through. `verify` recomputes what can change in a running
process, every tick.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from agent.core.messages import Rollout
from agent.core.protocols import Guardrail, Readouts


class Guardrails:
    """The run's guardrails with their calibrated margins, under one seal."""

    def __init__(
        self, terms: Sequence[Guardrail], readouts: Readouts, margins: Tensor | None = None
    ) -> None:
        """Compile and seal `terms`; `margins` [R H] in each guardrail's unit (None: zero).

        `readouts` must be this object's own copy: nothing else may hold it.
        """
        self._terms = tuple(terms)
        self._readouts = readouts
        self.names = tuple(t.name for t in terms)
        self._margins = (
            torch.zeros(len(terms), 1) if margins is None else margins.detach().clone().float()
        )
        code = [type(readouts).read, *(type(t).value for t in terms)]
        source = "".join(map(_source, code)) + repr([_parameters(t) for t in terms])
        self._code = tuple((owner, name, fn.__code__) for owner, name, fn in self._functions())
        self._base = hashlib.sha256(source.encode())
        self._cells = _cells(readouts)
        self._views = [(t, t.data_ptr(), t.detach().numpy()) for *_, t in self._cells]
        self._views.append((self._margins, self._margins.data_ptr(), self._margins.numpy()))
        self._given = repr([_parameters(t) for t in terms])
        self.seal = self._digest()

    def __len__(self) -> int:
        """Return how many guardrails there are."""
        return len(self._terms)

    @property
    def calibrated(self) -> int:
        """Number of steps that margins were calibrated for."""
        return int(self._margins.shape[1])

    def margins(self, horizon: int) -> Tensor:
        """Return the margins of steps 1..horizon, [R H]; the last calibrated one goes on."""
        have = self._margins.shape[1]
        if have >= horizon:
            return self._margins[:, :horizon].clone()
        last = self._margins[:, -1:].expand(-1, horizon - have)
        return torch.cat([self._margins, last], dim=1)

    def read(self, rollout: Rollout) -> dict[str, Tensor]:
        """Return the quantities of a rollout through the sealed readouts, [E B K H n]."""
        return self._readouts.read(rollout.latents)

    def evaluate(self, rollout: Rollout) -> Tensor:
        """Return guardrail values plus margin, worst over members, [B K R H]; > 0 violates.

        Non-finite values count as violations: guardrails fail closed.
        """
        if not self._terms:
            b, k, h, _ = rollout.actions.shape
            return rollout.actions.new_zeros(b, k, 0, h)
        values = torch.stack([t.value(rollout).amax(dim=0) for t in self._terms], dim=2)
        values = values + self.margins(values.shape[-1])
        return values.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=torch.inf)

    def verify(self) -> bool:
        """Say whether code, parameters, margins and readout weights are still the sealed ones."""
        for owner, name, code in self._code:
            if getattr(getattr(owner, name), "__code__", None) is not code:
                return False
        if repr([_parameters(t) for t in self._terms]) != self._given:
            return False
        if any(owner.get(name) is not t for owner, name, t in self._cells):
            return False
        if self._views[-1][0] is not self._margins:
            return False
        if any(t.data_ptr() != place for t, place, _ in self._views):
            return False
        return self._digest() == self.seal

    def _functions(self) -> list[tuple[type, str, Any]]:
        owners = [(type(self._readouts), "read"), *((type(t), "value") for t in self._terms)]
        return [(owner, name, getattr(owner, name)) for owner, name in owners]

    def _digest(self) -> str:
        digest = self._base.copy()
        for _, _, view in self._views:
            digest.update(view.data)
        return digest.hexdigest()


def violation(values: Tensor) -> Tensor:
    """Return the summed positive parts of guardrail values [... R H], as [...]."""
    return values.clamp_min(0.0).sum(dim=(-2, -1))


def _cells(readouts: Any) -> list[tuple[dict[str, Any], str, Tensor]]:
    """Return every tensor of a torch module with the dictionary and name it is kept under."""
    modules = readouts.modules() if hasattr(readouts, "modules") else ()
    kept = [d for m in modules for d in (m._parameters, m._buffers)]
    return [(d, n, t) for d in kept for n, t in d.items() if t is not None]


def _parameters(term: Any) -> dict[str, Any]:
    return dict(sorted(vars(term).items()))


def _source(function: Any) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return repr(function.__code__.co_code)
