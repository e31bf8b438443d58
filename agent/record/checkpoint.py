"""Checkpoints: safetensors files that are whole or not there, and notice being edited.

Beside the tensors a file carries `about`: the resolved config, its hash, seed, command, versions
and figures. A SHA-256 over tensors and `about` is written at save and checked at load. Large
matrices may be kept in half precision, at half the size; margins and all that is small never are.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as pack
from torch import Tensor

from agent.core.errors import InputError
from agent.record.encode import parse, plain, text

EXACT = "margins"
"""Last part of the names of what must not be rounded: down would be less safe than measured."""
LARGE, HIGHEST = 1024, 6e4
"""Numbers in a matrix that is worth halving, and the largest that half precision can hold."""
REMEDY = "make a new one with `python run_agent.py train CONFIG`"


def save(
    path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any], half: bool = False
) -> str:
    """Write a checkpoint and return its SHA-256, the fingerprint runs quote.

    With `half`, float32 matrices of at least `LARGE` numbers but margins are rounded to float16, by
    at most 0.05 % or 3e-8 each; `load` gives them back as float32. Atomic: at every moment `path`
    holds the old checkpoint or the new one, also if the process or the machine dies. Non-finite
    numbers in `about` are stored as strings.
    Raises InputError if the file cannot be written.
    """
    whole = {n: t.detach().cpu().contiguous().clone() for n, t in tensors.items()}
    if half:
        whole = {n: t if n.split(".")[-1] == EXACT else _halved(t) for n, t in whole.items()}
    words = text(plain(about)).decode()
    digest = fingerprint(whole, words)
    packed = pack(whole, metadata={"about": words, "sha256": digest})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(packed)
                file.flush()
                os.fsync(handle)
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            raise
        _sync_folder(path.parent)
    except OSError as fault:
        raise InputError(
            f"checkpoint: expected to write {path}, came '{fault.strerror}';"
            f" free the disk or choose another folder"
        ) from fault
    return digest


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and `about` of a checkpoint; `about["sha256"]` is its fingerprint.

    Raises InputError if the file is missing, cut short, not ours, or was changed after `save`.
    """
    if not path.is_file():
        raise InputError(f"checkpoint: expected a file at {path}, found none; {REMEDY}")
    try:
        with safe_open(path, framework="pt") as file:
            stored = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as fault:
        reason = " ".join(str(fault).split())
        raise InputError(f"checkpoint: {path} is damaged ({reason}); {REMEDY}") from fault
    if "about" not in stored or "sha256" not in stored:
        raise InputError(f"checkpoint: {path} is not one of Housecat's; {REMEDY}")
    found = fingerprint(tensors, stored["about"])
    if found != stored["sha256"]:
        raise InputError(
            f"checkpoint: {path} was changed after it was saved: expected SHA-256"
            f" {stored['sha256'][:12]}, came {found[:12]}; {REMEDY}"
        )
    about: dict[str, Any] = parse(stored["about"].encode())
    single = {n: t.float() if t.dtype is torch.float16 else t for n, t in tensors.items()}
    return single, {**about, "sha256": found}


def _halved(values: Tensor) -> Tensor:
    """Return a large matrix in half precision, and anything else, or too large for it, as it is."""
    large = values.dtype is torch.float32 and values.ndim > 1 and values.numel() >= LARGE
    return values.half() if large and bool((values.abs() < HIGHEST).all()) else values


def fingerprint(tensors: Mapping[str, Tensor], about: str) -> str:
    """Return the SHA-256 over names, dtypes, shapes and bytes of CPU tensors, and `about`."""
    digest = hashlib.sha256(about.encode())
    for name, values in sorted(tensors.items()):
        digest.update(f"\n{name} {values.dtype} {list(values.shape)}\n".encode())
        digest.update(values.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Put the rename itself on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
