"""What the agent attends to, in which mode, after what, and what it expected: panel and report."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from rich.console import Console

from agent.core.loop import Tick
from agent.core.messages import Appraisal, Directive, Percept, Plan
from agent.core.subgoals import Progress, Subgoals
from agent.record.playback import Episode, Record
from agent.report.executive import _modes, attention, executive
from agent.report.expectation import expectation, foreseen
from agent.report.outlook import Glance, Outlook
from agent.report.panel import Panel
from agent.report.series import live_through
from agent.report.subgoals import SubGoal, stack, told
from tests.fake_run import HEADER, SIZES, ticks

TERMS = HEADER["terms"]
SENSORS = [name for name, _, _ in HEADER["layouts"]["sensors"]]
HORIZON = SIZES["H"]
PLACES = ["at the door", "through it", "at the table"]


def saying(tick: Tick, *messages: Any) -> Tick:
    return replace(tick, messages={**tick.messages, **{type(m): m for m in messages}})


def charged(count: int, charge: float = 1.0) -> Iterator[Tick]:
    """Yield ticks charged their own index, by plans that expect `charge` more of their end."""
    for tick in ticks(count):
        plan, felt = tick.messages[Plan], tick.messages[Appraisal]
        bill = torch.zeros_like(plan.terms)
        bill[:, 0, -1] = (tick.index + HORIZON + charge) / HORIZON
        bill[:, -1, -1] = 100.0  # the critic's
        terms = torch.tensor([[float(tick.index), 0.0, 100.0]])
        yield saying(tick, replace(plan, terms=bill), replace(felt, terms=terms))


def shown(lived: Sequence[Tick], header: dict[str, Any] = HEADER) -> str:
    screen = Console(file=io.StringIO(), force_terminal=True, width=220)
    paper = Console(file=io.StringIO(), width=220)
    with Panel(header, screen) as panel:
        for tick in lived:
            panel.update(0, tick)
        paper.print(panel.render())
    assert isinstance(paper.file, io.StringIO)
    return paper.file.getvalue()


def test_a_plans_end_is_compared_with_the_moment_it_was_for() -> None:
    lived, outlook = list(charged(8)), Outlook(TERMS)
    glances = [outlook.look(tick) for tick in lived]
    assert [g.expected for g in glances[:HORIZON]] == [None] * HORIZON
    assert [g.expected for g in glances[HORIZON:]] == pytest.approx([6.0, 7.0, 8.0])
    assert [g.charged for g in glances] == [float(t) for t in range(8)]
    table = foreseen(lived, TERMS)
    np.testing.assert_allclose(table[HORIZON:], [[6.0, 0.0], [7.0, 0.0], [8.0, 0.0]], rtol=1e-6)
    assert np.isnan(table[:HORIZON]).all()
    assert "expected 8, came 7" in shown(lived)


def test_a_tick_in_which_a_module_failed_is_got_over() -> None:
    outlook = Outlook(TERMS)
    assert outlook.look(Tick(0, {}, {}, ("all is lost",))) == Glance()
    assert outlook.look(next(ticks(1))).planned == 1


def test_surprise_is_drawn_as_shares_of_the_greatest() -> None:
    assert Glance(surprises=(0.0, 1.0, 4.0)).sparks() == "▁▃█"
    assert Glance(surprises=(0.0, 0.0)).sparks() == "▁▁"
    assert Glance(surprises=(math.nan, 1.0)).sparks() == "?█"
    lived = []
    for tick in ticks(3):
        seen = tick.messages[Percept]
        lived.append(saying(tick, replace(seen, surprise=torch.tensor([float(tick.index)]))))
    assert "surprise 2 ▁▅█" in shown(lived)


def test_the_mode_of_the_plan_is_counted_apart_from_the_one_asked_for() -> None:
    lived = []
    for tick in ticks(4):
        asked, plan = tick.messages[Directive], tick.messages[Plan]
        took = torch.tensor([2 if tick.index == 0 else 1])
        both = replace(asked, mode=torch.tensor([2])), replace(plan, mode=took)
        lived.append(saying(tick, *both))
    text = shown(lived)
    assert "configurator Mode-2, deliberate" in text
    assert "actor        Mode-1, reactive" in text
    assert "Mode-2 in 25 % of ticks" in text
    drawn = executive(live_through(Record(HEADER, (), (), False), Episode(0, tuple(lived))), HEADER)
    assert drawn.startswith("<svg")


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1.0, 1.0, 1.0, 1.0, 1.0], "attends to everything"),
        ([1.0, 0.0, 0.5, 0.0, 0.0], "attends to joint_angle, fingertip 0.5 · ignores joint_speed,"),
        ([0.0] * 5, "ignores joint_angle"),
    ],
)
def test_attention_is_said_by_sensor(weights: list[float], words: str) -> None:
    assert attention(torch.tensor(weights), SENSORS).startswith(words)
    tick = next(ticks(1))
    asked = replace(tick.messages[Directive], attention=torch.tensor([weights]))
    assert words in shown([saying(tick, asked)])


def test_sub_goals_are_told_from_what_is_done_to_what_comes() -> None:
    tick = next(ticks(1))
    lived = saying(tick, replace(tick.messages[Appraisal], stage=torch.tensor([1])))
    header = HEADER | {"subgoals": PLACES}
    lines = stack(lived.messages, header)
    assert lines == [SubGoal(PLACES[0], 1.0), SubGoal(PLACES[1], 0.0), SubGoal(PLACES[2], 0.0)]
    assert told(lines) == "✓ at the door  ▸ through it  · at the table"
    assert told([SubGoal("a", 1), SubGoal("b", 1), SubGoal("c", 0.4)]) == "✓ 2 of 3 done  ▸ c 40 %"
    assert "✓ at the door  ▸ through it" in shown([lived], header)
    assert [line.name for line in stack(lived.messages, HEADER)] == ["sub-goal 1", "sub-goal 2"]


def test_without_sub_goals_there_is_no_row() -> None:
    tick = next(ticks(1))
    lived = saying(tick, replace(tick.messages[Appraisal], stage=None))
    assert stack(lived.messages, HEADER) == []
    assert "sub-goals" not in shown([lived])


def test_a_plan_that_goes_on_unexamined_is_told_from_mode_1() -> None:
    def life(*modes: int) -> list[Tick]:
        every = zip(ticks(len(modes)), modes, strict=True)
        return [saying(t, replace(t.messages[Plan], mode=torch.tensor([m]))) for t, m in every]

    assert "actor        goes on" in shown(life(2, 0, 2, 0))
    told = [_labels(life(2, 0, 2, 0)), _labels(life(2, 1, 2, 1))]
    assert "goes on with the last plan (2 of 4 ticks)" in told[0]
    assert not any(label.startswith("goes on") for label in told[1])


def _labels(lived: Sequence[Tick]) -> list[str]:
    ax = Figure().subplots()
    _modes(ax, live_through(Record(HEADER, (), (), False), Episode(0, tuple(lived))))
    labels: list[str] = ax.get_legend_handles_labels()[1]
    return labels


def test_the_report_draws_both_and_leaves_out_what_was_not_lived_to_see() -> None:
    def life(count: int) -> Any:
        return live_through(Record(HEADER, (), (), False), Episode(0, tuple(charged(count))))

    assert expectation(life(9), TERMS).startswith("<svg")
    assert expectation(life(HORIZON), TERMS) == ""
    assert expectation(life(9), ()) == ""
    assert "<image" in executive(life(9), HEADER | {"subgoals": PLACES})


def test_the_subgoals_of_a_task_stand_in_the_order_they_are_done() -> None:
    stands = Subgoals(
        aim=torch.zeros(1, 2),
        aimed=torch.zeros(1, 2, dtype=torch.bool),
        active=torch.tensor([2]),
        progress=torch.tensor(
            [[Progress.DONE, Progress.FAILED, Progress.ACTIVE, Progress.WAITING]]
        ),
        names=("fetch", "straight", "round", "home"),
    )
    none = torch.zeros(1, 1)
    asked = Directive(none, none, none, torch.ones(1, dtype=torch.int64), subgoals=stands)
    lines = stack({Directive: asked}, {})
    assert [(line.name, line.progress) for line in lines] == [
        ("fetch", 1.0), ("round", 0.0), ("home", 0.0),
    ]  # fmt: skip
    over = replace(stands, progress=torch.full((1, 4), int(Progress.DONE)))
    assert [line.progress for line in stack({Directive: replace(asked, subgoals=over)}, {})] == [
        1.0
    ] * 4
