"""Faults of `tests.mutants` that no input can tell from the sound code, each with its reason.

An entry is (file, the line it is in, what is done to it). A test checks that each is still there.
"""

from __future__ import annotations

GATE, MEND, RAILS = "agent/core/gate.py", "agent/core/mend.py", "modules/cost/guardrails"

EQUIVALENT = {
    (GATE, "if lacking <= 0:", "LtE to Lt"): "where nothing lacks, nothing is put behind the plan",
    (GATE, "if not all(w <= 0.0 for w in worst.tolist()):", "LtE to Lt"): (
        "exactly on its limit a plan goes through `mend`, which allows it with the same verdict"
    ),
    (
        MEND,
        "done = [w if g else CLAMPED for w, g in zip(words, goes.tolist(), strict=True)]",
        "True to False",
    ): "both come from one choice: one entry for each agent",
    (
        MEND,
        "for index, lesser in zip(choice.index, choice.lesser, strict=True)",
        "True to False",
    ): "both come from one choice: one entry for each agent",
    (
        "agent/core/overseer.py",
        "for ok, kept, blamed in zip(sane.tolist(), fine, which.tolist(), strict=True)",
        "True to False",
    ): "plans were checked to be one for each agent, values are checked by `Guardrails.evaluate`",
    ("agent/core/objective.py", "if rows >= b:", "GtE to Gt"): (
        "one chunk, put together, is itself"
    ),
    (f"{RAILS}/regions.py", "((), 0.0) if ball is None else (tuple(ball.centre), ball.radius)", "0.0 to 1.0"): (
        "nobody asks for the radius of a box"
    ),
    (
        f"{RAILS}/regions.py",
        "for low, high in zip(self._low, self._high, strict=True):",
        "True to False",
    ): "just before, both were found to be as long as the quantity",
    (
        f"{RAILS}/logic.py",
        "for part, scale in zip(self.parts, self._scale, strict=True):",
        "True to False",
    ): "the constructor makes or demands one scale for each part, and both are sealed",
    (
        f"{RAILS}/logic.py",
        """shown = ", ".join(f"{p.name} in {u or '1'}" for p, u in zip(parts, units, strict=True))""",
        "True to False",
    ): "units are made of the parts",
}  # fmt: skip
