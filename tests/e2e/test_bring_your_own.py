"""The guide "Bring your own robot", from the MJCF file to a guarded agent, with tiny training."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from agent.config import schema, yaml
from agent.config.build import blueprint
from agent.core.messages import Observation
from agent.record.log import read
from tests.tiny import ROOT, TINY
from worlds.robots.settings import Robot

GUIDE = (ROOT / "docs" / "guides" / "bring-your-own.md").read_text(encoding="utf-8")
EXAMPLE = "docs/examples/arm.yaml"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder like the project's, where the guide's training has been done, tiny."""
    place = tmp_path_factory.mktemp("arm")
    for name in ("docs", "configs"):
        (place / name).symlink_to(ROOT / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert main(["train", EXAMPLE, "--seed", "0", *TINY[:1]]) == 0
    return place


@pytest.fixture(autouse=True)
def there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def test_the_table_of_paces_is_what_was_measured() -> None:
    found = json.loads((ROOT / "docs" / "results" / "bench-world.json").read_text())["figures"]
    table = GUIDE[GUIDE.index("<!-- pace -->") : GUIDE.index("<!-- /pace -->")].splitlines()[3:]
    assert len(table) == sum(name.startswith("rollout_ratio.") for name in found)
    for line in table:
        world, rate, *ratios = (cell.strip(" `") for cell in line[1:-1].split("|"))
        assert rate == f"{found[f'steps_per_s.{world}']['value']:,.0f}"
        for name, text in zip(
            ("rollout", "gymnasium", "dm_control", "envpool"), ratios, strict=True
        ):
            ways = [f"{way}_ratio.{world}" for way in (name, f"{name}_async")]
            told = [found[way] for way in ways if way in found]
            if not told:
                assert (name, text) == ("envpool", "") and not world.startswith("gym:")
                continue
            f = min(told, key=lambda one: one["value"])  # the faster of Gymnasium's two counts
            assert text == f"{f['value']:.2f} [{f['low']:.2f}, {f['high']:.2f}]"
    rates = {k: f["value"] for k, f in found.items() if k.startswith("steps_per_s.gym:")}
    raw = [rates[k] / rates[k.replace("rollout", "gymnasium")] for k in rates if "rollout" in k]
    assert f"{min(raw):.1f} to {max(raw):.1f}\n  times Gymnasium's steps" in GUIDE


def test_the_body_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "python run_agent.py list mjcf:docs/examples/arm.xml" in GUIDE
    assert main(["list", "mjcf:docs/examples/arm.xml"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"elbow_speed +1 +rad/s", said)
    assert re.search(r"shoulder +1 +rad/s, from -2 to 2", said)


def test_what_the_guide_sets_is_there_to_be_set() -> None:
    table = GUIDE[GUIDE.index("| setting |") : GUIDE.index("[docs/examples/arm.yaml]")]
    settings = re.findall(r"`([a-z_]+: (?:\{.*?\}\}?|\[.*?\]|[^`,]+))`", table)
    assert len(settings) >= 10
    world: dict[str, Any] = {}
    for text in settings:
        world |= yaml.parse(text, "guide")
    found = schema.validate(Robot, world, "guide")
    assert (found.camera, found.trial.aim) == ("above", "hand")


def test_the_agent_is_checked_evaluated_and_run(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("check", "train", "eval", "run"):
        assert f"python run_agent.py {command} {EXAMPLE}" in GUIDE
    assert main(["check", EXAMPLE]) == 0
    assert "world: starts in its default pose" in capsys.readouterr().out
    words = ["eval", EXAMPLE, "--episodes", "2", "--seed", "3", "eval.ticks=4"]
    assert main([*words, "eval.oracle_episodes=1", "--json", "e.json"]) == 0
    found = json.loads(Path("e.json").read_text())["figures"]
    assert found["true_violations"]["n"] == 2 * 4
    assert found["oracle_success"]["n"] == 1
    words = ["run", EXAMPLE, "run.ticks=4", "run.seeds=[1000000]", "run.reference=false"]
    assert main([*words, "--out", "r"]) == 0
    (episode,) = read(Path("r")).episodes
    assert episode.ticks[0].messages[Observation].values.shape == (1, 9)
    assert episode.poses is not None
    assert "report.html" in {p.name for p in Path("r").iterdir()}


def test_the_loop_of_the_guide_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = re.findall(r"^```python\n# my_loop\.py\n(.*?)^```", GUIDE, re.M | re.S)
    weights = ROOT / "checkpoints" / "reach-seed0.safetensors"
    text = text.replace('load("configs/reach.yaml")', f'load("configs/reach.yaml", "{weights}")')
    exec(compile(text, "my_loop.py", "exec"), {})
    assert re.match(r"0\.\d\d m from the goal, cost 0", capsys.readouterr().out)


def servoed() -> str:
    """Return a chain of six joints with the names that docs/examples/ur5e.yaml goes by."""
    body = '<site name="attachment_site" pos="0.1 0 0"/>'
    for index in range(6):
        axis = "0 0 1" if index % 2 else "0 1 0"
        body = (
            f'<body pos="0.1 0 0"><joint name="j{index}" axis="{axis}" range="-3 3"/>'
            f'<geom type="capsule" fromto="0 0 0 0.1 0 0" size="0.02" contype="0"/>{body}</body>'
        )
    servos = "".join(f'<position joint="j{i}" kp="100" ctrlrange="-3 3"/>' for i in range(6))
    home = '<keyframe><key name="home" qpos="0 0 0 0 0 0"/></keyframe>'
    return (
        f'<mujoco><worldbody><body pos="0 0 1">{body}</body></worldbody>'
        f"<actuator>{servos}</actuator>{home}</mujoco>"
    )


def test_the_config_of_the_menagerie_arm_fits_one() -> None:
    (block,) = re.findall(r"^```yaml\n(goal: attachment_site\n.*?)^```", GUIDE, re.M | re.S)
    assert set(block.splitlines()) <= set(
        (ROOT / "docs/examples/ur5e.yaml").read_text().splitlines()
    )
    folder = Path("menagerie") / "universal_robots_ur5e"
    folder.mkdir(parents=True)
    (folder / "scene.xml").write_text(servoed())
    found = blueprint(schema.load(ROOT / "docs/examples/ur5e.yaml", ["world.root=menagerie"]))
    kind = found.singles["world"].kind
    assert kind.sensors.names == ("joint_angle", "joint_speed", "attachment_site")
    assert kind.actuators.bounds()[1].tolist() == [1.5] * 6
    found.assemble()


def test_the_maze_of_others_is_lived_in() -> None:
    pytest.importorskip("gymnasium_robotics", reason="needs it; pip install -e '.[robotics]'")
    maze = str(ROOT / "docs/examples/maze.yaml")
    assert main(["check", maze]) == 0
    assert main(["train", maze, "--out", "m.safetensors", *TINY[:1]]) == 0
    words = ["eval", maze, "--checkpoint", "m.safetensors", "--episodes", "2", "eval.ticks=4"]
    assert main([*words, "--json", "m.json"]) == 0
    found = json.loads(Path("m.json").read_text())["figures"]
    assert found["success"]["n"] == 2
    assert found["true_violations"]["value"] is None, "the maze tells of no cost"


def test_the_config_of_the_maze_is_what_the_guide_shows() -> None:
    (block,) = re.findall(r"^```yaml\n(goal: achieved_goal\n.*?)^```", GUIDE, re.M | re.S)
    whole = yaml.read(ROOT / "docs/examples/maze.yaml")
    for name, part in yaml.parse(block, "guide").items():
        assert whole[name] == part


def test_the_guide_tells_what_was_measured_in_the_maze() -> None:
    results = ROOT / "docs" / "results"
    trained = [
        json.loads((results / f"train-maze-seed{seed}.json").read_text())["figures"]
        for seed in range(3)
    ]
    found = json.loads((results / "eval-maze.json").read_text())["figures"]
    goals = ", ".join(f"{100 * found[f'success.seed{seed}']['value']:.0f}" for seed in range(3))
    chance = found["random_success"]
    (line,) = [x for x in GUIDE.splitlines() if x.startswith("| `maze.yaml` |")]
    assert line.strip("| ").split(" | ") == [
        "`maze.yaml`",
        f"{trained[0]['transitions']['value']:,.0f} transitions",
        f"{max(one['train_cpu_s']['value'] for one in trained):.0f} s",
        f"{goals} of 100",
        f"{chance['value'] * chance['n']:.0f} of {chance['n']}",
    ]


@pytest.mark.parametrize("name", ["arm", "ur5e"])
def test_the_guide_tells_what_was_measured(name: str) -> None:
    def figures(file: str) -> Any:
        return json.loads((ROOT / "docs" / "results" / file).read_text())["figures"]

    def count(figure: Any) -> str:
        return f"{figure['value']:,.0f} of {figure['n']:,}"

    found = figures(f"eval-{name}.json")
    trained = [figures(f"train-{name}-seed{seed}.json") for seed in range(3)]
    goals = ", ".join(f"{100 * found[f'success.seed{seed}']['value']:.0f}" for seed in range(3))
    oracle = found["oracle_success"]
    (line,) = [x for x in GUIDE.splitlines() if x.startswith(f"| `{name}.yaml` |")]
    assert line.strip("| ").split(" | ") == [
        f"`{name}.yaml`",
        f"{trained[0]['transitions']['value']:,.0f} transitions",
        f"{max(one['train_cpu_s']['value'] for one in trained):.0f} s",
        f"{goals} of 100",
        f"{oracle['value'] * oracle['n']:.0f} of {oracle['n']}",
        count(found["true_violations"]),
        count(found["random_violations"]),
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["check", EXAMPLE, "world.use=mjfc:arm.xml"], "did you mean 'mjcf'"),
        (["check", EXAMPLE, "world.use=mjcf:amr.xml"], "expected an MJCF file at amr.xml"),
        (
            ["check", EXAMPLE, "world.path=arm.xml"],
            "world.path: 'mjcf:docs/examples/arm.xml' names",
        ),
        (["list", "gym:Reachr-v5"], "Reacher"),
        (["list", "gym:CartPole-v1"], "expected actions in a Box of real numbers with finite"),
    ],
)
def test_names_that_do_not_fit_are_refused_in_one_line(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x]
    assert says in line


def test_a_name_in_one_word_is_the_same_as_two() -> None:
    one = schema.load(ROOT / EXAMPLE)
    two = schema.load(ROOT / EXAMPLE, ["world.use=mjcf", "world.path=docs/examples/arm.xml"])
    assert blueprint(one).resolved() == blueprint(two).resolved()
    assert blueprint(one).resolved()["world"]["use"] == "mjcf"
