"""Guardrails, compiled once and sealed: they can be evaluated and verified, not changed.

The seal is a SHA-256 over the guardrails' code and parameters, the margins, and the code and
weights of the readouts they look through. `verify` recomputes what can change in a running
process, every tick. It finds mistakes and module swaps; code that means to deceive, in the same
process, could replace `verify` itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import chain
from operator import is_
from typing import Any

import torch
from torch import Tensor

from agent.core.errors import InputError
from agent.core.messages import Rollout
from agent.core.past import BROKEN, Past, every
from agent.core.protocols import Guardrail, Readouts
from agent.core.seal import (
    CODE,
    functions_of,
    getter,
    kept_of,
    lasting,
    source_of,
    tensors_of,
    tree_of,
)


class Guardrails:
    """The run's guardrails with their calibrated margins, under one seal."""

    def __init__(
        self, terms: Sequence[Guardrail], readouts: Readouts, margins: Tensor | None = None
    ) -> None:
        """Compile and seal `terms`; `margins` [R H] in each guardrail's unit (None: zero).

        `margins` have a row for each guardrail that is ever realised (`realised`), in order.
        `readouts` must be this object's own copy: nothing else may hold it.
        Raises InputError if `margins` are not one finite row for each of those.
        """
        self._terms = self._sealed = tuple(terms)
        self._readouts = readouts
        self.names = tuple(t.name for t in terms)
        self._margins = _checked(margins, [realised(t) for t in terms])
        self._past, self._breached = Past(terms, readouts.read), False
        self._parts = (*tree_of(readouts), *every(terms))
        self._kinds = [type(part) for part in self._parts]
        found = {kind: functions_of(kind) for kind in dict.fromkeys(self._kinds)}
        self._code = [(k, getter(dict(f)), tuple(dict(f).values())) for k, f in found.items() if f]
        self._functions = tuple(f for _, _, own in self._code for f in own)
        self._compiled = tuple(f.__code__ for f in self._functions)
        self._held = [vars(part) for part in self._parts]
        self._given = list(map(kept_of, self._held))
        plain = [
            (type(part).__qualname__, {k: repr(v) for k, v in vars(part).items() if lasting(v)})
            for part in self._parts
        ]
        source = "".join(map(source_of, self._functions)) + repr(plain)
        self._base = hashlib.sha256(source.encode())
        self._tensors = [self._margins, *(t for part in self._parts for t in tensors_of(part))]
        self._places = list(map(Tensor.data_ptr, self._tensors))
        self._views = [t.detach().numpy().data for t in self._tensors]
        self._made, self.seal = b"".join(self._views), self._digest()
        self.realised = torch.tensor([realised(t) for t in terms], dtype=torch.bool)
        self._wider: Tensor | None = None
        self._widened = _sha(self._wider)

    def __len__(self) -> int:
        """Return how many guardrails there are."""
        return len(self._terms)

    @property
    def calibrated(self) -> int:
        """Number of steps that margins were calibrated for."""
        return int(self._margins.shape[1])

    def margins(self, horizon: int) -> Tensor:
        """Return the margins in force of steps 1..horizon, [R H]; the last one goes on."""
        sealed = _stretched(self._margins, horizon)
        return sealed if self._wider is None else sealed + _stretched(self._wider, horizon)

    def sealed_margins(self, horizon: int) -> Tensor:
        """Return the calibrated margins alone, without what was added while living."""
        return _stretched(self._margins, horizon)

    def widen(self, more: Tensor) -> None:
        """Add `more` [R H] to the sealed margins, in place of what was added before; for the gate.

        Raises ValueError unless it is finite and nowhere below 0: sealed margins are the least.
        """
        fits = more.ndim == 2 and len(more) == len(self._terms) and more.shape[1] > 0
        if not fits or not bool((more >= 0).all()) or not bool(more.isfinite().all()):
            raise ValueError(f"guardrails: expected finite margins >= 0, came {list(more.shape)}")
        if self.verify():
            self._wider = more.detach().clone()
            self._widened = _sha(self._wider)

    def measured(self) -> Tensor:
        """Return the margins as they were calibrated: a row for each guardrail that is realised."""
        return self._margins[[realised(t) for t in self._terms]].clone()

    def read(self, rollout: Rollout) -> dict[str, Tensor]:
        """Return the quantities of a rollout through the sealed readouts, [E B K H n]."""
        return self._readouts.read(rollout.latents)

    @property
    def remembers(self) -> bool:
        """Whether any guardrail depends on what already happened."""
        return self._past.remembers

    @property
    def past(self) -> Past:
        """What the guardrails remember; only the gate lets it go on."""
        return self._past

    def breach(self) -> None:
        """Remember for good that something was found to be not as it was sealed."""
        self._breached = True

    @property
    def trace(self) -> tuple[str, str]:
        """SHA-256s over what changes while living: what is remembered, and what was widened."""
        return self._past.trace, self._widened

    def begin(self) -> None:
        """Let an episode begin, or end: guardrails remember nothing, and the seal is made anew."""
        self._past.begin()
        self._breached = self._breached or self._digest() != self.seal

    def witness(self, latent: Tensor | None) -> None:
        """Let guardrails remember a tick by what was perceived, [B Z]; for the gate, once a tick.

        If the seal is broken nothing is kept that could be trusted later: the trace stays broken.
        """
        if self._past.remembers:
            if self.verify():
                self._past.witness(latent)
            else:
                self._past.trace = BROKEN

    def recall(self, states: Tensor) -> dict[str, Tensor]:
        """Return what guardrails remember, [B m] by name, where futures begin in `states` [B Z]."""
        return self._past.recall(states)

    def evaluate(self, rollout: Rollout) -> Tensor:
        """Return guardrail values plus margin, worst over members, [B K R H]; > 0 violates.

        Non-finite values count as violations: guardrails fail closed. Raises ValueError unless
        every step of every plan got its values.
        """
        if not self._terms:
            b, k, h, _ = rollout.actions.shape
            return rollout.actions.new_zeros(b, k, 0, h)
        values = self.values(rollout)
        steps, judged = rollout.actions.shape[:-1], values.select(2, 0).shape
        if judged != steps:
            raise ValueError(
                f"guardrails: expected values of {list(steps)} steps [B K H],"
                f" came {list(judged)}; mend the world model"
            )
        values = values + self.margins(values.shape[-1])
        return values.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=torch.inf)

    def values(self, rollout: Rollout) -> Tensor:
        """Return guardrail values as they are, worst over members, [B K R H]."""
        return torch.stack([t.value(rollout).amax(dim=0) for t in self._terms], dim=2)

    def verify(self) -> bool:
        """Say whether code, parameters, margins, readout weights and memory are the sealed ones.

        What is looked at: the functions of every class involved, every attribute of every part
        (functions put on an instance, hooks and exchanged networks among them), and the bytes of
        all tensors, beside those that the seal was made over. Once broken, a seal stays broken.
        """
        if self._breached:
            return False
        try:
            now = chain.from_iterable([get(kind) for kind, get, _ in self._code])
            if not all(map(is_, now, self._functions)):
                return False
        except AttributeError:  # a function was taken away
            return False
        if not all(map(is_, map(CODE, self._functions), self._compiled)):
            return False
        if self._readouts is not self._parts[0] or self._margins is not self._tensors[0]:
            return False
        if self._terms != self._sealed or list(map(type, self._parts)) != self._kinds:
            return False
        try:
            if self._held != self._given:
                return False
        except RuntimeError:  # a tensor was exchanged; two of them do not compare to one truth
            return False
        if list(map(Tensor.data_ptr, self._tensors)) != self._places:
            return False
        if _sha(self._wider) != self._widened:
            return False
        return self._past.intact() and b"".join(self._views) == self._made

    def _digest(self) -> str:
        digest = self._base.copy()
        digest.update(b"".join(self._views))
        return digest.hexdigest()


