"""What tests share: the config, a mind trained for seconds, and a working folder of their own.

Tests do not depend on good weights: `tiny` is a whole course of training with a hundredth of the
steps. Only `e2e/test_commands.py` looks at the weights that are shipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from torch import Tensor

from agent.config import schema
from agent.config.build import Blueprint, Mind, blueprint
from agent.core.errors import MissingExtra
from agent.core.messages import Observation, Task
from agent.evaluate.episodes import trials_of
from agent.record import checkpoint
from agent.train.course import Trained, train
from agent.train.progress import silent
from tests.tiny import REACH, TINY
from worlds.film import NoGraphics

torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes golden files anew."""
    parser.addoption(
        "--golden-update", action="store_true", help="write the golden files of what is seen now"
    )


def without_extras(item: pytest.Item) -> Iterator[None]:
    """Skip a test that needs OpenGL or an optional package, and say why, where there is none."""
    try:
        return (yield)
    except NoGraphics as lack:
        pytest.skip(lack.reason)
    except MissingExtra as lack:
        pytest.skip(str(lack))


pytest_runtest_setup = pytest.hookimpl(wrapper=True)(without_extras)
pytest_runtest_call = pytest.hookimpl(wrapper=True)(without_extras)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, so that nothing is ever written into the project."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def unreported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make no report of a run, with its figures, replay and video, where nobody looks at it."""
    told = {"report": "", "video": None, "video_note": ""}
    monkeypatch.setattr("agent.cli.run.make_report", lambda *_: told)


@pytest.fixture(scope="session")
def plans() -> Blueprint:
    """Return the blueprint of configs/reach.yaml with tiny training settings."""
    return blueprint(schema.load(REACH, TINY))


@pytest.fixture(scope="session")
def trained(plans: Blueprint) -> Trained:
    """Return what a tiny course of training makes."""
    torch.set_num_threads(1)
    return train(plans, silent())


@pytest.fixture(scope="session")
def tensors(trained: Trained) -> dict[str, Tensor]:
    """Return the weights and margins of the tiny training."""
    return trained.tensors


@pytest.fixture(scope="session")
def weights(plans: Blueprint, trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint file of the tiny training."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    resolved = plans.resolved()
    about = {
        "config": resolved,
        "config_hash": schema.config_hash(resolved),
        "seed": plans.config.seed,
        "command": "pytest",
        "figures": trained.figures,
    }
    checkpoint.save(path, trained.tensors, about)
    return path


@pytest.fixture
def mind(plans: Blueprint, tensors: dict[str, Tensor]) -> Mind:
    """Return a fresh mind with the tiny weights."""
    return plans.assemble(tensors)


@pytest.fixture
def world(plans: Blueprint) -> Iterator[object]:
    """Return one copy of the world."""
    made = plans.world(1)
    yield made
    made.close()


@pytest.fixture
def task(world: object) -> Task:
    """Return the task of evaluation episode 1,000,000."""
    asked: Task = trials_of(world).tasks([1_000_000])
    return asked


@pytest.fixture
def seen(world: object) -> Observation:
    """Return the first observation of evaluation episode 1,000,000."""
    observation: Observation = world.reset([1_000_000])  # type: ignore[attr-defined]
    return observation
