"""The panel: six rows and the gate on a terminal, a line a second elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from agent.core.loop import Tick
from agent.report.panel import Panel, end_card
from tests.fake_run import CARD, HEADER, ticks


def test_on_a_terminal_every_module_has_its_row() -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=110)
    shown = Console(file=io.StringIO(), width=110)
    with Panel(HEADER, screen) as panel:
        for tick in ticks(8):
            panel.update(0, tick)
        shown.print(panel.render())
    assert isinstance(shown.file, io.StringIO)
    words = shown.file.getvalue()
    order = ["configurator", "perception", "memory", "cost", "world model", "actor", "gate"]
    where = [words.index(f"│ {name}") for name in order]
    assert where == sorted(where)
    assert "nothing there" in words
    assert max(map(len, words.splitlines())) <= 110


def test_the_runner_up_is_named_and_why_it_lost() -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=200)
    shown = Console(file=io.StringIO(), width=200)
    with Panel(HEADER, screen) as panel:
        panel.update(0, next(ticks(1)))
        shown.print(panel.render())
    assert isinstance(shown.file, io.StringIO)
    assert "runner-up breaks " in shown.file.getvalue()


def test_elsewhere_a_line_per_second() -> None:
    pipe = io.StringIO()
    with Panel(HEADER, Console(file=pipe, width=80)) as panel:
        for tick in ticks(41):
            panel.update(3, tick)
        panel.update(3, Tick(60, {}, {}, ("all is lost",)))
    lines = pipe.getvalue().splitlines()
    assert len(lines) == 4
    assert all(line.startswith("episode 3") for line in lines)
    assert "\x1b" not in pipe.getvalue()
    assert lines[-1].endswith("all is lost")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "1 of 1 goal reached · no limit broken"),
        ({"contacts": 2, "speeding": 1}, "limits broken in 3 ticks"),
        ({"success": {"value": 0.0, "low": 0.0, "high": 0.9, "n": 1}}, "0 of 1 goal reached"),
        ({"deadline_misses": 4}, "4 late"),
    ],
)
def test_the_end_card_says_what_happened(change: dict[str, object], words: str) -> None:
    pipe = io.StringIO()
    Console(file=pipe, width=100).print(end_card(CARD | change))
    text = pipe.getvalue()
    assert words in text
    assert "412 contacts" in text
    assert "none: no GL" in text