def violation(values: Tensor) -> Tensor:
    """Return the summed positive parts of guardrail values [... R H], as [...]."""
    return values.clamp_min(0.0).sum(dim=(-2, -1))


def realised(guardrail: Any) -> bool:
    """Say whether sensors show in the end what a guardrail, or its class, foresees."""
    return bool(getattr(guardrail, "realised", True))


def _checked(margins: Tensor | None, wanted: list[bool]) -> Tensor:
    """Return margins as the guardrails' own, zeros in the rows of those that are not `wanted`.

    Raises InputError if they do not fit.
    """
    if margins is None:
        return torch.zeros(len(wanted), 1)
    own, count = margins.detach().clone().float().contiguous(), sum(wanted)
    if own.ndim != 2 or len(own) != count or own.shape[1] < 1 or not own.isfinite().all():
        raise InputError(
            f"guardrails: expected finite margins, {count} rows of one or more steps, came"
            f" {list(own.shape)}; calibrate again with `python run_agent.py train CONFIG`"
        )
    if count == len(wanted):
        return own
    whole = own.new_zeros(len(wanted), own.shape[1])
    whole[wanted] = own
    return whole


def _stretched(margins: Tensor, horizon: int) -> Tensor:
    """Return margins [R h] of steps 1..horizon; the last one goes on."""
    lacking = max(0, horizon - margins.shape[1])
    return torch.cat([margins[:, :horizon], margins[:, -1:].expand(-1, lacking)], dim=1)


def _sha(values: Tensor | None) -> str:
    return "" if values is None else hashlib.sha256(values.contiguous().numpy().data).hexdigest()
