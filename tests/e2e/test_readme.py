"""README does what it says: its code runs, its commands are known, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from agent.cli.main import COMMANDS, arrange, main, parser
from agent.config import schema
from agent.config.build import blueprint
from agent.core.messages import Mode, Plan
from agent.record.log import read
from tests.tiny import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "docs" / "examples"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
FILES = {
    match[1]: text[match.end() :]
    for language, text in BLOCKS
    if (match := re.match(r"# (\S+\.(?:py|yaml))\n", text))
}
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(p for d in ("docs", "modules", "worlds") for p in (ROOT / d).rglob("*.md")),
]
SHORT = ("run.ticks=6", "run.reference=false", "run.seeds=[1000013]")


@pytest.fixture
def place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder on the path with the configs and README's files, as a reader has them."""
    monkeypatch.syspath_prepend(str(folder))
    for name in FILES:
        monkeypatch.delitem(sys.modules, Path(name).stem, raising=False)
    (folder / "configs").mkdir()
    for config in (ROOT / "configs").glob("*.yaml"):
        (folder / "configs" / config.name).write_text(config.read_text("utf-8"), "utf-8")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def live(config: str, weights: Path) -> None:
    """Run a config for a few ticks, as a reader would in the folder with README's files."""
    assert main(["run", config, "--checkpoint", str(weights), "--out", "out", *SHORT]) == 0


def test_examples_are_readmes_own() -> None:
    guides = "".join(page.read_text("utf-8") for page in (ROOT / "docs" / "guides").glob("*.md"))
    kept = [f for f in EXAMPLES.iterdir() if f.suffix in (".py", ".yaml") and f.name not in guides]
    assert {f.name: f.read_text("utf-8") for f in kept} == FILES


@pytest.mark.usefixtures("unreported")
def test_a_swapped_module_runs(
    place: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live("my_agent.yaml", weights)
    printed = capsys.readouterr().out.splitlines()
    configurator = next(line for line in printed if "configurator  reads" in line)
    assert "recalls Percept" in configurator
    plans = [tick.messages[Plan] for tick in read(place / "out").episodes[0].ticks]
    assert len(plans) == 6
    assert plans[0].mode.tolist() == [Mode.DELIBERATE]


def test_a_swapped_module_decides(place: Path) -> None:
    import torch

    from agent.core.messages import Percept, Task

    module = __import__("my_configurator")
    found = blueprint(schema.load(place / "my_agent.yaml")).assemble()
    assert isinstance(found.configurator, module.Surprised)

    class Inbox:
        def __getitem__(self, kind: type) -> Task:
            return Task(torch.zeros(2, 2))

        def last(self, kind: type) -> Percept:
            return Percept(torch.zeros(2, 24), torch.zeros(2), torch.tensor([0.1, 9.0]))

    directive = found.configurator.tick(Inbox())
    assert directive.mode.tolist() == [Mode.REACTIVE, Mode.DELIBERATE]


@pytest.mark.usefixtures("unreported")
def test_an_added_term_is_billed(place: Path, weights: Path) -> None:
    (line,) = [text for language, text in BLOCKS if language == "yaml" and "jolt:Jolt" in text]
    config = place / "configs" / "reach.yaml"
    text = config.read_text("utf-8").replace("terms:\n", f"terms:\n{line}", 1)
    config.write_text(text, encoding="utf-8")
    live("configs/reach.yaml", weights)
    record = read(place / "out")
    where = list(record.header["terms"]).index("jolt")
    bills = [tick.messages[Plan].terms[0, where] for tick in record.episodes[0].ticks]
    moves = [tick.messages[Plan].actions[0] for tick in record.episodes[0].ticks]
    for bill, actions in zip(bills, moves, strict=True):
        change = actions.diff(dim=0).square().mean(dim=-1)
        assert bill[0] == 0.0
        assert (bill[1:] - 0.01 * change / len(actions)).abs().max() < 1e-6


def test_commands_are_known() -> None:
    commands = re.findall(r"^(?:PYTHONPATH=\. )?python (run_agent\.py .*)$", README, re.MULTILINE)
    commands += re.findall(r"`python (run_agent\.py [^`]*)`", README)
    assert len(commands) >= 6
    for command in commands:
        words = shlex.split(command, comments=True)[1:]
        options = parser().parse_intermixed_args(arrange(words))
        assert options.command in COMMANDS
        if str(options.config).startswith("configs/"):
            blueprint(schema.load(ROOT / options.config, options.overrides))


def test_the_schedule_is_the_real_one(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8")
    shown = page.partition("<!-- schedule -->\n```\n")[2].partition("```")[0]
    config = ROOT / "configs" / "reach.yaml"
    assert main(["check", str(config), "--checkpoint", str(weights)]) == 0
    lines = capsys.readouterr().out.splitlines(keepends=True)
    start = next(i for i, line in enumerate(lines) if line.startswith("tick: "))
    assert shown
    assert "".join(lines[start : start + shown.count("\n")]) == shown


def test_make_targets_exist() -> None:
    known = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", README, re.MULTILINE)
    assert named
    assert {a or b for a, b in named} <= set(known)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", text):
        target, _, anchor = (link[0] or link[1]).partition("#")
        if target.startswith(("http://", "https://")):
            continue
        where = (page.parent / target).resolve() if target else page
        assert where.exists(), f"{page.name}: nothing at {target}"
        if anchor:
            heads = re.findall(r"^#+ (.*)$", where.read_text("utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^a-z0-9_ -]", "", h.lower()).replace(" ", "-") for h in heads}
            assert anchor in slugs, f"{page.name}: {target} has no heading {anchor}"
