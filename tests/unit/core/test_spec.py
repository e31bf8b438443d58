"""Specs: layouts pack and name channels; compiled checks refuse exactly what does not fit."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.errors import BoardError
from agent.core.messages import Action, Percept, Plan, Task
from agent.core.spec import Channel, Layout, Spec, compile_check, specs_of, tensor

BODY = Layout(
    (
        Channel("angle", 2, "rad", (-1.0, -2.0), (1.0, 2.0)),
        Channel("touch", 1, "N"),
        Channel("tip", 3, "m", (0.0,) * 3, (9.0,) * 3),
    )
)


def test_a_layout_names_slices_of_a_packed_axis() -> None:
    assert BODY.size == 6
    assert BODY.names == ("angle", "touch", "tip")
    assert BODY["tip"] == slice(3, 6)
    assert BODY.channel("touch").unit == "N"
    assert BODY.describe() == "angle[2] rad, touch[1] N, tip[3] m"
    assert Layout(()).describe() == "nothing"
    for ask in (BODY.__getitem__, BODY.channel):
        with pytest.raises(KeyError, match="toe"):
            ask("toe")


def test_bounds_are_infinite_where_a_channel_has_none() -> None:
    low, high = BODY.bounds()
    inf = torch.inf
    assert low.tolist() == [-1.0, -2.0, -inf, 0.0, 0.0, 0.0]
    assert high.tolist() == [1.0, 2.0, inf, 9.0, 9.0, 9.0]


def test_specs_come_with_the_fields() -> None:
    @dataclasses.dataclass(frozen=True)
    class Note:
        values: Any = tensor("B", 3, unit="m", low=0.0)
        text: str = ""

    assert specs_of(Note) == {"values": Spec(("B", 3), "float32", "m", low=0.0)}
    assert specs_of(Note)["values"].describe() == "float32[B 3] m"
    assert Spec((), "bool").describe() == "bool[scalar]"


def check(kind: type, **sizes: int) -> Any:
    return compile_check(kind, specs_of(kind), sizes, "hand")


def test_what_fits_passes() -> None:
    check(Task, B=2, G=3)(Task(torch.zeros(2, 3)))
    check(Task)(Task(torch.zeros(7, 9)))
    check(Percept, Z=4)(Percept(torch.zeros(5, 4), torch.zeros(5), torch.zeros(5)))


@pytest.mark.parametrize(
    ("goal", "came"),
    [
        (torch.zeros(2, 4), "float32[2, 4]"),
        (torch.zeros(3, 3), "float32[3, 3]"),
        (torch.zeros(2), "float32[2]"),
        (torch.zeros(2, 3, 1), "float32[2, 3, 1]"),
        (torch.zeros(2, 3, dtype=torch.float64), "float64[2, 3]"),
        (torch.zeros(2, 3, dtype=torch.int64), "int64[2, 3]"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(goal: torch.Tensor, came: str) -> None:
    with pytest.raises(BoardError) as caught:
        check(Task, B=2, G=3)(Task(goal))
    assert str(caught.value) == (
        f"hand posted Task.goal: expected float32[B=2 G=3], came {came}; fix what hand.tick returns"
    )


def test_open_axes_keep_their_rank() -> None:
    loose = check(Action, A=2)
    loose(Action(torch.zeros(9, 2)))
    for bad in (torch.zeros(9, 3), torch.zeros(2), torch.zeros(1, 9, 2)):
        with pytest.raises(BoardError, match=r"expected float32\[B A=2\]"):
            loose(Action(bad))


@pytest.mark.parametrize("came", [None, Action(torch.zeros(2, 3)), torch.zeros(2, 3), "goal"])
def test_another_kind_is_refused(came: object) -> None:
    with pytest.raises(BoardError, match=f"hand must post Task, came {type(came).__name__}"):
        check(Task, B=2, G=3)(came)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(
    shape=st.lists(st.integers(0, 4), max_size=4),
    want=st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)),
    known=st.sets(st.sampled_from("BHA")),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bool]),
)
def test_a_compiled_check_is_the_plain_comparison(
    shape: list[int], want: tuple[int, int, int], known: set[str], dtype: torch.dtype
) -> None:
    sizes = {axis: size for axis, size in zip("BHA", want, strict=True) if axis in known}
    only = {"actions": specs_of(Plan)["actions"]}
    checked = compile_check(Plan, only, sizes, "hand")
    fits = (
        len(shape) == 3
        and dtype is torch.float32
        and all(sizes.get(a, n) == n for a, n in zip("BHA", shape, strict=False))
    )
    plan = Plan(torch.zeros(shape, dtype=dtype), *[torch.zeros(0)] * 8)
    if fits:
        checked(plan)
    else:
        with pytest.raises(BoardError):
            checked(plan)
