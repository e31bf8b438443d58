"""Do the tests of guardrails and gate notice when these are spoilt?

`python -m tests.mutation --json FILE` puts small faults into copies of the files below, one at a
time, and runs the tests beside them; a fault that no test notices has survived. Faults that no
input can tell from the sound code (`tests.equivalent`) are left out and counted apart.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.equivalent import EQUIVALENT
from tests.mutants import mutants

ROOT = Path(__file__).resolve().parents[1]
KERNEL = ("gate", "mend", "overseer", "repair", "guardrails", "past", "objective")
"""Files of agent/core that judge plans; all run the tests of all."""
BESIDE = (*KERNEL, "adaptive", "watch")
"""The tests of these, in tests/unit/core, by how their names begin; a file's own come first."""
STUB = """import pytest

@pytest.fixture
def mind(): pytest.skip("needs a training")

tensors = weights = plans = trained = world = task = seen = mind
"""
"""Stands in for tests/conftest.py: what needs trained weights is left to the suite."""
LIMIT_S = 60
"""Processor time after which a mutant that does not end counts as noticed."""


def targets() -> dict[str, list[str]]:
    """Return which tests stand beside which file."""
    kernel = [f"agent/core/{n}.py" for n in KERNEL if (ROOT / f"agent/core/{n}.py").is_file()]
    units = [f"test_{n}*.py" for n in BESIDE]
    core = [p for u in units for p in sorted(ROOT.glob(f"tests/unit/core/{u}"))]
    beside = list(dict.fromkeys(str(p.relative_to(ROOT)) for p in core))
    rails = sorted(p.relative_to(ROOT) for p in ROOT.glob("modules/cost/guardrails/[a-z]*.py"))
    leaves = sorted(ROOT.glob("tests/unit/modules/test_guardrail*.py"))
    leaf_tests = ["tests/unit/modules/test_leaves.py", *(str(p.relative_to(ROOT)) for p in leaves)]
    found = {
        name: sorted(beside, key=lambda u, n=name: not Path(u).stem[5:].startswith(Path(n).stem))
        for name in kernel
    }
    return found | {str(p): leaf_tests[::-1] for p in rails}


def survives(folder: Path, tests: list[str]) -> bool:
    """Say whether the tests pass in `folder`, in a process of their own that has torch already."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        os.chdir(folder)
        sys.path[0] = str(folder)
        sys.dont_write_bytecode = True
        import pytest

        os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests])))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def copied(folder: Path) -> None:
    """Copy what the tests import into a folder."""
    for name in ("agent", "modules", "worlds", "tests", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "tests" / "conftest.py").write_text(STUB, encoding="utf-8")


def main() -> int:
    """Try every mutant and say which survived; returns 1 if the tests fail without any."""
    words = argparse.ArgumentParser()
    words.add_argument("files", nargs="*", default=list(targets()))
    words.add_argument("--every", type=int, default=1, help="try only each Nth mutant of a file")
    words.add_argument("--offset", type=int, default=0, help="of these, begin with this one")
    words.add_argument("--json", type=Path)
    options = words.parse_args()
    import pydantic  # noqa: F401 - what every child needs is loaded once, before it forks
    import pytest  # noqa: F401
    import torch

    torch.set_num_threads(1)
    killed, tried, same, begin = 0, 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copied(folder)
        for file in options.files:
            path, tests = folder / file, targets()[file]
            source = path.read_text(encoding="utf-8")
            if not survives(folder, tests):
                print(f"{file}: its tests fail before anything was changed")
                return 1
            for index, (number, line, what, changed) in enumerate(mutants(source)):
                if index % options.every != options.offset % options.every:
                    continue
                if (file, line, what) in EQUIVALENT:
                    same += 1
                    continue
                path.write_text(changed, encoding="utf-8")
                alive = survives(folder, tests)
                tried, killed = tried + 1, killed + (not alive)
                if alive:
                    print(f"survived: {file} line {number}: {what}", flush=True)
            path.write_text(source, encoding="utf-8")
            print(f"{file}: {killed} of {tried} killed, {time.monotonic() - begin:.0f} s")
    print(f"{same} more are equivalent to the sound code and were left out")
    if options.json is not None:
        some = f" --every {options.every}" if options.every > 1 else ""
        some += f" --offset {options.offset}" if options.offset else ""
        _record(options.json, killed, tried, same, some)
    return 0


def _record(path: Path, killed: int, tried: int, same: int, some: str) -> None:
    from agent.cli.common import SCHEMA, figure, machine, versions
    from agent.evaluate.statistics import proportion

    told = {"mutants": figure(tried + same), "equivalent": figure(same),
            "killed": figure(*proportion(killed, tried), tried, "share")}  # fmt: skip
    record = {"schema": SCHEMA, "command": f"python -m tests.mutation{some} --json {path}",
              "config_hash": None, "seeds": [0], "machine": machine(), "versions": versions(),
              "figures": told}  # fmt: skip
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
