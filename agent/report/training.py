"""The page about a training: curves, collapse, probes, a map of the latents, forecast strips."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from agent.record.files import write_whole
from agent.report.page import document, figure, section, table
from agent.report.plots import AMBER, BLUE, INK, STYLE, svg
from agent.report.series import Array

STAGE = "world_model"
CRITERIA = (
    ("information_x", "information in s_x (nats per dimension)"),
    ("information_y", "information in s_y (nats per dimension)"),
    ("predictability", "predictability of s_y (1 is perfect)"),
    ("information_z", "information in z (nats)"),
)
COLUMNS = 4


@dataclass(frozen=True, slots=True)
class Strip:
    """A held-out window of L ticks: per scalar, what was `seen` [L] and `imagined` [E L]."""

    seen: Mapping[str, Array]
    imagined: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Examination:
    """What held-out episodes show of a trained world model.

    `spectrum` and `deviations` [Z] of the latents, `linear_r2` per sensor, `map` [n 2] with
    `colours` [n] per scalar sensor, and forecast `strips`.
    """

    spectrum: Sequence[float]
    deviations: Sequence[float]
    linear_r2: Mapping[str, float]
    map: Array
    colours: Mapping[str, Array]
    strips: Sequence[Strip]


def write_training(
    folder: Path, name: str, figures: Mapping[str, float], seen: Examination, rate_hz: float
) -> Path:
    """Write `folder/report.html` about a training from its metrics.jsonl there; return its path."""
    rows = read_rows(folder / "metrics.jsonl", STAGE)
    probes = {k.removeprefix("probe_r2."): v for k, v in figures.items() if "probe_r2." in k}
    body = "".join(
        (
            f"<header><p class='brand'>Housecat</p><h1>{html.escape(name)}</h1></header>",
            section("Learning", figure(
                "The four criteria of a joint embedding",
                criteria(rows),
                "; ".join(label for _, label in CRITERIA) + ". LeCun (2022), section 4.5.",
            )),
            section("Collapse", figure(
                "Deviation of every latent dimension, and the spectrum of their covariance",
                collapse(rows, seen.spectrum),
                "Left: one line a dimension, over training; a flat line near 0 is a dimension that"
                " says nothing. Right: eigenvalues on held-out episodes, largest first.",
            )),
            section("What the latent kept", figure(
                "Share of variance that probes explain, on held-out episodes",
                bars(probes, seen.linear_r2),
                "The readouts are small networks; a linear probe says what lies open.",
            ) + figure(
                "t-SNE map of the latent, coloured by what the sensors showed",
                atlas(seen.map, seen.colours),
                "Each point is a moment of a held-out episode. Smooth colours: the latent is"
                " ordered by that quantity. Distances between far points mean nothing.",
            )),
            section("Forecasts", figure(
                "What was imagined from one glance, against what came",
                strips(seen.strips, rate_hz),
                "Dark: what the sensors showed. Blue: each member of the ensemble, imagining under"
                " the commands that were given, without looking again.",
            )),
            section("Figures", table((k, f"{v:.4g}") for k, v in sorted(figures.items()))),
        )
    )  # fmt: skip
    path = folder / "report.html"
    write_whole(path, document(f"Housecat training {name}", body))
    return path


def read_rows(path: Path, stage: str) -> list[dict[str, float]]:
    """Return the rows of a training log that belong to `stage`, those of its last start only."""
    if not path.is_file():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    kept: list[dict[str, float]] = []
    for row in (r for r in rows if r["stage"] == stage):
        kept = [r for r in kept if r["step"] < row["step"]]
        kept.append(row)
    return kept


def criteria(rows: Sequence[Mapping[str, float]]) -> str:
    """Draw the four criteria over training."""
    with mpl.rc_context(STYLE):
        sheet = Figure(figsize=(10, 2.2), layout="constrained")
        for ax, (name, label) in zip(sheet.subplots(1, 4), CRITERIA, strict=True):
            steps, values = series(rows, name)
            ax.plot(steps, values, lw=1.2)
            ax.set(title=label.partition(" (")[0], xlabel="step")
        return svg(sheet)


def collapse(rows: Sequence[Mapping[str, float]], spectrum: Sequence[float]) -> str:
    """Draw every dimension's deviation over training, and the covariance spectrum after it."""
    with mpl.rc_context(STYLE):
        sheet = Figure(figsize=(10, 2.6), layout="constrained")
        left, right = sheet.subplots(1, 2)
        for name in sorted({k for r in rows for k in r if k.startswith("deviation.")}):
            left.plot(*series(rows, name), lw=0.8, alpha=0.7, color=BLUE)
        left.set(xlabel="step", ylabel="deviation", ylim=(0, None))
        right.plot(range(1, len(spectrum) + 1), spectrum, marker=".", color=INK)
        right.set(xlabel="direction", ylabel="variance", yscale="log")
        return svg(sheet)


