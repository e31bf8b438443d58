"""YAML: what a person did not mean is refused, with the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import schema, yaml
from agent.core.errors import InputError


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\nb: 2\na: 3", r"^f\.yaml:3: key 'a' stands twice \(first in line 1\); keep one$"),
        ("x:\n  a: 1\n  a: 1", r"^f\.yaml:3: key 'a' stands twice \(first in line 2\)"),
        ("a: .nan", r"^f\.yaml:1: expected a finite number, came \.nan"),
        ("a: 1\nb: [1.0, .inf]", r"^f\.yaml:2: expected a finite number, came \.inf"),
        ("a: -.inf", r"expected a finite number, came -\.inf"),
        ("rate: 1e5", r"^f\.yaml:1: '1e5' would be read as text; .*1\.0e\+5"),
        ("rate: 2e-3", r"'2e-3' would be read as text"),
        ("rate: nan", r"'nan' would be read as text"),
        ("rate: inf", r"'inf' would be read as text"),
        ("a: 1\nb: [1, 2\nc: 3", r"^f\.yaml:3: not valid YAML: .*; fix the line$"),
        ("a: 1\n\tb: 2", r"^f\.yaml:2: not valid YAML"),
        ("a: !!python/object:os.system x", r"not valid YAML"),
        ("? [1]\n: 2", r"not valid YAML"),
        ("a: *nowhere", r"not valid YAML"),
    ],
)
def test_what_yaml_accepts_in_silence_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        yaml.parse(text, "f.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1.0e+5", {"a": 1e5}),
        ("a: '1e5'", {"a": "1e5"}),
        ('a: "nan"', {"a": "nan"}),
        ("a: {b: [1, -2.5, true, null]}", {"a": {"b": [1, -2.5, True, None]}}),
        ("", None),
    ],
)
def test_what_was_meant_is_read(text: str, value: object) -> None:
    assert yaml.parse(text, "f.yaml") == value


def test_a_missing_file_is_named_with_its_neighbour(folder: Path) -> None:
    (folder / "reach.yaml").write_text("a: 1")
    with pytest.raises(
        InputError, match=r"expected a file at .*raech\.yaml, found none; did you .*reach"
    ):
        yaml.read(folder / "raech.yaml")


@pytest.mark.parametrize(("text", "came"), [("- 1", "list"), ("7", "int"), ("", "NoneType")])
def test_a_file_must_hold_a_mapping(folder: Path, text: str, came: str) -> None:
    (folder / "f.yaml").write_text(text)
    with pytest.raises(InputError, match=f"expected a mapping of settings, came {came}"):
        yaml.read(folder / "f.yaml")


def test_a_file_that_is_not_text_is_refused(folder: Path) -> None:
    (folder / "f.yaml").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(InputError, match="cannot read"):
        yaml.read(folder / "f.yaml")


def test_overrides_go_by_dotted_path() -> None:
    base = {"seed": 0, "terms": [{"use": "a"}, {"use": "b", "weight": 1.0}], "run": {"ticks": 9}}
    new = yaml.override(base, ["seed=3", "terms.1.weight=0.5", "run.seeds=[1, 2]", "new.deep=x"])
    assert new == {
        "seed": 3,
        "terms": [{"use": "a"}, {"use": "b", "weight": 0.5}],
        "run": {"ticks": 9, "seeds": [1, 2]},
        "new": {"deep": "x"},
    }
    assert base["seed"] == 0
    assert base["terms"][1]["weight"] == 1.0  # type: ignore[index]


def test_the_last_override_counts() -> None:
    assert yaml.override({"a": 1}, ["a=2", "a=3"]) == {"a": 3}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("seed", r"override 'seed': expected key\.path=value"),
        ("=3", r"expected key\.path=value"),
        ("terms.2.weight=1", r"'2' is not an index below 2"),
        ("terms.x=1", r"'x' is not an index below 2"),
        ("terms.-1=1", r"'-1' is not an index"),
        ("seed.deep=1", r"'deep' stands below a plain value"),
        ("seed=1e5", r"would be read as text"),
        ("seed=.nan", r"expected a finite number"),
        ("seed=[1", r"not valid YAML"),
    ],
)
def test_an_override_that_fits_nowhere_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        yaml.override({"seed": 0, "terms": [{}, {}]}, [text])


def test_a_file_extends_another_key_by_key(folder: Path) -> None:
    (folder / "base.yaml").write_text("a: {x: 1, y: 2}\nl: [1, 2]\nk: 1")
    (folder / "mid.yaml").write_text("extends: base.yaml\na: {y: 3}")
    (folder / "top.yaml").write_text("extends: mid.yaml\nl: [9]")
    assert schema._extended(folder / "top.yaml") == {"a": {"x": 1, "y": 3}, "l": [9], "k": 1}


def test_a_file_that_extends_another_may_leave_out_its_keys(folder: Path) -> None:
    (folder / "base.yaml").write_text("a: {x: 1, y: 2}\nb: 3")
    (folder / "top.yaml").write_text("extends: base.yaml\na: {x: null}\nb: null\nc: null")
    assert schema._extended(folder / "top.yaml") == {"a": {"y": 2}}


def test_a_circle_of_extends_is_refused(folder: Path) -> None:
    (folder / "a.yaml").write_text("extends: b.yaml")
    (folder / "b.yaml").write_text("extends: a.yaml")
    with pytest.raises(InputError, match="'extends' leads in a circle"):
        schema.load(folder / "a.yaml")


def test_extends_must_name_a_file(folder: Path) -> None:
    (folder / "a.yaml").write_text("extends: [b]")
    with pytest.raises(InputError, match=r"expected the name of a file beside it, came \['b'\]"):
        schema.load(folder / "a.yaml")
