"""The page about a training: what it draws is what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from agent.config.build import Mind
from agent.report.training import Examination, Strip, read_rows, write_training
from agent.train.dataset import Dataset
from agent.train.examine import examine, spectrum, tsne


def rows(path: Path) -> None:
    made = [
        {"stage": "world_model", "step": 1, "loss": 9.0, "deviation.0": 0.1},
        {"stage": "world_model", "step": 101, "loss": 8.0},
        {"stage": "readouts", "step": 1, "loss": 5.0},
        {"stage": "world_model", "step": 1, "loss": 3.0, "deviation.0": 0.2, "deviation.1": 0.3},
        {"stage": "world_model", "step": 101, "loss": 2.0, "information_x": -1.0},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in made))


def test_a_log_that_was_begun_again_counts_from_its_last_start(tmp_path: Path) -> None:
    rows(tmp_path / "metrics.jsonl")
    found = read_rows(tmp_path / "metrics.jsonl", "world_model")
    assert [row["loss"] for row in found] == [3.0, 2.0]
    assert read_rows(tmp_path / "none.jsonl", "world_model") == []


def test_the_page_is_whole_and_fetches_nothing(tmp_path: Path) -> None:
    rows(tmp_path / "metrics.jsonl")
    seen = Examination(
        spectrum=[2.0, 1.0],
        deviations=[1.0, 1.0],
        linear_r2={"<angle>": 0.5},
        map=np.zeros((5, 2)),
        colours={"<angle> (rad)": np.arange(5.0)},
        strips=[Strip({"<angle> (rad)": np.zeros(3)}, {"<angle> (rad)": np.ones((2, 3))})],
    )
    path = write_training(tmp_path, "<toy>", {"probe_r2.<angle>": 0.9}, seen, 20.0)
    page = path.read_text()
    assert page.count("<svg") == 5
    for told in ("four criteria", "spectrum", "t-SNE", "Forecasts", "0.9", "&lt;toy&gt;"):
        assert told in page
    assert "<toy>" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_spectrum_is_that_of_the_covariance() -> None:
    latents = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
    scaled = latents * torch.tensor([1.0, 3.0, 0.0])
    torch.testing.assert_close(
        spectrum(scaled), torch.tensor([9.0, 1.0, 0.0]), rtol=0.06, atol=1e-4
    )


def test_neighbours_stay_neighbours_on_the_map() -> None:
    near = torch.randn(40, 6, generator=torch.Generator().manual_seed(0)) * 0.1
    placed = tsne(torch.cat((near, near + 5.0)))
    within = torch.cdist(placed[:40], placed[:40]).max()
    between = torch.cdist(placed[:40], placed[40:]).min()
    assert float(between) > float(within) / 4
    same = torch.cdist(placed, placed) + torch.eye(80) * 1e9
    assert bool(((same.argmin(dim=1) < 40) == (torch.arange(80) < 40)).all())


def test_examining_an_untrained_mind_says_so(mind: Mind) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(20, 12, mind.site.sensors.size, generator=generator)
    data = Dataset(noise, torch.zeros(20, 11, mind.site.actuators.size))
    seen = examine(mind, data, horizon=5)
    assert len(seen.spectrum) == len(seen.deviations) == mind.site.latent
    assert seen.map.shape[1] == 2
    assert all(len(column) == len(seen.map) for column in seen.colours.values())
    strip = seen.strips[0]
    assert {len(column) for column in strip.seen.values()} == {5}
    assert {m.shape for m in strip.imagined.values()} == {(mind.world_model.members, 5)}


def test_latents_that_are_one_point_have_a_map_too(mind: Mind) -> None:
    data = Dataset(torch.zeros(20, 12, mind.site.sensors.size), torch.zeros(20, 11, 2))
    seen = examine(mind, data, horizon=5)
    assert {"impact (N)", "joint_angle 0 (rad)"} <= seen.colours.keys()
    assert not seen.map.any()