def series(rows: Iterable[Mapping[str, float]], name: str) -> tuple[list[float], list[float]]:
    """Return the steps and values of a figure, where the log has it."""
    pairs = [(r["step"], r[name]) for r in rows if name in r]
    return [s for s, _ in pairs], [v for _, v in pairs]


def bars(readouts: Mapping[str, float], linear: Mapping[str, float]) -> str:
    """Draw R² per sensor, of the readouts and of linear probes."""
    names = list(linear)
    with mpl.rc_context(STYLE):
        sheet = Figure(figsize=(10, 0.5 + 0.42 * len(names)), layout="constrained")
        ax = sheet.subplots()
        rows = np.arange(len(names))
        for shift, found, colour, label in (
            (-0.2, readouts, BLUE, "readout"),
            (0.2, linear, AMBER, "linear probe"),
        ):
            shares = [max(found.get(name, 0.0), 0.0) for name in names]
            ax.barh(rows + shift, shares, height=0.36, color=colour, label=label)
            for row, share in zip(rows, shares, strict=True):
                ax.text(share + 0.005, row + shift, f"{share:.3f}", va="center", fontsize=7.5)
        ax.set(yticks=rows, yticklabels=names, xlim=(0, 1.12), xlabel="R²")
        ax.invert_yaxis()
        ax.legend(loc="lower right")
        return svg(sheet)


def atlas(points: Array, colours: Mapping[str, Array]) -> str:
    """Draw the map [n 2] once per quantity, coloured by it."""
    with mpl.rc_context(STYLE):
        sheet, axes = _grid(len(colours), 2.3)
        for ax, (name, values) in zip(axes, colours.items(), strict=False):
            low, high = np.percentile(values, (2, 98))
            scale = Normalize(low, max(high, low + 1e-9))
            across, up = points.T
            ax.scatter(across, up, c=values, s=3, linewidths=0, cmap="viridis", norm=scale)
            ax.set(title=name, xticks=[], yticks=[])
            ax.grid(visible=False)
        return svg(sheet)


def strips(windows: Sequence[Strip], rate_hz: float) -> str:
    """Draw each window as a row of small plots, one per scalar sensor."""
    if not windows:
        return ""
    names = list(windows[0].seen)
    with mpl.rc_context(STYLE):
        sheet = Figure(figsize=(10, 1.25 * len(names)), layout="constrained")
        grid = sheet.subplots(len(names), len(windows), sharex=True, squeeze=False)
        for column, window in enumerate(windows):
            time_s = (1 + np.arange(len(window.seen[names[0]]))) / rate_hz
            for row, name in enumerate(names):
                ax = grid[row][column]
                for member in window.imagined[name]:
                    ax.plot(time_s, member, color=BLUE, lw=0.8, alpha=0.6)
                ax.plot(time_s, window.seen[name], color=INK, lw=1.3)
                if column == 0:
                    ax.set_ylabel(name.replace(" (", "\n("), fontsize=7.5)
            grid[-1][column].set_xlabel("looking ahead (s)")
        return svg(sheet)


def _grid(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of `count` small square plots, and their axes."""
    lines = -(-count // COLUMNS)
    sheet = Figure(figsize=(10, height * lines), layout="constrained")
    axes = np.atleast_1d(sheet.subplots(lines, COLUMNS)).ravel().tolist()
    for spare in axes[count:]:
        spare.remove()
    return sheet, axes[:count]
