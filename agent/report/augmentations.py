"""The guide's tables on pixels, rendered from what `bench pixels` wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.report.results import between

GUIDE = Path("docs/guides/pixels.md")
COMPARED = {
    "pixels-plain": "none",
    "pixels-shift": "`shift=4`",
    "pixels-photometric": "`brightness=40`, `contrast=0.3`",
}
"""Files, and what was changed in training."""

COLUMNS = {
    "linear_r2.fingertip": "position: fingertip, R²",
    "linear_r2.joint_angle": "joint angles, R²",
    "linear_r2.joint_speed": "velocity: joint speeds, R²",
    "linear_accuracy.look": "identity: which post, share",
}
COSTS = {
    "world_tick_ms": "a tick of the world, frame included",
    "encode_us": "encoding three frames",
    "minibatch_mapped_ms": "drawing a minibatch from the mapped file",
    "minibatch_memory_ms": "drawing it from memory",
    "learner_step_ms": "a step of training, minibatch included",
}


def fill(guide: Path = GUIDE, folder: Path = Path("docs/results")) -> None:
    """Put both tables between the guide's markers. Raises InputError if it has none."""
    between(guide, "augmentations", compared(folder))
    between(guide, "pixel-costs", costs(folder))


def compared(folder: Path) -> str:
    """Return what linear probes found after each kind of augmentation, in Markdown."""
    lines = [f"| changed in training | {' | '.join(COLUMNS.values())} |", "|---" * 5 + "|"]
    for name, what in COMPARED.items():
        figures = _figures(folder / f"{name}.json")
        if figures:
            cells = (f"{figures[column]['value']:.3f}" for column in COLUMNS)
            lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def costs(folder: Path) -> str:
    """Return what each part costs of one core's time, in Markdown."""
    figures = _figures(folder / "pixels-plain.json")
    lines = ["| | one core |", "|---|---|"]
    for name, what in COSTS.items():
        if name in figures:
            unit = figures[name]["unit"].replace("us", "µs")
            lines.append(f"| {what} | {figures[name]['value']:.3g} {unit} |")
    return "\n".join(lines) + "\n"


def _figures(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        return {}
    found: Mapping[str, Any] = json.loads(path.read_text("utf-8"))["figures"]
    return found
