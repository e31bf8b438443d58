"""Files that are missing, spoiled or in the way: one line says so, and nothing is half-written."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from tests.tiny import REACH, TINY, refused

RUN = ["run.ticks=4", "run.seeds=[1000000]", "run.reference=false"]


def test_a_key_that_stands_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mine.yaml").write_text(REACH.read_text() + "\nseed: 3\n")
    refused(
        ["run", "mine.yaml"], r"mine\.yaml:\d+: key 'seed' stands twice \(first in line", capsys
    )


def test_a_config_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    refused(["run", "raech.yaml"], r"config: expected a file at raech\.yaml, found none", capsys)


@pytest.mark.parametrize("command", ["run", "eval", "check"])
def test_a_checkpoint_that_is_not_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [command, REACH, "--checkpoint", "none.safetensors"]
    said = r"checkpoint: expected a file at none\.safetensors, found none; .*run_agent\.py train"
    refused(words, said, capsys)


@pytest.mark.parametrize("command", ["run", "eval", "check"])
@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda raw: raw[: len(raw) // 2], "is damaged"),
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "was changed after it was saved"),
        (lambda raw: b"not weights", "is damaged"),
    ],
    ids=["truncated", "edited", "other"],
)
def test_a_checkpoint_that_was_spoiled(
    command: str,
    edit: Any,
    said: str,
    weights: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = folder / "bad.safetensors"
    bad.write_bytes(edit(weights.read_bytes()))
    refused([command, REACH, "--checkpoint", bad], f"checkpoint: .*bad.safetensors {said}", capsys)


def test_a_checkpoint_of_another_agent(
    weights: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", REACH, "latent=16", "--checkpoint", weights]
    refused(words, r"checkpoint: perception\.\S+ is \(.*the config wants", capsys)


def test_a_world_file_that_is_missing(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from worlds.reach import world

    monkeypatch.setattr(world, "MODEL", Path("model.xml"))
    words = ["run", REACH, *RUN, "--checkpoint", weights]
    refused(words, r"world: expected an MJCF file at model\.xml, found none", capsys)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", REACH, *RUN, "--out", "file/run"], "run: expected to make file/run"),
        (
            ["train", REACH, *TINY, "--out", "file/w.safetensors"],
            "expected to write file/w.safetensors",
        ),
    ],
)
def test_an_output_folder_that_cannot_be(
    words: list[Any], said: str, weights: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "file").write_text("in the way")
    extra = [] if words[0] == "train" else ["--checkpoint", weights]
    code = main([str(w) for w in [*words, *extra]])
    line = capsys.readouterr().err
    assert code == 2
    assert re.fullmatch(f"error: {said}.*choose.*\n", line), line
    assert (folder / "file").read_text() == "in the way"
    assert not list(folder.rglob("*.safetensors"))


@pytest.mark.parametrize(
    "words",
    [
        ["eval", REACH, "--json", "file/x.json"],
        ["scoreboard", REACH, "--out", "file/x.svg"],
        ["train", REACH, "checkpoint=."],
    ],
)
def test_what_could_not_be_written_is_told_before_the_work(
    words: list[Any],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / "file").write_text("in the way")
    monkeypatch.setattr("agent.cli.train.train", lambda *_: pytest.fail("it was trained"))
    assert main([str(w) for w in words]) == 2
    assert re.fullmatch("error: expected to write .*choose.*\n", capsys.readouterr().err)


def test_a_dataset_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(REACH), "train.dataset=none.safetensors"]) == 2
    line = capsys.readouterr().err
    assert re.fullmatch("error: dataset none.safetensors: expected a file, found none; .*\n", line)


def test_an_output_folder_that_is_read_only(
    weights: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shut = folder / "shut"
    shut.mkdir(mode=0o555)
    place = Path("/proc") if os.getuid() == 0 else shut  # root may write anywhere but there
    words = ["run", REACH, *RUN, "--checkpoint", weights, "--out", place / "run"]
    refused(
        words, f"run: expected to make {place}/run, came '.+'; choose another with --out", capsys
    )
