"""What a tensor field must look like: axes, dtype, unit, bounds, and named channels.

A `Spec` is data. Wiring unifies the specs of producer and consumer once; afterwards
`compile_check` turns the resolved specs of a message into one straight-line function
that costs a few microseconds a tick.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from agent.core.errors import BoardError

Axis = str | int


@dataclasses.dataclass(frozen=True, slots=True)
class Channel:
    """One named slice of a packed last axis, such as a sensor or an actuator.

    `shape` is that of an image, whole numbers from 0 to 255, and empty for scalars. A sensor that
    is `taught` is shown in episodes of training alone: readouts learn it, no percept depends on it.
    """

    name: str
    size: int
    unit: str
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None
    shape: tuple[int, ...] = ()
    taught: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """Named channels packed along a last axis, in order; images come after all scalars.

    Raises ValueError for another order: what is packed could not be cut in two.
    """

    channels: tuple[Channel, ...]

    def __post_init__(self) -> None:
        """Check that images come last."""
        images = [bool(c.shape) for c in self.channels]
        if images != sorted(images):
            raise ValueError(f"layout: expected images after all scalars, came {self.describe()}")

    @property
    def scalars(self) -> Layout:
        """The channels that are no images: the first `scalars.size` values of the packed axis."""
        return Layout(tuple(c for c in self.channels if not c.shape))

    @property
    def lasting(self) -> Layout:
        """The channels that are shown after training too."""
        return Layout(tuple(c for c in self.channels if not c.taught))

    @property
    def size(self) -> int:
        """Number of scalars in all channels together."""
        return sum(c.size for c in self.channels)

    @property
    def names(self) -> tuple[str, ...]:
        """Channel names in order."""
        return tuple(c.name for c in self.channels)

    def slices(self) -> Iterator[tuple[Channel, slice]]:
        """Yield each channel with its slice of the packed axis."""
        start = 0
        for channel in self.channels:
            yield channel, slice(start, start + channel.size)
            start += channel.size

    def __getitem__(self, name: str) -> slice:
        """Return the slice of channel `name`. Raises KeyError if there is none."""
        for channel, where in self.slices():
            if channel.name == name:
                return where
        raise KeyError(name)

    def channel(self, name: str) -> Channel:
        """Return the channel called `name`. Raises KeyError if there is none."""
        for channel in self.channels:
            if channel.name == name:
                return channel
        raise KeyError(name)

    def unit(self, name: str) -> str:
        """Return the unit of the channel called `name`; "" if there is none, or it has none."""
        return next((c.unit for c in self.channels if c.name == name), "")

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Return lower and upper limits, each [size]; infinite where a channel has none."""
        low: list[float] = []
        high: list[float] = []
        for c in self.channels:
            low += c.low if c.low is not None else [-torch.inf] * c.size
            high += c.high if c.high is not None else [torch.inf] * c.size
        return torch.tensor(low), torch.tensor(high)

    def describe(self) -> str:
        """Return `name[size] unit, ...`, as mismatch tables show it; images with their shape."""
        sizes = {c.name: "x".join(map(str, c.shape)) or str(c.size) for c in self.channels}
        return ", ".join(f"{c.name}[{sizes[c.name]}] {c.unit}" for c in self.channels) or "nothing"


@dataclasses.dataclass(frozen=True, slots=True)
class Spec:
    """Promise about one tensor field. Axes are symbols (unified at wiring) or sizes.

    An `optional` field may be None.
    """

    axes: tuple[Axis, ...]
    dtype: str = "float32"
    unit: str = ""
    low: float | None = None
    high: float | None = None
    layout: Layout | None = None
    optional: bool = False

    def describe(self) -> str:
        """Return the spec in one short phrase."""
        axes = " ".join(map(str, self.axes)) or "scalar"
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.dtype}[{axes}]{unit}"


def tensor(*axes: Axis, dtype: str = "float32", unit: str = "", low: float | None = None) -> Any:
    """Declare a tensor field of a message together with its spec."""
    return dataclasses.field(metadata={"spec": Spec(axes, dtype, unit, low)})


def maybe(*axes: Axis, dtype: str = "float32", unit: str = "") -> Any:
    """Declare a tensor field that may be left out, and is None then."""
    spec = Spec(axes, dtype, unit, optional=True)
    return dataclasses.field(default=None, metadata={"spec": spec})


def specs_of(kind: type) -> dict[str, Spec]:
    """Return the specs of a message kind, by field name."""
    fields = dataclasses.fields(kind)
    return {f.name: f.metadata["spec"] for f in fields if "spec" in f.metadata}


def compile_check(
    kind: type, specs: Mapping[str, Spec], sizes: Mapping[str, int], poster: str
) -> Callable[[Any], None]:
    """Return a straight-line function that checks shape and dtype of every tensor field.

    Axes missing from `sizes` (a horizon that may differ from plan to plan, say) are left
    unchecked; the rank never is. The function raises BoardError naming poster, field,
    what was expected and what came.
    """
    lines = ["def check(message):\n    if message.__class__ is not kind: fail_kind(message)"]
    names: dict[str, Any] = {"kind": kind, "Tensor": Tensor}
    for i, (name, spec) in enumerate(specs.items()):
        shape = tuple(a if isinstance(a, int) else sizes.get(a) for a in spec.axes)
        names[f"dtype{i}"] = getattr(torch, spec.dtype)
        names[f"shape{i}"] = shape
        if None in shape:
            parts = [f"len(s) != {len(shape)}"]
            parts += [f"s[{j}] != {n}" for j, n in enumerate(shape) if n is not None]
            wrong = " or ".join(parts)
        else:
            wrong = f"s != shape{i}"
        lines.append(f"    t = message.{name}")
        here = "    "
        if spec.optional:
            lines.append("    if t is not None:")
            here = "        "
        lines.append(f"{here}if not isinstance(t, Tensor): fail_field({name!r}, t)")
        lines.append(f"{here}s = t.shape")
        lines.append(f"{here}if {wrong} or t.dtype is not dtype{i}: fail({name!r}, t)")

    def fail(name: str, came: Tensor) -> None:
        spec = specs[name]
        axes = [f"{a}={sizes[a]}" if a in sizes else str(a) for a in map(str, spec.axes)]
        raise BoardError(
            f"{poster} posted {kind.__name__}.{name}: expected {spec.dtype}"
            f"[{' '.join(axes)}], came {str(came.dtype)[6:]}{list(came.shape)};"
            f" fix what {poster}.tick returns"
        )

    def fail_kind(message: Any) -> None:
        raise BoardError(
            f"{poster} must post {kind.__name__}, came {type(message).__name__};"
            f" fix what {poster}.tick returns"
        )

    def fail_field(name: str, came: Any) -> None:
        raise BoardError(
            f"{poster} posted {kind.__name__}.{name}: expected a tensor, came"
            f" {type(came).__name__}; fix what {poster}.tick returns"
        )

    names |= {"fail": fail, "fail_kind": fail_kind, "fail_field": fail_field}
    exec(compile("\n".join(lines), f"<check {kind.__name__}>", "exec"), names)  # noqa: S102
    return names["check"]  # type: ignore[no-any-return]
