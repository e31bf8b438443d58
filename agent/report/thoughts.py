"""The report's section on what went on inside: what was asked, considered, expected, and felt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agent.report import plots
from agent.report.considered import considered
from agent.report.executive import executive
from agent.report.expectation import expectation
from agent.report.foresight import foresight, surprise
from agent.report.page import figure, section
from agent.report.series import Disc, Life, Limit, PathReader


def thoughts(
    life: Life,
    header: Mapping[str, Any],
    known: list[Limit],
    units: Mapping[str, str],
    paths: PathReader | None,
    scene: Sequence[Disc],
) -> str:
    """Return the section as HTML; a figure that has nothing to show is left out.

    `header` is the run's, `known` its guardrails, `units` those of its sensors.
    """
    unit, rate_hz = units.get(life.position or "", ""), float(header.get("rate_hz", 1.0))
    guarded = (limit.quantity for limit in known if limit.side < 0)
    near = next((q for q in guarded if q in life.sensors), None)
    drawing, explained = plots.latent_map(life, near, units)
    felt = np.nanmax(np.nan_to_num(life.anticipation), initial=0.0) > 0
    parts = [
        figure(
            "Mode, attention, sub-goals",
            executive(life, header),
            "Top: whether the tick's plan came from a search or from the policy. Then how far each"
            " sensor was attended to (white: not at all; grey: it showed nothing valid). Last,"
            " where there are sub-goals: how much of each was done (green: all of it; grey: it was"
            " not asked for).",
        ),
        figure(
            "Expected energy and what happened",
            expectation(life, header.get("terms", ())),
            "Left: what the present state was charged, and what a plan had expected for that moment"
            " as its own end, a horizon earlier. Right: by term, what was charged beyond what was"
            " expected; below zero it came better. The critic is left out: it speaks of later."
            " Plans are renewed every tick, so part of the difference is a change of mind.",
        ),
        figure(
            "What it considered",
            considered(life, unit, paths, scene),
            "At three moments of the way: paths imagined for a sample of the candidates, from the"
            " first to the last that were judged, and the plan that was chosen.",
        ),
        figure(
            "Foresight",
            foresight(life, unit, rate_hz, paths, scene),
            "Left, where the goal is a position: paths that plans imagined (blue), the path that"
            " came (black). Last: how far what came lay from what plans imagined, by how far they"
            " looked ahead; plans are renewed every tick, so part of that is a change of mind.",
        ),
        figure(
            "Forecast of the next percept",
            surprise(life),
            "Left: how far the next percept lay from its forecast, beside the spread the world"
            " model announced. Right: what perception reports as surprise, the squared error over"
            " the spread.",
        ),
        figure(
            "Dread and relief",
            plots.affect(life),
            "What the critic anticipates of intrinsic energy to come, beside what was usual so"
            " far in this episode. Dread is what it is above the usual, relief how far it fell"
            " since the last tick. Both are read off the log: nothing in the agent obeys them.",
        )
        if felt
        else "",
        figure(
            "Map of the latent space",
            drawing,
            f"Every dot is one percept, projected by PCA on its two main directions"
            f" ({100 * explained:.0f} % of the variance), coloured by three quantities.",
        ),
    ]
    return section("What it thought", "".join(parts))
