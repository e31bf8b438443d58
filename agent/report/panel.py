"""What the agent thinks, live in the terminal: one row per module, in the architecture's order.

The loop only leaves its latest tick here; drawing happens at most four times a second, in
another thread. Where there is no terminal, one plain line per second of simulated time.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel as Frame
from rich.table import Table
from rich.text import Text

from agent.core.loop import Tick
from agent.core.messages import Appraisal, Directive
from agent.record.metrics import Row, rows
from agent.report.affect import Affect, Feeling
from agent.report.card import Card, badge, facts
from agent.report.executive import attention
from agent.report.outlook import Glance, Outlook
from agent.report.subgoals import stack, told

REFRESH_HZ = 4
MODES = {0: "goes on", 1: "Mode-1, reactive", 2: "Mode-2, deliberate"}
TONES = {"allowed": "green", "repaired": "yellow", "vetoed": "red"}
BADGES = {
    "good": "bold white on green",
    "mixed": "bold black on yellow",
    "bad": "bold white on red",
}


class Panel:
    """Shows the latest tick of agent 0. Use it as a context manager, or call `close`."""

    def __init__(self, header: Mapping[str, Any], console: Console | None = None) -> None:
        """Open the panel of a run; `header` is the one of its log (`terms`, `rate_hz`, ...)."""
        self._header, self._console = header, console or Console()
        self._every = max(1, round(float(header.get("rate_hz", 1.0))))
        self._latest: tuple[int, Tick] | None = None
        self._affect, self._felt = Affect(), None  # type: Affect, Feeling | None
        self._outlook, self._glance = Outlook(header.get("terms", ())), Glance()
        self._live: Live | None = None
        if self._console.is_terminal:
            self._live = Live(
                console=self._console,
                get_renderable=self.render,
                refresh_per_second=REFRESH_HZ,
                transient=True,
            )
            self._live.start()

    def update(self, episode: int, tick: Tick) -> None:
        """Show `tick` of episode number `episode`; returns at once."""
        if tick.index == 0:
            self._affect, self._outlook = Affect(), Outlook(self._header.get("terms", ()))
        appraisal = tick.messages.get(Appraisal)
        self._felt = appraisal and self._affect.feel(float(appraisal.anticipation[0]))
        self._glance = self._outlook.look(tick)
        self._latest = (episode, tick)
        if self._live is None and tick.index % self._every == 0:
            row = rows(episode, tick, self._header)[0]
            line = _line(row, tick, self._glance)
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def render(self) -> RenderableType:
        """Return the panel as it is now."""
        if self._latest is None:
            return Text("waking up")
        episode, tick = self._latest
        row = rows(episode, tick, self._header)[0]
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(style="bold cyan", no_wrap=True, min_width=12)
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        grid.add_column(justify="right", style="dim", no_wrap=True, min_width=9)
        said = _words(row, self._header, self._felt, self._glance)
        said["configurator"].append(_attention(tick, self._header))
        for name, words in said.items():
            grid.add_row(name.replace("_", " "), words, _ms(row, name))
            if name == "configurator" and (goals := stack(tick.messages, self._header)):
                grid.add_row("sub-goals", Text(told(goals)), "")
        for fault in tick.faults:
            grid.add_row("fault", Text(fault, style="red"), "")
        title = f"Housecat · episode {episode} · {_number(row['time_s'])} s · tick {tick.index}"
        return Frame(grid, title=title, title_align="left", border_style="dim", padding=(0, 1))

    def close(self) -> None:
        """Take the panel off the terminal; the end card follows."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def end_card(card: Card) -> RenderableType:
    """Return the end card; printed to a file or pipe it is plain text."""
    verdict, tone = badge(card)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("verdict", Text().append(f" {verdict} ", BADGES[tone]))
    for name, value in facts(card):
        grid.add_row(name, value)
    places = card.get("paths", {})
    for name in ("folder", "report", "video"):
        if places.get(name):
            grid.add_row(name, Text(str(places[name]), style="cyan"))
    if places.get("video_note") and not places.get("video"):
        grid.add_row("video", Text(f"none: {places['video_note']}"))
    return Frame(grid, title="Housecat", title_align="left", expand=False, padding=(0, 1))


