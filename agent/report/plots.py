"""The report's figures: each a function from arrays to one inline SVG."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from agent.report.affect import feelings
from agent.report.series import Array, Disc, Life, Limit

INK, GREY, BLUE, GREEN = "#1f2933", "#94a3b8", "#2563eb", "#15803d"
AMBER, RED, VIOLET, TEAL = "#d97706", "#dc2626", "#7c3aed", "#0891b2"
CYCLE = (BLUE, AMBER, GREEN, VIOLET, TEAL, "#be185d", "#65a30d", "#475569")
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": "#cbd5e1",
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=CYCLE),
    "grid.color": "#e9eef5",
    "text.color": INK,
    "xtick.color": "#52606d",
    "ytick.color": "#52606d",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "svg.fonttype": "path",
    "svg.hashsalt": "housecat",
}


def svg(figure: Figure) -> str:
    """Return a figure as an inline SVG element that refers to nothing outside."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight")
    drawn = buffer.getvalue()
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn[drawn.index("<svg") :], flags=re.DOTALL)
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', "", drawn, count=1)


def energies(life: Life) -> str:
    """Draw the energy of every term over time."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.6, 2.9))
        ax = figure.subplots()
        for name, values in life.terms.items():
            ax.plot(life.time_s, values, lw=1.3, label=name)
        ax.plot(life.time_s, life.energy, color=INK, lw=1.8, label="all, weighted")
        ax.set(xlabel="time (s)", ylabel="energy (lower is better)")
        ax.legend(ncols=3, loc="upper right")
        return svg(figure)


def affect(life: Life) -> str:
    """Draw what the critic anticipates, where that is above the usual, and where it fell."""
    felt = feelings(life.anticipation.tolist())
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 2.4), layout="constrained")
        ax = figure.subplots()
        ahead, usual = felt["anticipation"], felt["usual"]
        ax.plot(life.time_s, ahead, color=INK, lw=1.6, label="anticipated")
        ax.plot(life.time_s, usual, color=GREY, lw=1.2, ls="--", label="usual so far")
        ax.fill_between(
            life.time_s, usual, ahead, where=ahead > usual, color=RED, alpha=0.2, lw=0,
            label="dread",
        )  # fmt: skip
        ax.bar(life.time_s, felt["relief"], step_s(life), color=GREEN, label="relief", lw=0)
        ax.set(xlabel="time (s)", ylabel="intrinsic energy to come")
        figure.legend(*ax.get_legend_handles_labels(), ncols=4, loc="outside upper left")
        return svg(figure)


def verdicts(life: Life) -> str:
    """Draw what the gate decided, tick by tick, and when the planner was tempted."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.6, 1.5))
        ax = figure.subplots()
        tick = step_s(life)
        kinds = ((0, "allowed", GREEN), (1, "repaired", AMBER), (2, "vetoed", RED))
        for code, name, colour in kinds:
            spans = [(t, tick) for t in life.time_s[life.ruling == code]]
            label = f"{name} ({len(spans)})"
            ax.broken_barh(spans, (1.1, 0.8), color=colour, lw=0.4, label=label)
        spans = [(t, tick) for t in life.time_s[life.tempted > 0]]
        label = f"shortcut refused ({len(spans)})"
        ax.broken_barh(spans, (0.1, 0.8), color=VIOLET, lw=0.4, label=label)
        ax.set(xlabel="time (s)", ylim=(0, 2), yticks=[0.5, 1.5], yticklabels=["planner", "gate"])
        ax.grid(visible=False)
        ax.legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2)
        return svg(figure)


def step_s(life: Life) -> float:
    """Return how long a tick is, in seconds."""
    return float(np.median(np.diff(life.time_s))) if len(life.time_s) > 1 else 1.0


