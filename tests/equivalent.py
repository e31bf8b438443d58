"""Faults of `tests.mutants` that no input can tell from the sound code, each with its reason.

An entry is (file, the line it is in, what is done to it). A test checks that each is still there.
"""

from __future__ import annotations

GATE, MEND = "agent/core/gate.py", "agent/core/mend.py"

EQUIVALENT = {
    (GATE, "if lacking <= 0:", "LtE to Lt"): "where nothing lacks, nothing is put behind the plan",
    (GATE, "if not all(w <= 0.0 for w in worst.tolist()):", "LtE to Lt"): (
        "exactly on its limit a plan goes through `mend`, which allows it with the same verdict"
    ),
}
