"""The process of an isolated module: build the agent, answer for the module, end with the parent.

    python -m agent.config.isolate_worker SOCKET

`agent.config.isolate` starts it.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import torch
from safetensors.torch import load

from agent.config.build import blueprint
from agent.config.parcel import KINDS, decode, encode, pack, unpack
from agent.config.schema import AgentConfig, validate
from agent.core.errors import HousecatError


class Post:
    """The inbox of an isolated module: what the runtime sent, and nothing else."""

    def __init__(self, now: Mapping[str, Any], before: Mapping[str, Any]) -> None:
        """Hold packed messages by the names of their kinds."""
        self._now = {KINDS[k]: unpack(KINDS[k], v) for k, v in now.items()}
        self._before = {KINDS[k]: unpack(KINDS[k], v) for k, v in before.items()}

    def __getitem__(self, kind: type) -> Any:
        """Return this tick's message of `kind`. Raises KeyError if it was not declared."""
        return self._now[kind]

    def last(self, kind: type) -> Any:
        """Return the last tick's message of `kind`, None if there was none."""
        return self._before.get(kind)


def main(number: int) -> None:
    """Serve the parent at the other end of socket `number` until it hangs up."""
    line = socket.socket(fileno=number)
    order = _receive(line)
    threading.Thread(target=_outlive_nobody, args=(order["parent"],), daemon=True).start()
    torch.set_num_threads(order["threads"])
    try:
        weights = None if order["weights"] is None else load(order["weights"])
        config: AgentConfig = validate(AgentConfig, order["config"], "isolated")
        mind = blueprint(config).assemble(weights)
        module = mind.modules()[order["slot"]]
    except Exception as fault:  # noqa: BLE001 - the parent is told, and refuses the module
        own = isinstance(fault, HousecatError)
        text = f"{order['slot']} (isolated): {type(fault).__name__}: {fault}"
        refusal = {"refused": str(fault) if own else text}
        _serve(line, lambda _: refusal)
        return

    def answer(request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return {"said": _done(request, module, mind)}
        except Exception as fault:  # noqa: BLE001 - a failing module costs its tick
            own = isinstance(fault, HousecatError)
            return {"fault": str(fault) if own else f"{type(fault).__name__}: {fault}"}

    _serve(line, answer)


@torch.no_grad()
def _done(request: Mapping[str, Any], module: Any, mind: Any) -> Any:
    what = request["do"]
    if what == "tick":
        return pack(module.tick(Post(request["now"], request["before"])))
    if what == "reset":
        mind.guardrails.begin()
        module.reset(request["batch"])
    if what == "ports":
        told = module.ports()
        fields = [(k.__name__, n, msgspec.to_builtins(s)) for (k, n), s in told.fields.items()]
        return {"axes": dict(told.axes), "fields": fields}
    return None


def _serve(line: socket.socket, answer: Any) -> None:
    while True:
        try:
            request = _receive(line)
        except EOFError:
            return
        data = encode({**answer(request), "number": request["number"]})
        line.sendall(len(data).to_bytes(4, "big") + data)


def _receive(line: socket.socket) -> Any:
    return decode(_exactly(line, int.from_bytes(_exactly(line, 4), "big")))


def _exactly(line: socket.socket, size: int) -> bytes:
    came = bytearray()
    while len(came) < size:
        more = line.recv(min(size - len(came), 1 << 20))
        if not more:
            raise EOFError
        came += more
    return bytes(came)


def _outlive_nobody(parent: int) -> None:
    """End the process once the parent has, however busy the module is."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