def guardrails(life: Life, limits: Sequence[Limit], units: Mapping[str, str]) -> str:
    """Draw each guardrail's quantity, realised and predicted, against its limit."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.6, 0.4 + 1.7 * max(1, len(limits))), layout="constrained")
        axes = figure.subplots(max(1, len(limits)), 1, sharex=True, squeeze=False)[:, 0]
        worst = _quiet(np.nanmax, life.values, axis=2) if life.values.ndim == 3 else None
        for r, (limit, ax) in enumerate(zip(limits, axes, strict=False)):
            known = limit.quantity in life.sensors
            predicted = None if worst is None else worst[:, r]
            if known and limit.quantity is not None:
                real = _binding(life.sensors[limit.quantity], limit)
                ax.plot(life.time_s, real, color=INK, lw=1.6, label="realised (sensor)")
                predicted = None if predicted is None else limit.quantity_at(predicted)
                ax.set_ylabel(f"{limit.quantity} ({units.get(limit.quantity, '')})")
            else:
                ax.set_ylabel("value (> 0 violates)")
            if predicted is not None:
                label = "predicted worst of the plan, margin included"
                ax.plot(life.time_s, predicted, color=BLUE, lw=1, ls=":", label=label)
            ax.axhline(limit.value if known else 0.0, color=RED, lw=1.2, ls="--", label="limit")
            forbid(ax, limit.value if known else 0.0, limit.side > 0 or not known)
            ax.set_title(f"{limit.name}: {limit.words}")
        axes[-1].set_xlabel("time (s)")
        figure.legend(*axes[0].get_legend_handles_labels(), ncols=3, loc="outside lower left")
        return svg(figure)


def timing(life: Life, rate_hz: float) -> str:
    """Draw the time each module takes."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.6, 0.5 + 0.3 * max(2, len(life.ms))))
        ax = figure.subplots()
        names = list(life.ms)
        middle = np.array([_quiet(np.nanmedian, v) for v in life.ms.values()])
        slow = np.array([_quiet(np.nanpercentile, v, 99) for v in life.ms.values()])
        rows = np.arange(len(names))
        ax.barh(rows, middle, color=BLUE, height=0.55, label="median")
        ax.hlines(rows, middle, slow, color=GREY, lw=1.5)
        ax.plot(slow, rows, "|", color=INK, ms=9, label="99th percentile")
        ax.axvline(1e3 / rate_hz, color=RED, lw=1, ls="--", label=f"one tick at {rate_hz:g} Hz")
        ax.set(xscale="log", xlabel="time per tick (ms)", yticks=rows, yticklabels=names)
        ax.invert_yaxis()
        ax.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2)
        return svg(figure)


def latent_map(life: Life, near: str | None, units: Mapping[str, str]) -> tuple[str, float]:
    """Draw latents in their two main directions (PCA); return also the variance those explain."""
    keep = np.isfinite(life.latents).all(axis=-1) if life.latents.ndim == 2 else np.zeros(0, bool)
    if keep.sum() < 3:
        return "", 0.0
    centred = life.latents[keep] - life.latents[keep].mean(axis=0)
    _, scale, axes = np.linalg.svd(centred, full_matrices=False)
    flat = centred @ axes[:2].T
    explained = float((scale[:2] ** 2).sum() / max(float((scale**2).sum()), 1e-300))
    shades: list[tuple[str, Array, str]] = [
        ("time (s)", life.time_s[keep], "viridis"),
        ("energy", life.energy[keep], "magma_r"),
    ]
    if near is not None:
        closest = life.sensors[near][keep].min(axis=1)
        shades.append((f"{near} ({units.get(near, '')})", closest, "cividis"))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 2.9))
        for ax, (name, shade, colours) in zip(
            figure.subplots(1, len(shades), sharex=True, sharey=True), shades, strict=True
        ):
            ax.plot(flat[:, 0], flat[:, 1], color="#e2e8f0", lw=0.8, zorder=1)
            dots = ax.scatter(flat[:, 0], flat[:, 1], c=shade, s=11, cmap=colours, zorder=2)
            figure.colorbar(dots, ax=ax, label=name, shrink=0.85)
            ax.set_xlabel("first principal component")
        figure.axes[0].set_ylabel("second principal component")
        figure.tight_layout()
        return svg(figure), explained


def plane(
    ax: Axes, life: Life, unit: str, scene: Sequence[Disc] = (), until: int | None = None
) -> None:
    """Draw the realised path (up to a tick), its start, the goal and obstacles, from above."""
    for x, y, radius in scene:
        ax.add_patch(Circle((x, y), radius, color=RED, alpha=0.25, lw=0))
    if life.path is not None:
        ax.plot(*life.path[:until].T, color=INK, lw=1.8, label="realised path")
        ax.plot(*life.path[0], "o", color=INK, ms=6, label="start")
    if len(life.goal) == 2:
        ax.plot(*life.goal, "*", color=GREEN, ms=14, mec="white", label="goal")
    name = life.position or "position"
    ax.set(xlabel=f"{name} x ({unit})", ylabel=f"{name} y ({unit})")
    ax.set_aspect("equal", adjustable="datalim")


def forbid(ax: Axes, edge: float, above: bool) -> None:
    """Shade the side of a limit that is forbidden, and make room to see it."""
    low, high = ax.get_ylim()
    room = 0.15 * (high - low)
    low, high = (low, max(high, edge + room)) if above else (min(low, edge - room), high)
    ax.axhspan(*((edge, high) if above else (low, edge)), color=RED, alpha=0.08, lw=0)
    ax.set_ylim(low, high)


def _binding(values: Array, limit: Limit) -> Array:
    """Return the component [T] of a quantity [T n] nearest to violating."""
    sized = np.abs(values) if limit.size else values
    binding: Array = sized.max(axis=1) if limit.side > 0 else sized.min(axis=1)
    return binding


def _quiet(reduce: object, values: Array, *rest: float, **where: int) -> Array:
    """Apply a NaN-ignoring reduction; all-NaN slices give NaN without a warning."""
    assert callable(reduce)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        reduced: Array = reduce(values, *rest, **where)
    return reduced


__all__ = [
    "energies",
    "forbid",
    "guardrails",
    "latent_map",
    "plane",
    "step_s",
    "svg",
    "timing",
    "verdicts",
]
