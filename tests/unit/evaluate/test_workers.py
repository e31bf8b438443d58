"""Work spread over processes: in order, and over at once when nobody wants it any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.tiny import ROOT

INTERRUPTED = """
import os, signal, sys, time

if __name__ != "__main__":  # a worker that does not know yet what it is for
    os.kill(os.getpid(), signal.SIGINT)

from agent.evaluate import workers

def work(number):
    time.sleep(number)
    return number

if __name__ == "__main__":
    workers.cores = lambda: 2
    try:
        for job, found in workers.spread([0, 0, 0, {last}], work):
            print(found, flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
"""


def begin(tmp_path: Path, last: int) -> subprocess.Popen[str]:
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED.format(last=last))
    return subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        found, faults = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, found, faults


def test_a_worker_leaves_ctrl_c_alone_from_its_first_line_on(tmp_path: Path) -> None:
    assert end(begin(tmp_path, last=0)) == (0, "0\n0\n0\n0\n", "")


def test_ctrl_c_stops_all_of_it(tmp_path: Path) -> None:
    process = begin(tmp_path, last=1000)
    assert process.stdout is not None
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    code, _, faults = end(process)
    assert (code, faults) == (130, "")
