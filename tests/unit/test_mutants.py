"""The mutator spoils what it says, one thing at a time, and leaves words and types alone."""

from __future__ import annotations

import subprocess
import sys

from tests.equivalent import EQUIVALENT
from tests.mutants import mutants
from tests.mutation import targets
from tests.tiny import ROOT, environment

SOURCE = '''
def judged(values: Tensor | None, margin: float) -> bool:
    """Say whether all <= 0."""
    if values is None:
        raise ValueError("none <= 0")
    whole = (values + margin).amax(dim=2)
    self.kept = whole
    return not bool((whole > 0.5).any())
'''


def test_every_fault_is_another_one() -> None:
    found = list(mutants(SOURCE))
    texts = [mutant.source for mutant in found]
    assert len(set(texts)) == len(texts)
    whats = " | ".join(f"line {mutant.number}: {mutant.what}" for mutant in found)
    for part in (
        "Is to IsNot", "Gt to GtE", "Gt to Lt", "Add to Sub", "what is added dropped",
        "amax to amin", "only the last of amax", "any to all", "Not dropped", "0.5 to 1.5",
        "`self.kept = whole` left out", "line 5: `raise",
    ):  # fmt: skip
        assert part in whats, part
    assert all("Tensor | None" in text and "none <= 0" in text for text in texts if "raise" in text)


def test_every_fault_said_to_be_equivalent_is_one_that_exists() -> None:
    found = [
        (file, mutant.line, mutant.what)
        for file in targets()
        for mutant in mutants((ROOT / file).read_text(encoding="utf-8"))
    ]
    assert {entry: found.count(entry) for entry in EQUIVALENT} == dict.fromkeys(EQUIVALENT, 1)
    assert all(EQUIVALENT.values())


def test_a_sound_file_passes_and_its_faults_are_noticed() -> None:
    words = [
        sys.executable,
        "-m",
        "tests.mutation",
        "modules/cost/guardrails/at_least.py",
        "--every",
        "12",
    ]
    done = subprocess.run(
        words, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "killed" in done.stdout