def _words(
    row: Row, header: Mapping[str, Any], felt: Feeling | None, glance: Glance
) -> dict[str, Text]:
    """Return what each module says, by module; a dash where it said nothing."""
    energy = Text(f"energy {_number(row['energy'])}")
    if glance.expected is not None:
        words = f" · expected {glance.expected:.3g}, came {_number(glance.charged)}"
        energy.append(words, "green" if (glance.charged or 0.0) <= glance.expected else "yellow")
    if felt is not None and felt.anticipation > 0:
        energy.append(f" · dread {felt.dread:.2g}", "red" if felt.dread > 0 else "dim")
        energy.append(f" · relief {felt.relief:.2g}", "green" if felt.relief > 0 else "dim")
    for name in header.get("terms", ()):
        energy.append(f" · {name} {_number(row.get(f'term.{name}'))}", "dim")
    plan = Text(f"{MODES[row['thought']]} · " if row["thought"] in MODES else "")
    plan.append(f"plan energy {_number(row['plan_energy'])} · {_number(row['plan_ms'])} ms")
    if (row["tempted"] or 0.0) > 0:
        plan.append(f" · shortcut refused (by {_number(row['tempted'])})", "magenta")
    share = glance.deliberated / glance.planned if glance.planned else 0.0
    plan.append(f" · Mode-2 in {100 * share:.0f} % of ticks", "dim")
    plan.append(f" · {row['evaluations'] or 0} plans × {row['horizon'] or 0} ticks", "dim")
    if row["lost"]:
        plan.append(f" · runner-up {row['lost']}", "dim")
    return {
        "configurator": Text(f"{MODES.get(row['mode'], '–')} · horizon {row['horizon'] or '–'}"),
        "perception": Text(f"surprise {_number(row['surprise'])} ")
        .append(glance.sparks(), "blue")
        .append(f" · uncertainty {_number(row['uncertainty'])}"),
        "memory": Text(f"nearest memory at {_number(row['nearest'])}"),
        "cost": energy,
        "world_model": Text(
            f"forecast spread {_number(row['spread'])}"
            + (f" · of z {_number(row['z_spread'])}" if row["z_spread"] else "")
        ),
        "actor": plan,
        "gate": _ruling(row),
    }


def _attention(tick: Tick, header: Mapping[str, Any]) -> str:
    """Return what the directive attends to, as the end of a line."""
    names = [n for n, _, _ in header.get("layouts", {}).get("sensors", ())]
    asked = tick.messages.get(Directive)
    if asked is None or asked.attention.shape[1] != len(names):
        return ""
    return f" · {attention(asked.attention[0], names)}"


def _ruling(row: Row) -> Text:
    ruling = row["ruling"] or "silent"
    words = Text().append(ruling.upper(), f"bold {TONES.get(ruling, 'red')}")
    words.append(f" · worst guardrail {_number(row['predicted'])}", "dim")
    words.append(f" · margin {_number(row['margin'])}", "dim")
    if row["reason"]:
        words.append(f" · {row['reason']}")
    return words


def _line(row: Row, tick: Tick, glance: Glance) -> str:
    """Return a tick in one plain line."""
    total = sum(tick.elapsed_ms.values())
    due = "" if glance.expected is None else f" (expected {glance.expected:.3g})"
    line = (
        f"episode {row['episode']} t {_number(row['time_s'])} s"
        f" energy {_number(row['energy'])}{due} surprise {_number(row['surprise'])}"
        f" plan {_number(row['plan_energy'])} mode {row['mode'] or '–'}"
        f" {row['ruling'] or 'silent'} {total:.1f} ms"
    )
    if (row["tempted"] or 0.0) > 0:
        line += " shortcut refused"
    return "; ".join([line, *tick.faults])


def _ms(row: Row, name: str) -> str:
    ms = row.get(f"ms.{name}")
    return "" if ms is None else f"{ms:.2f} ms"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
