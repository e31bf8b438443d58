"""The report: complete, self-contained, and honest about what is missing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from agent.core.errors import InputError
from agent.core.loop import Tick
from agent.record.log import Recorder, read
from agent.report.html import featured, write_report
from agent.report.series import GuardReader, limits, live_through, refusals
from tests.fake_run import CARD, HEADER, ticks


class Straight:
    """Reads the first two latents as a position; imagines by adding actions up."""

    def read_path(self, latents: Tensor) -> Tensor:
        return latents[:, :2]

    def imagine_path(self, start: Tensor, actions: Tensor) -> Tensor:
        return start[:2] + actions.cumsum(dim=0)

    def guard_path(self, start: Tensor, actions: Tensor) -> Tensor:
        return torch.stack([torch.linspace(-0.1, 0.1, len(actions)), -torch.ones(len(actions))])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "20261121-<reach>"
    with Recorder(path, HEADER) as recorder:
        for tick in ticks(12):
            recorder.write(0, tick, None)
        recorder.write(0, Tick(12, {}, {"actor": 1.0}, ("all is lost",)), None)
    (path / "card.json").write_text(json.dumps(CARD))
    return path


def test_the_page_is_whole_and_fetches_nothing(folder: Path) -> None:
    replay = '<html><body>"3-D" & more</body></html>'
    written = write_report(folder, replay, video=False, paths=Straight(), scene=[(0, 0, 1)])
    page = written.read_text()
    for title in (
        "The refused shortcut",
        "Replay",
        "Guardrails",
        "Verdicts",
        "Energy by term",
        "Time per module",
        "Mode, attention, sub-goals",
        "Expected energy and what happened",
        "What it considered",
        "Foresight",
        "Forecast of the next percept",
        "Map of the latent space",
        "Resolved config",
    ):
        assert title in page
    assert "1 of 1 goal reached" in page
    assert "&lt;reach&gt;" in page
    assert "&lt;b&gt;&amp;amp;&lt;/b&gt;" in page
    assert 'srcdoc="&lt;html&gt;' in page
    assert "beyond the limit by" in page
    assert "<th>runner-up</th>" in page
    outside = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert not re.findall(r"https?://", outside)
    assert not re.findall(r'(?:src|href)="(?!#|data:)', outside)


def test_every_plot_says_how_to_read_it(folder: Path) -> None:
    page = write_report(folder, None, video=False).read_text()
    figures = re.findall(r"<figure>.*?</figure>", page, flags=re.DOTALL)
    assert len(figures) == 10
    assert all("<svg" in f and re.search(r"<figcaption>\w.*\.</figcaption>", f) for f in figures)


def test_a_run_without_positions_or_guardrails_is_reported_too(tmp_path: Path) -> None:
    header = HEADER | {
        "guardrails": [],
        "layouts": {**HEADER["layouts"], "goal": [["depth", 1, "m"]]},
    }
    with Recorder(tmp_path, header) as recorder:
        for tick in ticks(4):
            recorder.write(0, tick, None)
    (tmp_path / "card.json").write_text(json.dumps(CARD | {"contacts": 3}))
    (tmp_path / "video.mp4").write_bytes(b"film")
    page = write_report(tmp_path, None, video=True).read_text()
    assert "limits broken in 3 ticks" in page
    assert "data:video/mp4;base64,ZmlsbQ==" in page


def test_limits_are_parsed_from_their_text() -> None:
    clear, speed, odd = limits(
        HEADER | {"guardrails": [*HEADER["guardrails"], {"name": "odd", "limit": "be nice"}]}
    )
    assert (clear.quantity, clear.side, clear.value, clear.size) == ("proximity", -1, 0.02, False)
    assert (speed.quantity, speed.side, speed.value, speed.size) == ("joint_speed", 1, 2.0, True)
    assert odd.quantity is None


def test_refusals_are_few_and_apart(folder: Path) -> None:
    record = read(folder)
    life = live_through(record, record.episodes[featured(record)])
    chosen = refusals(life, most=2)
    assert 1 <= len(chosen) <= 2
    assert isinstance(Straight(), GuardReader)
    assert all(life.tempted[t] > 0 or life.ruling[t] for t in chosen)


def test_without_card_or_ticks_there_is_no_report(tmp_path: Path) -> None:
    Recorder(tmp_path, HEADER).close()
    with pytest.raises(InputError, match="end card"):
        write_report(tmp_path, None, video=False)
    (tmp_path / "card.json").write_text(json.dumps(CARD))
    with pytest.raises(InputError, match="without a tick"):
        write_report(tmp_path, None, video=False)
