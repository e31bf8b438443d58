"""From argv to a subcommand; knows the exit codes. Imports nothing heavy before it has to."""

from __future__ import annotations

import argparse
import ctypes
import importlib
import keyword
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from agent.core.errors import HousecatError, InputError, nearest
from agent.record.files import expect_writable

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's settings, from malloc.h."""

COMMANDS: dict[str, str] = {
    "run": "live one or more episodes with shipped weights (the default)",
    "train": "learn world model, readouts, critic, policy and margins from nothing; resumable",
    "import": "take experience recorded elsewhere (minari:ID) as a dataset to train from",
    "eval": "measure success, violations and latency over episodes and training seeds",
    "energy": "measure and draw how well a world model tells true futures from false ones",
    "redteam": "attack an agent's guardrails: exploitation, frontier, faults, modules, tampering",
    "voe": "measure surprise at what is impossible (violation of expectation)",
    "check": "validate config and wiring; print graph and schedule; write wiring.svg",
    "audit": "count a run's verdicts and what came of them; --verify follows the log's chain",
    "report": "write the report of a run folder again",
    "scoreboard": "put our agents beside the baselines in all worlds: 0 random, 100 true simulator",
    "bench": "measure one thing: `bench tick`, `foresight`, `objectives`, ...",
    "doctor": "say what is installed, what is missing and what to type",
    "list": "list every module, term, guardrail and world",
}
DEFAULT_CONFIG = "configs/demo.yaml"
EXAMPLES = """\
examples:
  python run_agent.py                                        the demo
  python run_agent.py run configs/reach.yaml run.ticks=60    any setting by its dotted path
  python run_agent.py eval configs/reach.yaml --episodes 200 --json result.json
"""


class Parser(argparse.ArgumentParser):
    """A parser whose faults are one line, like everybody's."""

    def error(self, message: str) -> NoReturn:
        """Raise InputError."""
        raise InputError(f"run_agent.py: {message}; see `python run_agent.py --help`")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, the same for every subcommand."""
    top = Parser(
        prog="run_agent.py",
        description="Housecat: agents that plan through a world they have learned.",
        epilog="subcommands:\n"
        + "\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items())
        + "\n\n"
        + EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("command", nargs="?", default="run", metavar="SUBCOMMAND")
    top.add_argument(
        "config",
        nargs="?",
        metavar="CONFIG",
        help="YAML file (or run folder, for report and audit)",
    )
    top.add_argument("overrides", nargs="*", metavar="key.path=value")
    top.add_argument("--json", type=Path, metavar="FILE", help="write figures to FILE")
    top.add_argument("--seed", type=int, metavar="N", help="training seed, or first episode seed")
    top.add_argument(
        "--episodes", type=int, metavar="N", help="eval: episodes per checkpoint; voe: pairs"
    )
    top.add_argument("--seeds", type=int, metavar="N", help="scoreboard: training seeds, from 0")
    top.add_argument(
        "--budget",
        metavar="MINUTES",
        help="scoreboard: for what learns by reward, marks 5,15,45; 0: none",
    )
    top.add_argument(
        "--kept", action="store_true", help="scoreboard: live no more; tell what is kept"
    )
    top.add_argument(
        "--runs", type=Path, metavar="FOLDER", help="scoreboard: where each run is kept"
    )
    top.add_argument("--lives", type=int, metavar="N", help="bench continual: per checkpoint")
    top.add_argument("--mode", type=int, choices=(1, 2), help="1 reactive, 2 deliberate")
    top.add_argument("--checkpoint", type=Path, action="append", metavar="FILE")
    top.add_argument(
        "--out", type=Path, metavar="PATH", help="train: checkpoint; run: folder; else a picture"
    )
    top.add_argument(
        "--temperature", type=float, metavar="T", help="energy: soft minimum over z; 0 is the least"
    )
    top.add_argument("--fresh", action="store_true", help="train: forget an interrupted training")
    top.add_argument(
        "--half", action="store_true", help="train: write large matrices in half precision"
    )
    top.add_argument("--verify", action="store_true", help="audit: follow the chain of the log")
    top.add_argument("--debug", action="store_true", help="show the traceback of a fault")
    return top


def arrange(argv: Sequence[str]) -> list[str]:
    """Return argv with the subcommand and config in place where they were left out.

    Raises InputError for an unknown subcommand.
    """
    words = list(argv)
    first = next((w for w in words if not w.startswith("-")), None)
    if first is None or first.endswith((".yaml", ".yml")) or "=" in first:
        if not any(w in ("-h", "--help") for w in words):
            words = ["run", *words]
    elif first not in COMMANDS and words[0] == first:
        raise InputError(f"run_agent.py: unknown subcommand '{first}'; {nearest(first, COMMANDS)}")
    return words


def keep_freed_memory() -> bool:
    """Have the C library keep freed memory for the next plan; return whether it could be told.

    Imagined futures are freed at every wave of a search; glibc would give them back to the system
    and fetch them again page by page, which costs a plan some percent. Other C libraries are left
    as they are. Source: mallopt(3).
    """
    tell = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if tell is None:
        return False
    return bool(tell(M_MMAP_THRESHOLD, 32 << 20)) and bool(tell(M_TRIM_THRESHOLD, 256 << 20))


def main(argv: Sequence[str]) -> int:
    """Run a subcommand; return the exit code: 0 done, 1 our defect, 2 your input, 3 a guardrail."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    keep_freed_memory()
    try:
        options = parser().parse_intermixed_args(arrange(argv))
        if options.command not in COMMANDS:
            hint = nearest(options.command, COMMANDS)
            raise InputError(f"run_agent.py: unknown subcommand '{options.command}'; {hint}")
        if options.config is not None and "=" in options.config:
            options.overrides.insert(0, options.config)
            options.config = None
        for path in (options.json, options.out if options.command != "run" else None):
            if path is not None:
                expect_writable(path)
        name = options.command + "_" * keyword.iskeyword(options.command)
        module = importlib.import_module(f"agent.cli.{name}")
        code: int = module.main(options)
        return code
    except HousecatError as fault:
        print(f"error: {fault}", file=sys.stderr)
        if "--debug" in argv:
            traceback.print_exc()
        return fault.exit_code
    except KeyboardInterrupt:
        print("stopped by Ctrl-C; what was written so far is readable", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except Exception as fault:  # noqa: BLE001 - a defect of ours: say so, in one line
        text = " ".join(str(fault).split())
        print(
            f"error: defect in Housecat ({type(fault).__name__}: {text});"
            f" please report it with the output of the same command and --debug",
            file=sys.stderr,
        )
        if "--debug" in argv:
            traceback.print_exc()
        return 1
