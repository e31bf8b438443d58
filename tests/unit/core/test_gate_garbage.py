"""The gate: whatever comes, what goes out is safe."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.messages import Percept, Ruling
from tests.toys import ACTUATORS, gate, percept, plan
from tests.unit.core.test_gate import CALM, ruled

floats = st.floats(width=32, allow_nan=True, allow_infinity=True)
dtypes = st.sampled_from([torch.float32, torch.float64, torch.int64, torch.bool, torch.complex64])
garbage = st.one_of(
    st.none(),
    st.text(),
    st.integers(),
    st.tuples(st.lists(st.integers(0, 3), max_size=4), floats, dtypes).map(
        lambda drawn: torch.full(
            drawn[0], drawn[1] if drawn[2].is_floating_point else 1, dtype=drawn[2]
        )
    ),
    st.lists(floats, min_size=4, max_size=4).map(lambda v: torch.tensor(v).reshape(1, 2, 2)),
)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(
    latent=garbage, actions=garbage, fault=st.sampled_from(["", "", "", "late"]), warm=st.booleans()
)
def test_whatever_comes_something_safe_goes_out(
    latent: Any, actions: Any, fault: str, warm: bool
) -> None:
    guard = gate()
    if warm:
        guard.rule(percept((0.0, 0.0)), plan(CALM))
    verdict, action = guard.rule(Percept(latent, latent, latent), plan(actions), fault)
    low, high = ACTUATORS.bounds()
    assert action.command.dtype == torch.float32
    assert action.command.ndim == 2
    assert bool(((action.command >= low) & (action.command <= high)).all())
    assert set(verdict.ruling.tolist()) <= {0, 1, 2}
    assert len(verdict.ruling) == len(action.command)
    after, _ = guard.rule(percept((0.0, 0.0)), plan(CALM))
    assert ruled(after) == [Ruling.ALLOWED]


@settings(deadline=None, derandomize=True, max_examples=200)
@given(
    place=st.floats(-3, 3, width=32),
    moves=st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=6),
)
def test_what_goes_out_keeps_the_limit_or_is_the_fallback(place: float, moves: list[float]) -> None:
    actions = torch.tensor([[m, 0.0] for m in moves])[None]
    verdict, action = gate().rule(percept((place, 0.0)), plan(actions))
    path = place + actions[0, :, 0].clamp(-1.0, 1.0).cumsum(dim=0)
    first, reason = action.command[0, 0].item(), "".join(verdict.reasons)
    if ruled(verdict) == [Ruling.VETOED]:
        assert place > 1.0 - 1e-5
        assert action.command.tolist() == [[0.0, 0.0]]
    elif "less than the fallback would" in reason:
        assert place > 1.0 - 1e-5
        assert abs(first) <= abs(moves[0])
    elif "outside" in reason or not reason:
        assert float(path.max()) <= 1.0 + 1e-5
        assert first == min(max(moves[0], -1.0), 1.0)
    else:
        assert float(path.max()) > 1.0 - 1e-5
        assert place + first <= 1.0 + 1e-5
        assert abs(first) <= abs(moves[0])


def test_a_state_with_a_number_that_is_none_is_not_planned_from() -> None:
    """The wall stands in the first number alone."""
    verdict, action = gate().rule(percept((0.0, float("nan"))), plan(CALM))
    assert ruled(verdict) == [Ruling.VETOED]
    assert bool(torch.isfinite(action.command).all())
