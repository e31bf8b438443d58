"""Guides do what they say: their code runs, and their commands are known."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from agent.cli.main import COMMANDS, arrange, parser
from agent.config import schema
from agent.config.build import blueprint
from agent.train.course import Course
from agent.train.progress import silent
from agent.train.stages import explore
from modules.world_model.learn import Learner
from tests.tiny import REACH, ROOT, TINY

GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
WORLD_MODELS = (ROOT / "docs" / "guides" / "world-models.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```python\n# (\S+\.py)\n(.*?)^```", WORLD_MODELS, re.M | re.S))
COMMAND = re.compile(r"^(?:PYTHONPATH=\. )?python (run_agent\.py .*)$", re.MULTILINE)


@pytest.fixture
def place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder on the path with the guide's files, as a reader would have them."""
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.mark.parametrize("guide", GUIDES, ids=lambda p: p.stem)
def test_commands_are_known(guide: Path, place: Path) -> None:
    commands = COMMAND.findall(guide.read_text(encoding="utf-8"))
    assert commands
    for command in commands:
        words = shlex.split(command, comments=True)[1:]
        options = parser().parse_intermixed_args(arrange(words))
        assert options.command in COMMANDS
        if str(options.config).startswith("configs/"):
            found = blueprint(schema.load(ROOT / options.config, options.overrides))
            schema.validate(Course, found.config.train, "train")


def test_an_objective_of_ones_own_is_trained_on(place: Path) -> None:
    assert set(FILES) == {"my_sparsity.py"}
    (command,) = (c for c in COMMAND.findall(WORLD_MODELS) if "my_sparsity" in c)
    listed = shlex.split(command)[-1]
    plans = blueprint(schema.load(REACH, [*TINY, listed]))
    course: Course = schema.validate(Course, plans.config.train, "train")
    world = plans.world(32)
    try:
        dataset = explore(course.explore, world, 0, silent())
    finally:
        world.close()
    mind = plans.assemble()
    objectives = [c.build(mind.site) for c in plans.objectives]
    learner = Learner(course.learner, mind.perception, mind.world_model, objectives)
    learner.perception.fit_normaliser(dataset.values)
    seen = [learner.step(i, dataset) for i in range(40)]
    assert seen[0]["loss"] == pytest.approx(
        seen[0]["prediction"]
        + seen[0]["variance"]
        + 0.2 * seen[0]["covariance"]
        + 0.02 * seen[0]["sparsity"]
    )
