"""Dread and relief: read off what the critic anticipates, in the panel and the report."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from agent.core.messages import Appraisal
from agent.report.affect import Affect, feelings
from agent.report.panel import Panel
from tests.fake_run import HEADER, ticks


def test_dread_is_above_the_usual_and_relief_a_fall() -> None:
    felt = [Affect().feel(2.0)]
    affect = Affect()
    felt = [affect.feel(value) for value in (2.0, 2.0, 5.0, 3.0, 1.0)]
    assert [f.usual for f in felt] == [2.0, 2.0, 2.0, 3.0, 3.0]
    assert [f.dread for f in felt] == [0.0, 0.0, 3.0, 0.0, 0.0]
    assert [f.relief for f in felt] == [0.0, 0.0, 0.0, 2.0, 2.0]


def test_a_tick_without_an_appraisal_is_left_out() -> None:
    found = feelings([1.0, math.nan, 4.0, 2.0])
    np.testing.assert_array_equal(found["dread"], [0.0, np.nan, 3.0, 0.0])
    np.testing.assert_array_equal(found["relief"], [0.0, np.nan, 0.0, 2.0])
    assert feelings([])["usual"].shape == (0,)


def shown(values: list[float]) -> str:
    screen = Console(file=io.StringIO(), force_terminal=True, width=200)
    paper = Console(file=io.StringIO(), width=200)
    with Panel(HEADER, screen) as panel:
        for tick, value in zip(ticks(len(values)), values, strict=True):
            said = tick.messages[Appraisal]
            felt = replace(said, anticipation=torch.full_like(said.anticipation, value))
            panel.update(0, replace(tick, messages={**tick.messages, Appraisal: felt}))
        paper.print(panel.render())
    assert isinstance(paper.file, io.StringIO)
    return paper.file.getvalue()


@pytest.mark.parametrize(
    ("values", "words"),
    [([1.0, 4.0], "dread 3 · relief 0"), ([4.0, 1.0], "dread 0 · relief 3")],
)
def test_the_panel_says_it(values: list[float], words: str) -> None:
    assert words in shown(values)
    assert "dread" not in shown([0.0, 0.0]), "an agent without a critic feels nothing"
