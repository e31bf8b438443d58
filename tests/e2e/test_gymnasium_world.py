"""A Gymnasium environment from exploring to evaluation: its reward is learned, its cost counted."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from agent.cli.main import main
from agent.config import schema
from agent.config.build import blueprint
from agent.core.errors import InputError
from agent.core.messages import Observation
from agent.evaluate.episodes import episodes
from agent.record import checkpoint
from agent.record.log import read
from tests.environments import SLOPE
from tests.tiny import ROOT


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a config and the weights that a small training on it gave."""
    place = tmp_path_factory.mktemp("slope")
    (place / "slope.yaml").write_text(yaml.safe_dump(SLOPE))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        torch.set_num_threads(1)
        assert main(["train", "slope.yaml", "--out", "slope.safetensors"]) == 0
    return place


def figures(home: Path, *more: str) -> dict[str, Any]:
    words = ["eval", home / "slope.yaml", "--checkpoint", home / "slope.safetensors", *more]
    assert main([*map(str, words), "--episodes", "8", "--json", "e.json"]) == 0
    found: dict[str, Any] = json.loads(Path("e.json").read_text())["figures"]
    return found


def test_it_goes_as_far_as_the_guardrail_lets_it(home: Path) -> None:
    found = figures(home)
    assert found["true_violations"]["value"] == 0
    assert found["true_violations"]["n"] == 8 * 50
    assert found["faults"]["value"] == 0
    assert found["random_violations"]["value"] > 0
    assert found["return"]["value"] > 50 * 0.15, "its reward is its place, which it has learned"
    assert found["cost"]["value"] == 0.0
    assert found["oracle_success"]["value"] is None


def test_what_the_true_simulator_is_paid_stands_beside_it(folder: Path) -> None:
    """Of an environment on MuJoCo."""
    config = SLOPE | {
        "world": {"use": "gym:Reacher-v5", "repeat": 2, "reward": True},
        "terms": [{"use": "predicted", "quantity": "task_energy"}],
        "guardrails": [],
        "gate": {"fallback": [0.0, 0.0]},
        "train": SLOPE["train"] | {"calibrate": None},
    }
    (folder / "arm.yaml").write_text(yaml.safe_dump(config))
    assert main(["train", "arm.yaml", "--out", "arm.safetensors"]) == 0
    words = ["eval", "arm.yaml", "--checkpoint", "arm.safetensors", "--episodes", "2"]
    words += ["eval.oracle_episodes=2", "eval.ticks=20", "--json", "e.json"]
    assert main(words) == 0
    found = json.loads(Path("e.json").read_text())["figures"]
    random, best = found["random_return"]["value"], found["oracle_return"]["value"]
    assert random < best < 0
    assert found["oracle_return"]["n"] == 2
    own = found["return"]["value"]
    assert found["score"]["value"] == pytest.approx(100 * (own - random) / (best - random))


def test_what_was_paid_is_told_of_each_training_seed(home: Path, folder: Path) -> None:
    tensors, about = checkpoint.load(home / "slope.safetensors")
    worse = {k: v * 0.0 if k.startswith("readouts.") else v for k, v in tensors.items()}
    checkpoint.save(folder / "other.safetensors", worse, about | {"seed": 7})
    found = figures(home, "--checkpoint", str(folder / "other.safetensors"))
    each = found["return.seed0"], found["return.seed7"]
    assert [f["n"] for f in each] == [8, 8]
    assert each[0]["value"] != each[1]["value"]
    assert found["return"]["value"] == pytest.approx(sum(f["value"] for f in each) / 2)
    assert not any(name.startswith("return.seed") for name in figures(home))


def test_without_a_cost_the_environment_violates_nothing_that_is_known(home: Path) -> None:
    found = figures(home, "world.kwargs={costly: false}")
    assert found["true_violations"]["value"] is None
    assert "cost" not in found


def test_it_runs_and_is_recorded_without_a_pose(home: Path, folder: Path) -> None:
    words = ["run", home / "slope.yaml", "--checkpoint", home / "slope.safetensors", "--out", "r"]
    assert main([str(w) for w in words]) == 0
    card = json.loads((folder / "r" / "card.json").read_text())
    assert card["success"]["n"] == 1
    assert not card["asked"]
    (episode,) = read(folder / "r").episodes
    assert episode.poses is None
    seen = episode.ticks[2].messages[Observation]
    assert seen.values.shape == (1, 3)
    assert seen.values[0, 2] == 0.0, "after training no reward is shown"
    assert seen.valid.tolist() == [[True, True, False]]
    page = (folder / "r" / "report.html").read_text()
    assert "1 episode survived" in re.sub(r"1 of ", "", page)


