"""Datasets that are given: only those that are whole, and of this very body, are learned from."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from agent.config import schema
from agent.config.build import blueprint
from agent.core.errors import InputError
from agent.core.spec import Channel, Layout
from agent.train.course import Course
from agent.train.dataset import Dataset
from agent.train.given import BODY, check, described, given, keep
from agent.train.progress import silent
from agent.train.understanding import experience
from tests.tiny import REACH, TINY
from worlds.reach.world import Reach


def some(episodes: int = 12, ticks: int = 30) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    return Dataset(
        torch.rand(episodes, ticks + 1, 8, generator=generator),
        torch.rand(episodes, ticks, 2, generator=generator),
    )


class Other:
    """A body with another hand, at another rate."""

    def __init__(self, rate_hz: float = 20.0, actuators: Layout = Reach.actuators, **sensor: Any):
        self.actuators, self.rate_hz = actuators, rate_hz
        channels = Reach.sensors.channels
        if sensor:
            channels = (
                *channels[:-1],
                Channel(**{"name": "impact", "size": 1, "unit": "N"} | sensor),
            )
        self.sensors = Layout(channels)


def refused(path: Path, what: str, at_least: int = 1) -> None:
    with pytest.raises(InputError, match=what) as caught:
        given(path, Reach, at_least)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"dataset {path}: ")


def test_lives_are_given_back_and_must_be_possible(folder: Path) -> None:
    path, ends = folder / "data.safetensors", torch.arange(12)
    keep(replace(some(), lived=ends), path, Reach)
    assert torch.equal(given(path, Reach).ends(), ends)
    for bad in (ends + 20, ends - 1, ends[:3], ends.float()):
        keep(replace(some(), lived=bad), path, Reach)
        refused(
            path, "expected 'lived' to be whole numbers from 0 to 30, one for each of 12 episodes"
        )


def test_what_was_kept_is_given_back(folder: Path) -> None:
    path = folder / "data.safetensors"
    keep(some(), path, Reach)
    assert [p.name for p in folder.iterdir()] == ["data.safetensors"]
    assert torch.equal(given(path, Reach).values, some().values)
    assert torch.equal(given(path, Reach).commands, some().commands)
    assert torch.equal(Dataset.load(path).values, some().values)


def test_another_body_is_refused_by_name(folder: Path) -> None:
    path = folder / "data.safetensors"
    grip = Layout((Channel("grip", 1, "N"),))
    for body, what in (
        (
            Other(name="temperature"),
            r"sensor 'impact': the world has 1 in N, the dataset none; use",
        ),
        (Other(unit="kN"), "sensor 'impact': the world has 1 in N, the dataset 1 in kN"),
        (Other(size=2), "sensor 'impact': the world has 1 in N, the dataset 2 in N"),
        (Other(rate_hz=50.0), "expected 20 ticks a second, came 50.0; resample"),
        (
            Other(actuators=grip),
            "actuator 'joint_velocity': the world has 2 in rad/s, the dataset no",
        ),
    ):
        keep(some(), path, body)
        refused(path, what)


def test_what_is_not_finite_is_found(folder: Path) -> None:
    path, broken = folder / "data.safetensors", some()
    broken.values[3, 7, 6] = torch.nan
    keep(broken, path, Reach)
    refused(path, r"episode 3, tick 7: expected a finite sensor 'proximity', came nan \(1 such")
    broken = some()
    broken.commands[11, 29, 1] = torch.inf
    keep(broken, path, Reach)
    refused(path, "episode 11, tick 29: expected a finite command 'joint_velocity', came inf")


def test_missing_commands_are_named(folder: Path) -> None:
    path = folder / "data.safetensors"
    save_file({"values": some().values}, path, {BODY: json.dumps(described(Reach))})
    refused(path, "expected a tensor 'commands' with the commands .* came values; record them")
    keep(Dataset(some().values, some().commands[:, :-1]), path, Reach)
    refused(path, r"expected sensors \[12, 30, 8\] .* came \[12, 31, 8\] and \[12, 29, 2\]")


def test_commands_out_of_limits_and_too_littleexperience(folder: Path) -> None:
    path, wild = folder / "data.safetensors", some()
    wild.commands[2, 4, 0] = 3.5
    keep(wild, path, Reach)
    refused(path, r"episode 2, tick 4: expected a joint_velocity within \[-3, 3\], came 3.5")
    keep(some(), path, Reach)
    refused(path, "expected 10 or more episodes of 31 or more ticks, came 12 of 30", at_least=31)
    keep(some(episodes=9), path, Reach)
    refused(path, "10 or more episodes of 1 or more ticks, came 9 of 30")


def test_files_that_are_no_datasets(folder: Path) -> None:
    path = folder / "data.safetensors"
    refused(path, "expected a file, found none")
    path.write_bytes(b"no tensors")
    refused(path, "expected a safetensors file")
    save_file(some().tensors(), path)
    refused(path, "expected a description of the body in its metadata, came none")


def test_a_dataset_takes_the_place_of_exploring(folder: Path) -> None:
    path = folder / "data.safetensors"
    keep(some(), path, Reach)
    plans = blueprint(schema.load(REACH, [*TINY, f"train.dataset={path}"]))
    course: Course = schema.validate(Course, plans.config.train, "train")
    assert torch.equal(experience(plans, plans.assemble(), course, silent()).values, some().values)
    keep(some(ticks=23), path, Reach)
    with pytest.raises(InputError, match=re.escape("episodes of 24 or more ticks, came 12 of 23")):
        experience(plans, plans.assemble(), course, silent())


def test_check_speaks_in_the_name_it_is_given() -> None:
    with pytest.raises(InputError, match="^minari:x: expected sensors"):
        check(Dataset(torch.zeros(3), torch.zeros(3)), Reach, "minari:x")
