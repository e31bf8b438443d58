"""`doctor`: versions, GL, threads, GPU, disk; and what to type for what is missing."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from agent.cli.common import Figure, figure, machine, say, versions, write_figures

EXTRAS = {
    "dmc": "dm_control",
    "menagerie": "mujoco_menagerie",
    "minari": "minari",
    "bench": "stable_baselines3",
    "pace": "envpool",
    "robotics": "gymnasium_robotics",
}
"""What else can be installed, and a module by which it shows."""

DISPENSABLE = ("graphics", "gpu", "video", *(f"[{name}]" for name in EXTRAS))
"""Findings without which `run` does its work."""

Finding = tuple[str, bool, str]
"""What was looked at, whether it is well, and what was found or what to do."""


def main(options: argparse.Namespace) -> int:
    """Print every finding; returns 0 if all that `run` needs is there, 2 otherwise."""
    figures: dict[str, Figure] = {}
    sound = True
    for name, well, text in findings():
        say(f"{'ok  ' if well else 'MISS'}  {name:<12} {text}")
        figures[name] = figure(float(well))
        sound &= well or name in DISPENSABLE
    write_figures(options, None, [], figures)
    return 0 if sound else 2


def findings() -> Iterator[Finding]:
    """Yield what there is to say about this machine."""
    python = sys.version_info
    yield "python", python >= (3, 11), f"{python.major}.{python.minor} (needs 3.11 or newer)"
    for name, found in versions().items():
        hint = found if found != "missing" else "missing; make setup"
        yield name, found != "missing", hint
    facts = machine()
    yield "threads", True, f"{facts['cores']} cores, torch uses {facts['torch_threads']} thread"
    for name, module in EXTRAS.items():
        here = importlib.util.find_spec(module) is not None
        hint = (
            f"{module} is installed" if here else f"not needed to run; pip install -e '.[{name}]'"
        )
        yield f"[{name}]", here, hint
    yield "graphics", *_graphics()
    yield "video", *_ffmpeg()
    yield "gpu", facts["gpu"] is not None, str(facts["gpu"] or "none; everything runs on the CPU")
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    yield "disk", free > 1.0, f"{free:.1f} GiB free here (a run takes a few MiB)"
    writable = os.access(Path.cwd(), os.W_OK)
    yield "folder", writable, "writable" if writable else "not writable; run in a folder of yours"


def _graphics() -> tuple[bool, str]:
    """Try to render in a process of its own: a broken GL driver may take it down."""
    program = (
        "import mujoco; m = mujoco.MjModel.from_xml_string('<mujoco/>');"
        "mujoco.Renderer(m, 16, 16).close()"
    )
    backend = os.environ.get("MUJOCO_GL", "egl")
    tried = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "MUJOCO_GL": backend},
        capture_output=True,
        timeout=60,
        check=False,
    )
    if tried.returncode == 0:
        return True, f"renders with {backend}"
    return False, (
        f"{backend} does not render: no video (replays and reports work without);"
        f" on Debian: apt-get install libegl1 libgl1-mesa-dri"
    )


def _ffmpeg() -> tuple[bool, str]:
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        return False, "no ffmpeg: pip install imageio-ffmpeg"
    return True, "ffmpeg comes with imageio-ffmpeg"
