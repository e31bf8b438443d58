"""The wiring graph as a picture: who reads whose messages, in the order of a tick."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.figure import Figure

from agent.core.errors import InputError
from agent.core.schedule import Schedule


def draw(schedule: Schedule, path: Path) -> None:
    """Write the graph as SVG: modules on a ring in tick order, dashed where recalled.

    Raises InputError if the file cannot be written.
    """
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    axes = figure.add_subplot()
    count = len(schedule.order)
    place = {
        name: (math.sin(2 * math.pi * i / count), math.cos(2 * math.pi * i / count))
        for i, name in enumerate(schedule.order)
    }
    for start, end, about in schedule.graph.edges(data=True):
        (x0, y0), (x1, y1) = place[start], place[end]
        style = "dashed" if about["recalled"] else "solid"
        bend = 0.18 if about["recalled"] else 0.08
        axes.annotate(
            "",
            (x1, y1),
            (x0, y0),
            arrowprops={
                "arrowstyle": "-|>",
                "connectionstyle": f"arc3,rad={bend}",
                "linestyle": style,
                "color": "#99a" if about["recalled"] else "#246",
                "shrinkA": 34,
                "shrinkB": 34,
            },
        )
        axes.text(
            0.42 * x0 + 0.58 * x1, 0.42 * y0 + 0.58 * y1, about["kind"], fontsize=7, color="#667"
        )
    for index, (name, (x, y)) in enumerate(place.items()):
        face = "#fbe3d6" if name == "gate" else "#dbe9f6"
        label = f"{index + 1}. {name.replace('_', ' ')}"
        axes.text(
            x, y, label, ha="center", va="center", fontsize=10,
            bbox={"boxstyle": "round,pad=0.5", "facecolor": face, "edgecolor": "#246"},
        )  # fmt: skip
    axes.set(xlim=(-1.45, 1.45), ylim=(-1.25, 1.25))
    axes.set_axis_off()
    axes.set_title(
        "A tick, clockwise from the top; dashed: recalled from the last tick", fontsize=10
    )
    try:
        figure.savefig(path, format="svg")
    except OSError as fault:
        raise InputError(
            f"check: expected to write {path}, came '{fault.strerror}'; choose another with --out"
        ) from None
