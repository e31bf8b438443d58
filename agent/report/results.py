"""README's results table, rendered from what named commands wrote: no number by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.core.errors import InputError

BEGIN, END = "<!-- results -->", "<!-- /results -->"
EVAL, REACTIVE, BENCH = "eval-reach", "eval-reach-mode1", "bench-tick"
PIXELS = "eval-reach-pixels"
PIXELS_TRAINED = tuple(f"train-reach-pixels-seed{seed}" for seed in range(3))
TRAINED = tuple(f"train-reach-seed{seed}" for seed in range(3))

Figures = Mapping[str, Mapping[str, Any]]
Form = Callable[[Mapping[str, Any]], str]


def fill(readme: Path = Path("README.md"), folder: Path = Path("docs/results")) -> None:
    """Put the table of `folder` between the markers of `readme`.

    Raises InputError if `readme` has no markers.
    """
    between(readme, "results", render(folder))


def between(page: Path, mark: str, text: str) -> None:
    """Put `text` between the markers `<!-- mark -->` and `<!-- /mark -->` of a page.

    Raises InputError if the page has no such markers.
    """
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise InputError(f"results: expected {begin} ... {end} in {page}; put them back")
    page.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")


def render(folder: Path) -> str:
    """Return the table in Markdown; figures and files that are not there have no row."""
    found = {path.stem: json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")}
    rows = list(_rows({name: whole["figures"] for name, whole in found.items()}))
    if not rows:
        return "No figures yet: `make bench`.\n"
    lines = ["| | value [95 % interval] | n |", "|---|---|---|"]
    lines += [f"| {what} | {value} | {n} |" for what, value, n in rows]
    named = (EVAL, REACTIVE, BENCH, *TRAINED, PIXELS, *PIXELS_TRAINED)
    names = [name for name in named if name in found]
    lines += ["", "Each command, and the machine it ran on:", ""]
    lines += [f"- `{found[name]['command']}`: {where(found[name])}" for name in names]
    return "\n".join(lines) + "\n"


def _rows(found: Mapping[str, Figures]) -> Iterator[tuple[str, str, str]]:
    """Yield what, value and n of every row whose figures are there."""
    thinking, reacting = found.get(EVAL, {}), found.get(REACTIVE, {})
    mode2: list[tuple[str, str, Form]] = [
        ("goal reached, planning (Mode-2)", "success", _share),
        *((f"goal reached, training seed {s}", f"success.seed{s}", _share) for s in range(3)),
        ("goal reached, true simulator in the world model's place", "oracle_success", _share),
        ("goal reached, random commands", "random_success", _share),
        ("score: 0 random, 100 true simulator", "score", _number),
        ("ticks in contact with the post", "true_contacts", _events),
        ("ticks beyond 2 rad/s", "true_speeding", _events),
        ("ticks in contact or too fast, random commands", "random_violations", _events),
        ("least distance between arm and post", "closest_m", _number),
        ("ticks until the goal is reached and held", "reach_ticks", _number),
        ("plans vetoed by the gate", "vetoes", _events),
        ("plans repaired by the gate", "repairs", _events),
        ("tick, median", "tick_ms_p50", _number),
        ("tick, 99th percentile", "tick_ms_p99", _number),
        ("plan, median", "plan_ms_p50", _number),
        ("deadlines missed", "deadline_misses", _events),
    ]
    mode1: list[tuple[str, str, Form]] = [
        ("goal reached, policy alone (Mode-1)", "success", _share),
        ("ticks in contact or too fast, Mode-1", "true_violations", _events),
        ("tick, Mode-1, median", "tick_ms_p50", _number),
        ("plan, Mode-1, median", "plan_ms_p50", _number),
    ]
    yield from _of(thinking, mode2)
    yield from _of(reacting, mode1)
    if thinking.get("success", {}).get("value") and "success" in reacting:
        kept = reacting["success"]["value"] / thinking["success"]["value"]
        yield "goals Mode-1 reaches, as a share of Mode-2's", f"{100 * kept:.1f} %", ""
    trained: list[tuple[str, str, Form]] = [
        ("training, wall-clock", "train_s", lambda f: f"{f['value']:.0f} s"),
        ("transitions", "transitions", lambda f: f"{f['value']:,.0f}"),
        ("effective rank of the latent", "effective_rank", _number),
        ("variance of the fingertip that readouts explain", "probe_r2.fingertip", _exact),
        ("margins: promised coverage", "calibrate.promised_coverage", _exact),
        ("margins: coverage of fresh plans, mean", "calibrate.coverage_mean", _exact),
        (
            "margins: coverage of fresh plans, worst guardrail and step",
            "calibrate.coverage",
            _exact,
        ),
    ]
    yield from _trainings(found, TRAINED, trained)
    yield from _of(
        found.get(PIXELS, {}),
        [
            ("from pixels: goal reached, planning", "success", _share),
            ("from pixels: ticks in contact or too fast", "true_violations", _events),
            ("from pixels: tick, median", "tick_ms_p50", _number),
        ],
    )
    yield from _trainings(
        found,
        PIXELS_TRAINED,
        [
            ("from pixels: training on one core", "train_cpu_s", lambda f: f"{f['value']:.0f} s"),
            ("from pixels: transitions", "transitions", lambda f: f"{f['value']:,.0f}"),
            ("from pixels: variance of position explained", "probe_r2.fingertip", _exact),
            ("from pixels: variance of velocity explained", "probe_r2.joint_speed", _exact),
        ],
    )
    yield from _of(
        found.get(BENCH, {}), [("bookkeeping of a tick, median", "tick_overhead_us", _number)]
    )


def _trainings(
    found: Mapping[str, Figures],
    names: Sequence[str],
    rows: Sequence[tuple[str, str, Form]],
) -> Iterator[tuple[str, str, str]]:
    """Yield rows whose figures stand beside one another, one per training."""
    for what, name, form in rows:
        values = [found[t][name] for t in names if name in found.get(t, {})]
        if values:
            shown = " / ".join(dict.fromkeys(form(v) for v in values))
            yield what, shown, f"{len(values)} training{'s' if len(values) > 1 else ''}"


def _of(figures: Figures, rows: list[tuple[str, str, Form]]) -> Iterator[tuple[str, str, str]]:
    for what, name, form in rows:
        figure = figures.get(name)
        if figure is not None and figure["value"] is not None:
            n = figure["n"]
            yield what, form(figure), "" if n is None else f"{n:,}"


def _share(figure: Mapping[str, Any]) -> str:
    bounds = [figure["low"], figure["high"]]
    shown = "" if None in bounds else " [" + ", ".join(f"{100 * b:.1f}" for b in bounds) + "]"
    return f"{100 * figure['value']:.1f} %{shown}"


def _events(figure: Mapping[str, Any]) -> str:
    bounds = [figure["low"], figure["high"]]
    shown = "" if None in bounds else " [" + ", ".join(f"{b:.1f}" for b in bounds) + "]"
    return f"{figure['value']:,.0f}{shown}"


def _number(figure: Mapping[str, Any]) -> str:
    bounds = [figure["low"], figure["high"]]
    shown = "" if None in bounds else " [" + ", ".join(f"{b:.3g}" for b in bounds) + "]"
    unit = figure["unit"] if figure["unit"] != "us" else "µs"
    return f"{figure['value']:.3g}" + (f" {unit}" if unit else "") + shown


def _exact(figure: Mapping[str, Any]) -> str:
    return f"{figure['value']:.3f}"


def where(whole: Mapping[str, Any]) -> str:
    """Return the machine that a file's figures were measured on."""
    machine = whole["machine"]
    cpu = re.sub(r"\s+", " ", re.sub(r"\((R|TM)\)", "", str(machine["cpu"])))
    return f"{cpu}, {machine['cores']} cores, {machine['torch_threads']} thread, no GPU used"
