"""Writing files whole or not at all, and what was worked out before."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.core.errors import InputError


def expect_writable(path: Path) -> None:
    """Raise InputError if a file could not be written at `path`: before the work, not after."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as fault:
        raise _unwritable(path, fault) from None


def write_whole(path: Path, text: str) -> None:
    """Write a text file atomically. Raises InputError if the place cannot be written."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as fault:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise _unwritable(path, fault) from None


def _unwritable(path: Path, fault: OSError) -> InputError:
    return InputError(
        f"expected to write {path}, came '{fault.strerror}'; choose a folder you may write to"
    )


def recalled(path: Path, key: str) -> Any:
    """Return what is kept in `path` for this `key`; None if that is nothing, or another's."""
    if not path.is_file():
        return None
    before = json.loads(path.read_text("utf-8"))
    return before["figures"] if before["key"] == key else None


def kept(path: Path, key: str, make: Callable[[], Any]) -> Any:
    """Return what `make` gave for the same `key`, from `path`; else make it, and keep it there.

    It must be what JSON can hold.
    """
    figures = recalled(path, key)
    if figures is not None:
        return figures
    figures = make()
    keep(path, key, figures)
    return figures


def keep(path: Path, key: str, figures: Any, about: Mapping[str, Any] | None = None) -> None:
    """Keep `figures` in `path` for `recalled`, with what else a reader should know `about` them.

    All of it must be what JSON can hold.
    """
    text = json.dumps({**(about or {}), "key": key, "figures": figures}, indent=1)
    write_whole(path, text + "\n")
