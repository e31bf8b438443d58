"""The end card's numbers as words, for the page and the terminal alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Card = Mapping[str, Any]
SHOWN = 5
"""Goals not reached that are explained."""


def badge(card: Card) -> tuple[str, str]:
    """Return the verdict on a run and its tone: `good`, `mixed` or `bad`.

    Bad is whatever truly broke a limit; mixed is a goal missed, or a plan missed its deadline.
    A run without a goal was watched.
    """
    if card["success"] is None:
        late = card.get("deadline_misses", 0)
        return ("watched" + (f" · {late} late" if late else ""), "mixed" if late else "good")
    n, value = card["success"]["n"], card["success"]["value"]
    reached = round(value * n)
    broken = card.get("contacts", 0) + card.get("speeding", 0)
    noun, verb = _success(card)
    goals = f"{reached} of {n} {noun}{'s' if n != 1 else ''} {verb}"
    if broken:
        return f"{goals} · limits broken in {broken} ticks", "bad"
    clean = "no limit broken"
    late = card.get("deadline_misses", 0)
    if reached == n and not late:
        return f"{goals} · {clean}", "good"
    return f"{goals} · {clean}" + (f" · {late} late" if late else ""), "mixed"


def _success(card: Card) -> tuple[str, str]:
    """Return what success is: a goal that is reached, or, where none is asked, an episode.

    Of one whose world does not say whether it succeeded, that it was not broken off.
    """
    if card.get("asked", True):
        return "goal", "reached"
    return "episode", "succeeded" if card.get("judged", True) else "survived"


def share(figure: Card) -> str:
    """Return a success figure as `93 % [85, 98], n = 60`."""
    low, high = figure.get("low"), figure.get("high")
    interval = "" if low is None or high is None else f" [{100 * low:.0f}, {100 * high:.0f}]"
    return f"{100 * figure['value']:.0f} %{interval}, n = {figure['n']}"


def highlights(card: Card) -> list[tuple[str, str]]:
    """Return the four facts to see first, as (name, value)."""
    success, (noun, verb) = card["success"], _success(card)
    tiles = [("ticks watched", str(card.get("ticks", 0)))]
    if success is not None:
        tiles = [
            (f"{noun}s {verb}", f"{round(success['value'] * success['n'])} / {success['n']}"),
            ("true contacts", str(card.get("contacts", 0))),
            ("shortcuts refused", str(card.get("refused_shortcuts", 0))),
        ]
    if card.get("tick_ms_p50") is not None:
        tiles.append(("thinking per tick, median", f"{card['tick_ms_p50']:.1f} ms"))
    return tiles


def true(card: Card) -> list[tuple[str, str]]:
    """Return what truly happened, scored in the simulator, which neither agent nor gate sees."""
    return [
        (f"true {name}", f"{card.get(key, 0)} ticks of {card.get('ticks', 0)}, in the simulator")
        for name, key in (("contacts", "contacts"), ("speeding", "speeding"))
    ]


def believed(card: Card) -> list[tuple[str, str]]:
    """Return what the guardrails took to be so, read out of percepts: never the same as `true`."""
    told = card.get("believed", {})
    promised = told.get("promised")
    beside = "" if promised is None else f", promised {100 * promised:.0f} %"
    found = [(n, one) for n, one in told.get("guardrails", {}).items() if one["n"]]
    return [
        (
            f"believed {name}",
            f"beyond its limit in {one['broken']} ticks; foreseen one tick ahead"
            f" {100 * one['covered']:.1f} % [{100 * one['low']:.1f}, {100 * one['high']:.1f}],"
            f" n = {one['n']}{beside}",
        )
        for name, one in found
    ]


def unreached(found: Card) -> str:
    """Return why a goal was not reached, as `not reached: `clear` forbids it ...`."""
    unit = found.get("goal_unit", "")
    near = f"{found['nearest']:.3g} {unit} away at the nearest"
    if not found.get("guardrail"):
        return f"not reached: {near}; no guardrail forbids the straight way on"
    beyond = f"by {found['beyond']:.3g} {found['unit']}".strip()
    return (
        f"not reached: `{found['guardrail']}` ({found['limit']}) forbids it; {near}, the straight"
        f" way on would break the limit {beyond}, margin included"
    )


def coverage(found: Card) -> str:
    """Return promised coverage beside what was achieved; nothing where margins do not adapt."""
    if not found.get("by_guardrail"):
        return ""
    parts = [
        f"{name} {100 * seen['achieved']:.1f} % ({100 * seen['sealed']:.1f} % by sealed margins)"
        for name, seen in found["by_guardrail"].items()
    ]
    return (
        f"promised {100 * found['promised']:.0f} % of forecasts at every step; achieved at the"
        f" worst step {', '.join(parts)}, n = {found['n']} ticks"
    )


def facts(card: Card) -> list[tuple[str, str]]:
    """Return the card's facts as (name, value) lines, in the order people ask."""
    verdicts = card.get("verdicts", {})
    energy = card.get("energy", {})
    lines = [("watched", f"{card.get('ticks', 0)} ticks; nothing was asked")]
    if card["success"] is not None:
        lines = [
            (" ".join(_success(card)), share(card["success"])),
            *true(card),
            ("shortcuts refused", f"{card.get('refused_shortcuts', 0)} ticks"),
        ]
    lines += [("margins", coverage(card.get("coverage", {})))]
    lines += [(f"goal of {u['seed']}", unreached(u)) for u in card.get("unreached", ())[:SHOWN]]
    lines += [
        *believed(card),
        ("gate", " · ".join(f"{n} {name}" for name, n in verdicts.items())),
        ("mean energy", " · ".join(f"{name} {value:.3g}" for name, value in energy.items())),
    ]
    if card.get("tick_ms_p50") is not None:
        lines.append(
            (
                "thinking per tick",
                f"{card['tick_ms_p50']:.1f} ms median, {card['tick_ms_p99']:.1f} ms p99,"
                f" {card.get('deadline_misses', 0)} deadlines missed",
            )
        )
    for name, figure in card.get("baselines", {}).items():
        success = figure.get("success", figure)
        contacts = figure.get("contacts")
        touched = "" if contacts is None else f"; {contacts} contacts"
        lines.append((f"{name} agent", share(success) + touched))
    if card.get("audit"):
        chain = card["audit"]
        lines.append(("audit log", f"{chain['lines']} verdicts, chain {chain['chain']}"))
    if card.get("seeds"):
        seeds = list(card["seeds"])
        shown = ", ".join(map(str, seeds[:8])) + (", …" if len(seeds) > 8 else "")
        lines.append(("seeds", shown))
    return [(name, value) for name, value in lines if value]
