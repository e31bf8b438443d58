"""A module in a process of its own: `isolate: true` in the config.

What it does when it is built and when it ticks happens there: a crash, a hang, a change to objects
of the runtime stay there. The runtime sends it what it reads, takes what it posts as numbers and
text, and judges plans with its own model and its own guardrails. It is no sandbox: the process has
its user's files and network, and the class is imported here too, to read its declarations.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Mapping
from typing import Any

import msgspec
import torch
from safetensors.torch import save
from torch import Tensor

from agent.config.parcel import KINDS, decode, encode, pack, unpack
from agent.core.errors import HousecatError, InputError
from agent.core.protocols import Inbox, Ports
from agent.core.spec import Spec

ABLE = ("actor", "configurator", "memory")
"""Modules that offer the runtime nothing but messages."""
START_S, HANG_S = 120.0, 10.0
"""How long building may take, and a tick where no deadline is set."""
RUBBISH = (ValueError, TypeError, KeyError, OverflowError, RuntimeError, msgspec.MsgspecError)
"""What taking apart an answer that is no message may end in."""
LARGEST = 64 << 20
"""Bytes of an answer; more is refused."""


class Isolated:
    """Stands in for a module that lives in another process, started when first needed.

    It declares what the module declares. `limit_s` is how long an answer may take. One that is late
    costs its tick; a process that died, or is silent for `HANG_S`, is missed until the next
    episode, which starts another.
    """

    def __init__(
        self, slot: str, kind: Any, settings: Any, config: Mapping[str, Any], tensors: Any
    ) -> None:
        """Stand in for the `slot` of the agent that `config` and `tensors` describe."""
        self.reads, self.recalls, self.posts = kind.reads, kind.recalls, kind.posts
        self.config, self.limit_s, self._slot = settings, START_S, slot
        weights = None if tensors is None else save(_whole(tensors))
        self._order = {"slot": slot, "config": _plain(config, slot), "weights": weights}
        self._line: Line | None = None
        self._lost = ""

    def ports(self) -> Ports:
        """Return what the module insists on. Raises InputError if it cannot be built."""
        told = self._asked({"do": "ports"}, START_S)
        fields = {(KINDS[k], name): msgspec.convert(s, Spec) for k, name, s in told["fields"]}
        return Ports(axes=told["axes"], fields=fields)

    def reset(self, batch: int) -> None:
        """Start an episode; where the process is gone or hangs, in a new one."""
        if self._line is not None and (self._lost or self._line.owed):
            self._line.close()
            self._line = None
        self._lost = ""
        self._asked({"do": "reset", "batch": batch}, START_S)

    def tick(self, inbox: Inbox) -> Any:
        """Return what the module posts.

        Raises HousecatError if it fails, is late, has died, or answers what is no message.
        """
        now = {k.__name__: pack(inbox[k]) for k in self.reads}
        last = {k.__name__: inbox.last(k) for k in self.recalls}
        before = {name: pack(said) for name, said in last.items() if said is not None}
        answer = self._asked({"do": "tick", "now": now, "before": before}, self.limit_s)
        try:
            return unpack(self.posts, answer)
        except RUBBISH as fault:
            text = " ".join(str(fault).split())[:120]
            raise self._fault(f"posted what is no {self.posts.__name__} ({text})") from None

    def _asked(self, request: dict[str, Any], limit_s: float) -> Any:
        if self._lost:
            raise self._fault(self._lost)
        if self._line is None:
            self._line = Line(self._order)
            self._asked({"do": "wait"}, START_S)  # raises what the module's constructor raised
        try:
            answer = self._line.ask(request, limit_s)
        except TimeoutError:
            late = f"no answer within {1e3 * limit_s:.0f} ms"
            if self._line.silent_s() >= HANG_S:
                self._lost = f"{late}, and its process was silent for {HANG_S:.0f} s and was ended"
                self._line.close()
            raise self._fault(late) from None
        except (OSError, EOFError, ValueError, msgspec.MsgspecError) as fault:
            self._line.close()
            why = " ".join(str(fault).split())[:120] or type(fault).__name__
            self._lost = f"its process ended (code {self._line.code()}; {why})"
            raise self._fault(self._lost) from None
        if "refused" in answer:
            raise InputError(str(answer["refused"])[:500])
        if "fault" in answer:
            raise self._fault(" ".join(str(answer["fault"]).split())[:200])
        return answer.get("said")

    def _fault(self, what: str) -> HousecatError:
        return HousecatError(f"{self._slot} (isolated): {what}")


class Line:
    """A process that holds one module, and the socket to it. It ends with this object at latest."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        """Start the process and tell it what to build."""
        self._socket, theirs = socket.socketpair()
        path = os.pathsep.join(p or os.getcwd() for p in sys.path)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "agent.config.isolate_worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=os.environ | {"PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the runtime, which ends this then
            )
        self._end = weakref.finalize(self, _ended, self._process, self._socket)
        self._buffer, self._number, self._answered = bytearray(), 0, 0
        self._heard = time.monotonic()
        threads = {"threads": torch.get_num_threads(), "parent": os.getpid()}
        self._send({**order, **threads}, START_S)

    @property
    def owed(self) -> int:
        """How many requests were never answered."""
        return self._number - self._answered

    def silent_s(self) -> float:
        """Return the seconds since anything was heard."""
        return time.monotonic() - self._heard

    def ask(self, request: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        """Return the answer to a request; answers that came too late for theirs are dropped.

        Raises TimeoutError; OSError, EOFError or ValueError if nothing can come any more.
        """
        until = time.monotonic() + limit_s
        while self.owed:
            self._receive(until)
        self._number += 1
        self._heard = until - limit_s
        self._send({**request, "number": self._number}, max(limit_s, 1.0))
        while True:
            answer = self._receive(until)
            if self._answered == self._number:
                return answer

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._end()

    def code(self) -> int | None:
        """Return the exit code of a process that has ended."""
        return self._process.poll()

    def _send(self, content: Mapping[str, Any], limit_s: float) -> None:
        data = encode(content)
        self._socket.settimeout(limit_s)
        try:
            self._socket.sendall(len(data).to_bytes(4, "big") + data)
        except TimeoutError:
            raise OSError("it does not listen") from None

    def _receive(self, until: float) -> dict[str, Any]:
        while True:
            size = int.from_bytes(self._buffer[:4], "big") if len(self._buffer) >= 4 else None
            if size is not None and size > LARGEST:
                raise ValueError(f"its answer has {size} bytes")
            if size is not None and len(self._buffer) >= 4 + size:
                answer = decode(bytes(self._buffer[4 : 4 + size]))
                del self._buffer[: 4 + size]
                number = answer.get("number") if isinstance(answer, dict) else None
                if not isinstance(number, int) or not self._answered < number <= self._number:
                    raise ValueError("its answer has no number that was asked for")
                self._answered = number
                return answer  # type: ignore[no-any-return]
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            came = self._socket.recv(1 << 20)
            if not came:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(0.5)
                raise EOFError("it hung up")
            self._heard = time.monotonic()
            self._buffer += came


def _ended(process: subprocess.Popen[bytes], line: socket.socket) -> None:
    line.close()
    process.kill()
    process.wait()


def _whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n: t.detach().cpu().contiguous().clone() for n, t in tensors.items()}


def _plain(config: Mapping[str, Any], slot: str) -> dict[str, Any]:
    """Return the config with no part isolated: there is one process for each."""
    return {
        key: {k: v for k, v in part.items() if k != "isolate"} if key in ABLE else part
        for key, part in config.items()
    }
