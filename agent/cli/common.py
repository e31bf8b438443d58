"""What subcommands share: loading, thread and machine facts, and the JSON figures."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from agent.cli.main import DEFAULT_CONFIG
from agent.config import schema
from agent.config.build import Blueprint, Mind, blueprint
from agent.record import checkpoint
from agent.record.files import write_whole

PACKAGES = ("torch", "numpy", "mujoco", "networkx", "pydantic", "mcap", "safetensors", "rich")
SCHEMA = "housecat.figures/1"
BUSY = "while True: sum(range(10_000))"
"""What a busy neighbour does."""

Figure = dict[str, float | int | str | None]


def figure(
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    n: int | None = None,
    unit: str = "",
) -> Figure:
    """Return one figure as the JSON output holds it; low and high bound a 95 % interval.

    What is not finite was not measured: it becomes null.
    """
    value, low, high = (
        None if v is None or not math.isfinite(v) else v for v in (value, low, high)
    )
    return {"value": value, "low": low, "high": high, "n": n, "unit": unit}


def configure(options: argparse.Namespace) -> Blueprint:
    """Return the blueprint of the config that the command line names, overrides applied."""
    torch.set_num_threads(1)
    path = Path(options.config or DEFAULT_CONFIG)
    overrides = list(options.overrides)
    if options.mode is not None:
        overrides.append(f"configurator.mode={options.mode}")
    return blueprint(schema.load(path, overrides))


def checkpoints(options: argparse.Namespace, found: Blueprint) -> list[Path]:
    """Return the checkpoints to use: those given on the command line, else the config's."""
    return list(options.checkpoint or [Path(found.config.checkpoint)])


def mind_of(found: Blueprint, path: Path) -> tuple[Mind, dict[str, Any]]:
    """Return the mind with a checkpoint's weights, and what the checkpoint says about itself."""
    tensors, about = checkpoint.load(path)
    return found.assemble(tensors), about


def machine() -> dict[str, Any]:
    """Return the facts that a measured figure needs beside it."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
    }


def versions() -> dict[str, str]:
    """Return the installed versions of the core packages."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def write_figures(
    options: argparse.Namespace,
    found: Blueprint | None,
    seeds: list[int],
    figures: dict[str, Figure],
) -> None:
    """Write the figures of a command to the file that --json names, whole or not at all."""
    if options.json is None:
        return
    whole = {
        "schema": SCHEMA,
        "command": "python run_agent.py " + " ".join(sys.argv[1:]),
        "config_hash": schema.config_hash(found.resolved()) if found else None,
        "seeds": seeds,
        "machine": machine(),
        "versions": versions(),
        "figures": figures,
    }
    write_whole(options.json, json.dumps(whole, indent=1) + "\n")


@contextlib.contextmanager
def neighbour(busy: bool = True) -> Iterator[None]:
    """Keep one core busy with another process meanwhile, if `busy`."""
    process = subprocess.Popen([sys.executable, "-c", BUSY]) if busy else None
    try:
        if process is not None:
            time.sleep(1.0)  # until it has started
        yield
    finally:
        if process is not None:
            process.kill()
            process.wait()


def say(text: str = "") -> None:
    """Print a line for people."""
    print(text, flush=True)


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
