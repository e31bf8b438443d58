"""The table of training recipes in the guide, rendered from what `bench objectives` wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.report.results import between, where

GUIDE = Path("docs/guides/world-models.md")
COLUMNS = {
    "effective rank": "effective_rank",
    "deviation": "deviation_mean",
    "R² angle": "probe_r2.joint_angle",
    "R² speed": "probe_r2.joint_speed",
    "linear R² angle": "linear_r2.joint_angle",
    "error 1 tick": "latent_error.1",
    "5": "latent_error.5",
    "20": "latent_error.20",
    "fingertip 20 (m)": "error.fingertip.20",
    "goals reached": "success",
    "CPU s": "learn_cpu_s",
}


def fill(guide: Path = GUIDE, folder: Path = Path("docs/results")) -> None:
    """Put the tables of all `objectives-*.json` in `folder` between their markers in `guide`.

    Raises InputError if a table has no markers.
    """
    for path in sorted(folder.glob("objectives-*.json")):
        between(guide, path.stem, render(path))


def render(path: Path) -> str:
    """Return one file's table in Markdown: a row per recipe, means over training seeds."""
    whole = json.loads(path.read_text("utf-8"))
    figures: Mapping[str, Mapping[str, Any]] = whole["figures"]
    names = list(dict.fromkeys(name.partition(".")[0] for name in figures))
    lines = ["| recipe | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name in names:
        cells = [_cell(column, figures.get(f"{name}.{column}")) for column in COLUMNS.values()]
        gone = figures[f"{name}.collapsed"]["value"]
        share = "" if not gone else f" (collapsed: {round(gone * len(whole['seeds']))}"
        share += f" of {len(whole['seeds'])})" if share else ""
        lines.append(f"| {name}{share} | " + " | ".join(cells) + " |")
    seeds, n = ", ".join(map(str, whole["seeds"])), figures[f"{names[0]}.success"]["n"]
    told = f"training seeds {seeds}; goals reached of n = {n} episodes"
    lines += ["", f"`{whole['command']}`: {where(whole)}; {told}."]
    return "\n".join(lines) + "\n"


def _cell(column: str, figure: Mapping[str, Any] | None) -> str:
    if figure is None or figure["value"] is None:
        return "not measured"
    value, low, high = (figure[k] for k in ("value", "low", "high"))
    if column == "success":
        return f"{100 * value:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
    half = "" if low is None else f" ± {(high - low) / 2:.2g}"
    return f"{value:.3g}{half}"
