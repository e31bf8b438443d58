"""Guides do what they say: their code runs, and their commands are known."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch

from agent.cli.main import COMMANDS, arrange, main, parser
from agent.config import schema, yaml
from agent.config.build import blueprint
from agent.core.loop import live
from agent.core.messages import Plan, Rollout
from agent.evaluate.episodes import trials_of
from agent.train.course import Course
from agent.train.progress import silent
from agent.train.stages import explore
from modules.world_model.learn import Learner
from tests.tiny import REACH, ROOT, TINY

GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
WORLD_MODELS = (ROOT / "docs" / "guides" / "world-models.md").read_text(encoding="utf-8")
GUARDRAILS = (ROOT / "docs" / "guides" / "guardrails.md").read_text(encoding="utf-8")
FILES = {
    name: text
    for guide in GUIDES
    for name, text in re.findall(
        r"^```python\n# (\S+\.py)\n(.*?)^```", guide.read_text(encoding="utf-8"), re.M | re.S
    )
}
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
    assert set(FILES) >= {"my_sparsity.py", "my_elbow.py"}
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


def test_a_guardrail_of_ones_own_guards(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert FILES["my_elbow.py"].count("\n") <= 20
    (command,) = (c for c in COMMAND.findall(GUARDRAILS) if "my_elbow" in c)
    words = shlex.split(command)[1:]
    words[words.index("configs/reach.yaml")] = str(REACH)
    assert main(words) == 0
    assert "guardrail elbow: |elbow| - |shoulder| <= 0.5 rad" in capsys.readouterr().out
    mind = blueprint(schema.load(REACH, words[-1:])).assemble()
    angles = torch.tensor([[1.0, 1.2], [0.1, -1.0]])[None, None, None]
    shown = Rollout(torch.zeros(1, 24), torch.zeros(1, 1, 2, 2), angles, {"joint_angle": angles})
    assert mind.guardrails.evaluate(shown)[0, 0, 0].tolist() == pytest.approx([-0.3, 0.4])
    assert mind.guardrails.verify()
    mind.guardrails._terms[0].bit = 9.0  # type: ignore[attr-defined]
    assert not mind.guardrails.verify()


def test_the_guardrails_of_the_guide_fit_the_arm() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", GUARDRAILS, re.M | re.S)
    assert len(blocks) == 2
    for block in blocks:
        raw = yaml.parse(REACH.read_text(), "reach") | yaml.parse(block, "guide")
        mind = blueprint(schema.validate(schema.AgentConfig, raw, "guide")).assemble()
        world = mind.blueprint.world(2)
        try:
            agent = mind.agent(world)
            task = trials_of(world).tasks([900_000, 900_001])
            ticks = list(live(agent, world, [900_000, 900_001], task, 3))
        finally:
            world.close()
        assert not any(tick.faults for tick in ticks)
        assert ticks[-1].messages[Plan].guardrails.shape[1] == len(raw["guardrails"])
        assert bool(ticks[-1].messages[Plan].guardrails.isfinite().all())
