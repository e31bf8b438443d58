"""The look of the report: a style sheet, and the three blocks pages are built of."""

from __future__ import annotations

import html
from collections.abc import Iterable

CSS = """
:root { --ink:#1f2933; --soft:#52606d; --line:#e2e8f0; --paper:#fff; --back:#f5f7fa; }
* { box-sizing: border-box; }
body { margin:0; background:var(--back); color:var(--ink);
  font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif; }
main { max-width:1120px; margin:0 auto; padding:32px 24px 64px; }
header { display:flex; flex-wrap:wrap; align-items:baseline; gap:6px 16px; margin-bottom:16px; }
.brand { margin:0; font-weight:700; color:#64748b; letter-spacing:.04em; }
h1 { margin:0; font-size:26px; font-weight:650; flex:1 1 auto; }
h2 { margin:36px 0 12px; font-size:19px; font-weight:650; }
h3 { margin:0 0 6px; font-size:15px; font-weight:650; }
.badge { border-radius:999px; padding:5px 14px; font-weight:600; font-size:14px; }
.badge.good { background:#dcfce7; color:#14532d; }
.badge.mixed { background:#fef3c7; color:#78350f; }
.badge.bad { background:#fee2e2; color:#7f1d1d; }
.summary, .moment, figure, details { background:var(--paper); border:1px solid var(--line);
  border-radius:10px; padding:16px 18px; }
.tiles { display:grid; grid-template-columns:repeat(auto-fit,minmax(150px,1fr)); gap:14px;
  margin-bottom:14px; }
.tile { background:var(--paper); border:1px solid var(--line); border-radius:10px;
  padding:12px 18px; }
.tile b { display:block; font-size:25px; font-weight:650; font-variant-numeric:tabular-nums; }
.tile span { color:var(--soft); font-size:13px; }
.summary { display:flex; gap:24px; flex-wrap:wrap; align-items:flex-start; }
.summary table { flex:1 1 380px; width:auto; }
video { flex:0 1 420px; max-width:100%; border-radius:6px; }
.moment { margin-bottom:14px; } .pair { display:grid; grid-template-columns:7fr 4fr; gap:20px; }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums;
  align-self:start; font-size:14px; }
th { text-align:left; font-weight:500; color:var(--soft); padding:4px 14px 4px 0;
  vertical-align:top; white-space:nowrap; }
.pair th { white-space:normal; width:42%; }
td { padding:4px 0; vertical-align:top; } tr+tr>* { border-top:1px solid #eef2f6; }
figure { margin:0 0 14px; } .grid { display:grid; grid-template-columns:1fr 1fr; gap:14px; }
.grid figure { margin:0; } svg { width:100%; height:auto; display:block; }
figcaption, .how { color:var(--soft); font-size:13px; margin:8px 0 0; }
iframe { width:100%; height:520px; border:1px solid var(--line); border-radius:10px;
  background:#fff; }
details { margin-bottom:10px; } summary { cursor:pointer; font-weight:550; }
pre { overflow:auto; font-size:12.5px; line-height:1.45; margin:10px 0 0; }
.note { margin:12px 0 0; color:var(--soft); }
@media (max-width:820px) { .grid, .pair { grid-template-columns:1fr; } }
"""


def section(title: str, body: str) -> str:
    """Return a titled section; `body` is HTML."""
    return f"<section><h2>{html.escape(title)}</h2>{body}</section>"


def figure(title: str, drawing: str, caption: str) -> str:
    """Return a captioned figure around an inline SVG; nothing if there is none."""
    if not drawing:
        return ""
    return (
        f"<figure><h3>{html.escape(title)}</h3>{drawing}"
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def table(lines: Iterable[tuple[str, str]]) -> str:
    """Return a two-column table of (name, value) lines, escaped."""
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in lines
    )
    return f"<table>{rows}</table>"


def document(title: str, body: str) -> str:
    """Return a whole page around `body`, which is HTML; it refers to nothing outside."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title>"
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{CSS}</style></head><body><main>{body}</main></body></html>\n"
    )
