"""Checkpoints: exact, atomic, and not to be edited by hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from agent.config.build import MARGINS, margins_of
from agent.core.errors import InputError
from agent.record.checkpoint import load, save

ROOT = Path(__file__).parents[3]
TENSORS = {
    "weight": torch.randn(4, 3, generator=torch.Generator().manual_seed(0)),
    "scalar": torch.tensor(3.0),
    "empty": torch.zeros(0, 4),
    "count": torch.arange(3),
    "mask": torch.tensor([True, False]),
    "half": torch.ones(3, dtype=torch.bfloat16),
}
ABOUT = {"config": "a: 1", "seed": 1, "figures": {"train_s": 3.5, "broken": float("nan")}}


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "model.safetensors"
    digest = save(path, TENSORS, ABOUT)
    tensors, about = load(path)
    assert about == {
        "config": "a: 1",
        "seed": 1,
        "figures": {"train_s": 3.5, "broken": "NaN"},
        "sha256": digest,
    }
    assert tensors.keys() == TENSORS.keys()
    for name, values in TENSORS.items():
        assert tensors[name].dtype == values.dtype
        assert torch.equal(tensors[name], values)
    assert os.listdir(path.parent) == ["model.safetensors"]


def test_large_matrices_may_be_kept_in_half_precision(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    large = {
        "matrix": torch.randn(64, 32, generator=generator),
        "stack": torch.randn(2, 40, 40, generator=generator),
        "vector": torch.randn(4096, generator=generator),
        "small": torch.rand(31, 33, generator=generator),
        margins_of(0): torch.rand(64, 32, generator=generator),
        MARGINS: torch.rand(64, 32, generator=generator),
        "huge": torch.full((64, 32), 1e5),
        "broken": torch.full((64, 32), torch.nan),
        "wide": torch.randn(64, 32, generator=generator).double(),
        **TENSORS,
    }
    save(tmp_path / "whole", large, ABOUT)
    save(tmp_path / "half", large, ABOUT, half=True)
    tensors, _ = load(tmp_path / "half")
    for name, values in large.items():
        assert tensors[name].dtype == values.dtype, name
        if name in ("matrix", "stack"):
            assert not torch.equal(tensors[name], values)
            torch.testing.assert_close(tensors[name], values, rtol=5e-4, atol=1e-7)
        else:
            torch.testing.assert_close(tensors[name], values, rtol=0, atol=0, equal_nan=True)
    saved = [(tmp_path / name).stat().st_size for name in ("whole", "half")]
    assert saved[0] - saved[1] == 2 * sum(large[name].numel() for name in ("matrix", "stack"))


def test_the_fingerprint_depends_on_content_alone(tmp_path: Path) -> None:
    first = save(tmp_path / "a", TENSORS, ABOUT)
    second = save(tmp_path / "b", dict(reversed(TENSORS.items())), ABOUT)
    third = save(tmp_path / "c", TENSORS | {"scalar": torch.tensor(4.0)}, ABOUT)
    assert first == second != third


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found none; .*run_agent.py train CONFIG"):
        load(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda raw: raw[:-5], "damaged"),
        (lambda raw: raw[:40], "damaged"),
        (lambda raw: b"", "damaged"),
        (lambda raw: raw.replace(b'seed\\":1', b'seed\\":2'), "changed after it was saved"),
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "changed after it was saved"),
    ],
)
def test_an_edited_file_is_refused(tmp_path: Path, edit: object, complaint: str) -> None:
    path = tmp_path / "model.safetensors"
    save(path, TENSORS, ABOUT)
    raw = path.read_bytes()
    assert callable(edit)
    assert edit(raw) != raw
    path.write_bytes(edit(raw))
    with pytest.raises(InputError, match=complaint):
        load(path)


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="expected to write"):
        save(tmp_path / "file" / "model", TENSORS, ABOUT)


SAVER = """
import sys, torch
from pathlib import Path
from agent.record.checkpoint import save
print("ready", flush=True)
for n in range(10**6):
    save(Path(sys.argv[1]), {"w": torch.full((200_000,), float(n))}, {"n": n})
    print(n, flush=True)
"""


def test_a_kill_while_saving_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for wait in (0.0, 0.013):
        child = subprocess.Popen(
            [sys.executable, "-c", SAVER, str(path)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        for _ in range(4):
            child.stdout.readline()
        time.sleep(wait)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        tensors, about = load(path)
        assert bool((tensors["w"] == float(about["n"])).all())
