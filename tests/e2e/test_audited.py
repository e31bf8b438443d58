"""`audit` end to end: what a run leaves behind, and what becomes of it when somebody edits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from agent.cli.main import main
from tests.tiny import CHEAP, REACH

SHORT = ["run.ticks=8", "run.seeds=[900000]", "run.reference=false", *CHEAP]


def audit(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["audit", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_run_is_audited_and_an_edit_is_found(
    weights: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", REACH, *SHORT, "gate.deadline_ms=0", "--checkpoint", weights, "--out", "r"]
    assert main([str(w) for w in words]) == 0
    card = json.loads((folder / "r" / "card.json").read_text())
    assert card["audit"]["chain"][:40] in capsys.readouterr().out.replace("\n", "").replace(
        "│", ""
    ).replace(" ", "")
    assert card["audit"]["lines"] == 8
    assert "believed keep_clear" in (folder / "r" / "report.html").read_text()
    assert "true contacts" in (folder / "r" / "report.html").read_text()

    code, out, _ = audit(capsys, "r", "--verify", "--json", "a.json")
    assert code == 0
    assert "8 verdicts" in out
    assert "keep_clear: covered" in out
    assert "promised 90 %" in out
    assert f"verified: 8 verdicts, whole, chain {card['audit']['chain']}" in out
    believed, _, true = out.partition("what truly happened")
    assert "contact" not in believed
    assert f"{card['contacts']} ticks in contact" in true
    found = json.loads((folder / "a.json").read_text())["figures"]
    assert found["coverage.keep_clear"]["n"] == 7
    assert found["promised_coverage"]["value"] == pytest.approx(0.9)

    shutil.copytree("r", "edited")
    path = folder / "edited" / "audit.jsonl"
    lines = path.read_text().splitlines()
    lines[4] = lines[4].replace('"tick":3', '"tick":4')
    path.write_text("".join(f"{line}\n" for line in lines))
    code, out, err = audit(capsys, "edited", "--verify")
    assert code == 3
    assert "audit.jsonl line 6: it does not follow from line 5; one was changed" in err
    assert err.count("\n") == 1
    assert "BROKEN" in out
    assert audit(capsys, "edited")[0] == 0  # told, but nobody asked to verify

    shutil.copytree("r", "cut")
    (folder / "cut" / "audit.jsonl").write_text("".join(f"{line}\n" for line in lines[:3]))
    assert audit(capsys, "cut", "--verify")[0] == 3
    for name in ("run.mcap", "card.json"):  # as a killed process leaves it
        (folder / "cut" / name).unlink()
    code, out, _ = audit(capsys, "cut", "--verify")
    assert (code, "a prefix" in out, "not scored" in out) == (0, True, True)


@pytest.mark.parametrize("words", [[], ["."], ["nowhere"], ["nowhere", "--verify"]])
def test_what_is_no_run_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = audit(capsys, *words)
    assert code == 2
    assert err.startswith("error: audit: expected ")
    assert err.count("\n") == 1
