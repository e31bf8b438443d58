"""The audit log: every verdict and what came of it, in a file that shows when it was changed.

One line of JSON per tick and agent. Each line carries the SHA-256 of the one before, so that a line
changed, dropped, added or moved breaks the chain (`agent.record.chain` follows it); the last hash
also stands in `run.mcap` and on the end card, so that a cut end shows too. There is no secret in
it: who can write all three files can write another story. Source: Haber, Stornetta (1991), "How to
time-stamp a digital document"; Schneier, Kelsey (1999), "Secure audit logs".
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agent.core.guardrails import Guardrails
from agent.core.loop import Tick
from agent.core.messages import Action, Observation, Percept, Rollout, Ruling, Verdict
from agent.record.encode import plain, text

FILE = "audit.jsonl"
FORM = "housecat.audit/1"
START = "0" * 64
"""What the first line names as the hash of the line before it."""
HEADER = ("seal", "config_hash", "checkpoint", "command", "guardrails", "promised_coverage")

Believe = Callable[[Tensor, Tensor, Tensor], Tensor]


def believing(guardrails: Guardrails) -> Believe:
    """Return a function from latents [N Z], commands [N A] and next latents [N Z] to values [N R].

    That is what the sealed guardrails, through the sealed readouts, take to have happened: their
    own values, no margin. It is belief: the simulator is not asked.
    """

    @torch.no_grad()
    def believe(before: Tensor, command: Tensor, after: Tensor) -> Tensor:
        lived = Rollout(before, command[:, None, None], after[None, :, None, None], {}, networks=1)
        lived = replace(lived, quantities=guardrails.read(lived))
        return (guardrails.evaluate(lived) - guardrails.margins(1))[:, 0, :, 0]

    return believe


def remembers(guardrail: Any) -> bool:
    """Say whether a guardrail, or a part of it, depends on more of the past than the last tick.

    What came of its forecast cannot be told from two percepts.
    """
    parts = getattr(guardrail, "parts", ())
    return hasattr(guardrail, "remember") or any(remembers(part) for part in parts)


class Audit:
    """Appends to `audit.jsonl`. Not for the loop: the recorder's thread calls it, in batches.

    A tick's line is written when the next tick's percept says what came of it.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any], believe: Believe) -> None:
        """Start the log in `folder`; `header` is the run's, of which `HEADER` is kept.

        Raises OSError if the file cannot be written or is there already.
        """
        self._file = (folder / FILE).open("xb")
        self._believe, self._last, self.lines = believe, START, 0
        self._rails = [dict(g) for g in header.get("guardrails", ())]
        self._waiting: list[tuple[int, Tick]] = []
        self._append({"audit": FORM, **{k: header[k] for k in HEADER if k in header}})
        self.sync()

    def take(self, episode: int, tick: Tick) -> None:
        """Remember a tick of episode number `episode`; nothing is written yet."""
        self._waiting.append((episode, tick))

    def sync(self) -> None:
        """Write what is known and put it on disk; the last tick waits for the next percept."""
        self._settle(len(self._waiting) - 1)
        self._file.flush()
        os.fsync(self._file.fileno())

    def end(self) -> dict[str, Any]:
        """Write everything and the closing line; return its hash and the number of verdicts."""
        self._settle(len(self._waiting))
        self._append({"end": True, "lines": self.lines})
        self.sync()
        self._file.close()
        return {"chain": self._last, "lines": self.lines}

    def _settle(self, count: int) -> None:
        """Write the lines of the first `count` ticks that wait."""
        if count <= 0:
            return
        due, self._waiting = self._waiting[: count + 1], self._waiting[count:]
        came = self._came(due)
        for index, (episode, tick) in enumerate(due[:count]):
            verdict = tick.messages.get(Verdict)
            for agent in range(0 if verdict is None else len(verdict.ruling)):
                line = self._line(tick, agent)
                line["realised"] = self._named(came[index][agent] if index in came else None)
                self._append({"episode": episode, "tick": tick.index, "agent": agent, **line})
                self.lines += 1

    def _came(self, due: list[tuple[int, Tick]]) -> dict[int, Tensor]:
        """Return by index the values [B R] that the ticks after those in `due` show, in one go."""
        lived, parts = [], []
        for index, ((episode, now), (after, then)) in enumerate(pairwise(due)):
            said = now.messages.get(Percept), now.messages.get(Action), then.messages.get(Percept)
            if episode == after and then.index == now.index + 1 and None not in said:
                lived.append(index)
                parts.append((said[0].latent, said[1].command, said[2].latent))  # type: ignore[union-attr]
        if not parts:
            return {}
        try:
            ends = list(accumulate(len(p[0]) for p in parts[:-1]))
            whole = self._believe(*(torch.cat(p) for p in zip(*parts, strict=True)))
        except Exception:  # noqa: BLE001 - nothing could be read out: the lines say null
            return {}
        return dict(zip(lived, whole.tensor_split(ends), strict=True))

    def _line(self, tick: Tick, agent: int) -> dict[str, Any]:
        verdict, seen = tick.messages[Verdict], tick.messages.get(Observation)
        which = int(verdict.guardrail[agent])
        rail = self._rails[which] if 0 <= which < len(self._rails) else {}
        reasons = verdict.reasons
        return {
            "time_s": None if seen is None else float(seen.time_s[agent]),
            "ruling": Ruling(int(verdict.ruling[agent])).name.lower(),
            "guardrail": rail.get("name"),
            "limit": rail.get("limit"),
            "predicted": float(verdict.predicted[agent]),
            "margin": float(verdict.margin[agent]),
            "reason": reasons[agent] if agent < len(reasons) else "",
            "ahead": self._named(verdict.ahead[agent]),
        }

    def _named(self, values: Tensor | None) -> dict[str, float | None]:
        """Return values [R] by guardrail; None of those that no sensor ever shows."""
        given = [None] * len(self._rails) if values is None else values.tolist()
        return {
            rail["name"]: value if rail.get("realised", True) else None
            for rail, value in zip(self._rails, given, strict=True)
        }

    def _append(self, content: dict[str, Any]) -> None:
        line = text(plain({**content, "previous": self._last}))
        self._file.write(line + b"\n")
        self._last = digest(line)


def digest(line: bytes) -> str:
    """Return the SHA-256 of a line, without its end of line."""
    return hashlib.sha256(line).hexdigest()