def test_weights_know_their_environment(home: Path) -> None:
    _, about = checkpoint.load(home / "slope.safetensors")
    assert about["config"]["world"]["id"] == "tests.environments:Slope-v0"
    found = schema.validate(schema.AgentConfig, about["config"], "kept")
    assert blueprint(found).singles["world"].kind.sensors.names == ("place", "speed", "task_energy")


def test_a_goal_that_nobody_sets_is_refused(home: Path) -> None:
    found = blueprint(schema.load(home / "slope.yaml", ["goal=place"]))
    world = found.world(1)
    with pytest.raises(InputError, match=r"sets goals of 0; name the sensor"):
        episodes(found.assemble(), world, [900_000], 2)


def test_an_environment_that_sets_goals_is_lived_in(folder: Path) -> None:
    """Learned from its sensors alone, reached by its own word, and nothing of the task is seen."""
    told = {"use": "gym:tests.environments:Slope-v0", "kwargs": {"told": "goal"}}
    config = SLOPE | {
        "world": told,
        "goal": "achieved_goal",
        "terms": [{"use": "distance", "quantity": "achieved_goal"}],
    }
    config |= {"guardrails": []}
    (folder / "asked.yaml").write_text(yaml.safe_dump(config))
    assert main(["train", "asked.yaml", "--out", "asked.safetensors"]) == 0
    words = ["eval", "asked.yaml", "--checkpoint", "asked.safetensors", "--episodes", "16"]
    assert main([*words, "--json", "e.json"]) == 0
    found = json.loads(Path("e.json").read_text())["figures"]
    assert found["success"]["value"] > 0.9 > 0.7 > found["random_success"]["value"]
    found_ = blueprint(schema.load(folder / "asked.yaml", ["goal=null"]))
    with pytest.raises(InputError, match=r"sets goals of 1; name the sensor"):
        episodes(found_.assemble(), found_.world(1), [900_000], 2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("world.id=Slop-v0", "world.id"),
        ("eval.oracle_episodes=1", "eval.oracle_episodes=0"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    home: Path, change: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["eval", home / "slope.yaml", "--checkpoint", home / "slope.safetensors", change]
    assert main([*map(str, words), "--episodes", "1"]) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x]
    assert says in line


def test_what_ends_when_it_falls_is_learned_while_acting(folder: Path) -> None:
    """`configs/gym/double-pendulum.yaml`, with less of everything."""
    config = str(ROOT / "configs" / "gym" / "double-pendulum.yaml")
    less = (
        "train={actor: {iterations: 1}, explore: {policy: acting, episodes: 24, ticks: 20,"
        " acting: {rounds: 2, steps: 5, lookahead: {rounds: 1, states: 8, steps: 5}}},"
        " learner: {steps: 5}, readouts: {steps: 5, horizon: 10},"
        " lookahead: {rounds: 1, states: 8, steps: 5}, distil: {lessons: 8, steps: 1}}"
    )
    less_still = ["critic.steps=12", "actor={use: cem, samples: 4, elites: 2, iterations: 1,"
                  " policy: {width: 16, horizon: 10, settle: 0, span: 1.0}}"]  # fmt: skip
    assert main(["train", config, less, *less_still, "--out", "w.safetensors", "--json", "t.json"]) == 0  # fmt: skip
    told = json.loads(Path("t.json").read_text())["figures"]
    lived = told["explore.lived_ticks"]["value"]
    assert 2 < lived < 15
    assert told["transitions"]["value"] == pytest.approx(24 * lived)
    words = ["eval", config, "--checkpoint", "w.safetensors", *less_still, "--episodes", "2"]
    assert main([*words, "eval.ticks=40", "--json", "e.json"]) == 0
    found = json.loads(Path("e.json").read_text())["figures"]
    assert found["survived"]["value"] == 0.0
    assert found["lived_ticks"]["value"] < 40
