"""From names to classes: short names, pkg.mod:Class, entry points, and what is none of them."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from agent.config import resolve
from agent.core.errors import InputError
from tests.tiny import ROOT, environment


def test_every_part_found_can_be_loaded_and_says_what_it_is() -> None:
    for slot in resolve.SLOTS:
        found = resolve.parts(slot)
        assert found, slot
        for name, part in found.items():
            assert part.doc.endswith((".", ":")), (slot, name)
            assert resolve.resolve(slot, name) is resolve.resolve(slot, part.target)


def test_helpers_in_a_slot_folder_are_no_parts() -> None:
    assert "policy" not in resolve.parts("actor")
    assert "sampling" not in resolve.parts("actor")
    assert "learn" not in resolve.parts("world_model")


def test_a_class_of_ones_own_is_named_by_its_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "mine_named.py").write_text(
        "from modules.cost.terms.effort import Effort\nclass Mine(Effort):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    assert resolve.resolve("term", "mine_named:Mine").__name__ == "Mine"


def test_an_installed_package_offers_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    target = "modules.cost.terms.effort:Effort"

    def entry_points(group: str) -> list[EntryPoint]:
        return [EntryPoint("tired", target, group)] if group == "housecat.term" else []

    monkeypatch.setattr(resolve.importlib.metadata, "entry_points", entry_points)
    found = resolve.parts("term")["tired"]
    assert (found.target, found.doc) == (target, "from an installed package")
    assert resolve.resolve("term", "tired").__name__ == "Effort"
    assert "tired" not in resolve.parts("guardrail")


def test_an_installed_package_cannot_take_a_built_in_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        resolve.importlib.metadata,
        "entry_points",
        lambda group: [EntryPoint("at_least", "os:path", group)],
    )
    assert resolve.parts("guardrail")["at_least"].target.startswith("modules.cost.guardrails")


@pytest.mark.parametrize(
    ("slot", "name", "complaint"),
    [
        ("actor", "iecm", r"actor\.use: unknown actor 'iecm'"),
        ("actor", "no.such:Thing", r"cannot import 'no\.such' .*check the name"),
        ("actor", "modules.actor.cem:CME", r"has no 'CME'; did you mean 'CEM'\?"),
        ("actor", "modules.actor.cem:Pool", r"has no nested class Config"),
        ("actor", ":CEM", r"cannot import ''"),
        ("actor", ".cem:CEM", r"cannot import '\.cem'"),
        ("actor", "modules.actor.cem:", r"has no ''"),
        ("actor", "", r"expected the name of a part, came ''"),
        ("actor", None, r"expected the name of a part, came None"),
        ("world", "modules.actor.cem:CEM", r"world\.use: .*CEM .*(lacks|has no)"),
        ("actor", "worlds.reach.world:Reach", r"actor\.use: .*Reach .*(lacks|has no)"),
        ("guardrail", "modules.cost.terms.effort:Effort", r"guardrail\.use: .*Effort .*value"),
    ],
)
def test_what_names_no_part_is_refused(slot: str, name: object, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        resolve.resolve(slot, name)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("import no_such_thing", "no_such_thing"),
        ("1 +", "SyntaxError"),
        ("raise RuntimeError('not today')", "not today"),
        ("class Mine:\n    class Config: pass", "Settings"),
    ],
)
def test_a_module_that_cannot_be_imported_is_its_authors_fault(
    folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, complaint: str
) -> None:
    (folder / "mine_broken.py").write_text(source)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "mine_broken", raising=False)
    with pytest.raises(InputError, match=complaint) as caught:
        resolve.resolve("term", "mine_broken:Mine")
    assert "\n" not in str(caught.value)


def test_listing_imports_no_part() -> None:
    code = (
        "import sys; from agent.config.resolve import SLOTS, parts;"
        "[parts(s) for s in SLOTS];"
        "assert not {'torch', 'mujoco', 'modules', 'worlds'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(), check=True)
