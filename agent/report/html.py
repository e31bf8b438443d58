"""One self-contained HTML page about a run: nothing is fetched, all of it works from `file://`."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.core.errors import InputError
from agent.record.files import write_whole
from agent.record.playback import Record, read
from agent.report import plots
from agent.report.card import badge, facts, highlights
from agent.report.page import document, figure, section, table
from agent.report.refused import Moment, moment, straight
from agent.report.series import Disc, Life, Limit, PathReader, limits, live_through, refusals
from agent.report.thoughts import thoughts

DEFINED = "Energies have no unit; lower is better."


def write_report(
    folder: Path,
    replay: str | None,
    video: bool,
    paths: PathReader | None = None,
    scene: Sequence[Disc] = (),
) -> Path:
    """Write `folder/report.html` from the log and `card.json` there; return its path.

    `replay` is a self-contained page to embed (`worlds.stage.replay_html`), made of the episode
    `featured` names; `video` says whether to embed `folder/video.mp4`. `paths` turns latents into
    positions; a `GuardReader` also says what a refused plan would have broken. `scene` shows
    people the round obstacles (`worlds.stage.discs`); the agent never saw them.
    Raises InputError if log or card is missing or empty.
    """
    record, card = read(folder), _card(folder)
    if not any(e.ticks for e in record.episodes):
        raise InputError(f"report: {folder} holds a log without a tick; run it again")
    life = live_through(record, record.episodes[featured(record)])
    header = record.header
    known = limits(header)
    units = {n: u for n, _, u in header.get("layouts", {}).get("sensors", ())}
    stories = [moment(life, t, known, units, paths, scene) for t in refusals(life)]
    direct = straight(life, known, units, paths, scene)
    stories = stories if direct is None else [direct, *stories]
    body = "\n".join(
        [
            _summary(record, card, life, folder, video),
            _shortcuts(stories, life),
            _replay(replay),
            _behaviour(life, known, units, float(header.get("rate_hz", 1.0))),
            thoughts(life, header, known, units, paths, scene),
            _papers(record),
        ]
    )
    path = folder / "report.html"
    write_whole(path, document(f"Housecat run {folder.name}", body))
    return path


def featured(record: Record) -> int:
    """Return which episode the report tells of: the one with the most refused shortcuts."""
    tempted = [
        float(live_through(record, episode).tempted.sum()) if episode.ticks else -1.0
        for episode in record.episodes
    ]
    return tempted.index(max(tempted)) if tempted else 0


def _card(folder: Path) -> dict[str, Any]:
    path = folder / "card.json"
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        came = "none" if isinstance(fault, FileNotFoundError) else type(fault).__name__
        raise InputError(
            f"report: expected an end card at {path}, came {came}; a run that was stopped has none,"
            f" and `audit` reads its log; for a report run it again to its end"
        ) from fault
    return card


def _summary(record: Record, card: Mapping[str, Any], life: Life, folder: Path, video: bool) -> str:
    verdict, tone = badge(card)
    header = record.header
    told = facts(card)
    tiles = "".join(
        f"<div class='tile'><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>"
        for name, value in highlights(card)
    )
    told += [
        ("this page shows", f"episode {life.index} of {len(record.episodes)}, agent 0"),
        ("config", str(header.get("config_hash", ""))[:12]),
        ("guardrail seal", str(header.get("seal", ""))[:12]),
    ]
    notes = ""
    if record.truncated:
        notes += '<p class="note">The log was cut short; this is what it holds.</p>'
    if record.events:
        listed = "".join(f"<li>{html.escape(e)}</li>" for e in record.events[:20])
        notes += f'<details class="note"><summary>{len(record.events)} events</summary>'
        notes += f"<ul>{listed}</ul></details>"
    movie = _movie(folder / "video.mp4") if video else ""
    half = (len(told) + 1) // 2
    sheet = table(told) if movie else table(told[:half]) + table(told[half:])
    return (
        f"<header><p class='brand'>Housecat</p><h1>{html.escape(folder.name)}</h1>"
        f"<span class='badge {tone}'>{html.escape(verdict)}</span></header>"
        f"<div class='tiles'>{tiles}</div>"
        f"<section class='summary'>{sheet}{movie}</section>{notes}"
    )


def _movie(path: Path) -> str:
    """Return the video as part of the page, so that the page can be sent around alone."""
    if not path.is_file():
        return ""
    coded = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<video src="data:video/mp4;base64,{coded}" controls muted loop></video>'


def _shortcuts(stories: list[Moment], life: Life) -> str:
    if not stories:
        return section("The refused shortcut", "<p>No plan was refused in this episode.</p>")
    blocks = []
    for story in stories:
        head = f"<h3>{story.time_s:.2f} s: {story.who} said no</h3>"
        blocks.append(
            f"<div class='moment'>{head}<div class='pair'>{story.drawing}"
            f"{table(story.facts)}</div></div>"
        )
    caption = (
        "Left: seen from above, the plan it chose (blue), its runner-up, the best that differs from"
        " it (grey), and the one that was refused (red): where the guardrails were asked about the"
        " straight way, the plan that nears the goal fastest; otherwise the candidate of least"
        " energy. Right: what the deciding guardrail watches, step by step of both plans, with the"
        " calibrated margin added; in the red zone the guardrail is violated."
    )
    return section("The refused shortcut", "".join(blocks) + f"<p class='how'>{caption}</p>")


def _replay(replay: str | None) -> str:
    if replay is None:
        return ""
    frame = (
        f'<iframe title="3-D replay" loading="lazy" srcdoc="{html.escape(replay, quote=True)}">'
        f"</iframe>"
    )
    caption = "Drag to turn, scroll to zoom; green is the goal, orange the plan of that moment."
    return section("Replay", frame + f"<p class='how'>{caption}</p>")


def _behaviour(life: Life, known: list[Limit], units: Mapping[str, str], rate_hz: float) -> str:
    parts = [
        figure(
            "Guardrails",
            plots.guardrails(life, known, units),
            "The black line is what the sensor showed and must stay out of the red zone; dotted is"
            " the worst value that tick's plan expected anywhere along its horizon. What truly"
            " happened is scored apart, in the simulator: see the rows called true above.",
        )
        if known
        else "",
        figure(
            "Verdicts",
            plots.verdicts(life),
            "Top row: what the gate did with each plan. Bottom row: ticks in which the plan of"
            " least energy was refused because it would have violated a guardrail.",
        ),
        figure(
            "Energy by term",
            plots.energies(life),
            f"What each cost term charges for the present state. {DEFINED}",
        ),
        figure(
            "Time per module",
            plots.timing(life, rate_hz),
            "Bars end at the median, ticks at the 99th percentile; right of the dashed line the"
            " agent would be late.",
        ),
    ]
    return section("What it did", f"<div class='grid'>{''.join(parts)}</div>")


def _papers(record: Record) -> str:
    header = dict(record.header)
    config = html.escape(str(header.pop("config", "not recorded")))
    rest = html.escape(json.dumps(header, indent=2, ensure_ascii=False))
    return section(
        "Papers",
        f"<details><summary>Resolved config</summary><pre>{config}</pre></details>"
        f"<details><summary>Seal, seeds, machine, versions</summary><pre>{rest}</pre></details>",
    )
