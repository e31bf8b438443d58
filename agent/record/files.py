"""Writing files whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from agent.core.errors import InputError


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
        raise InputError(
            f"expected to write {path}, came '{fault.strerror}'; choose a folder you may write to"
        ) from None
