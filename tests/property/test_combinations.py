"""Whatever agent is put together, no command goes out that was not judged at every step."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contract.combinations import CHOICES, EVERYONE, Combination, tried

combinations = st.builds(
    Combination,
    seed=st.integers(0, 10_000),
    slots=st.fixed_dictionaries({slot: st.sampled_from(names) for slot, names in CHOICES.items()}),
    rails=st.integers(0, 3),
    batch=st.integers(1, 3),
    horizon=st.integers(1, 6),
    mode=st.sampled_from((1, 2)),
    calibrated=st.integers(1, 8),
    cast=st.integers(-1, len(EVERYONE) - 1),
    bad=st.sampled_from((0.0, float("nan"), float("inf"), 1e30)),
)


@settings(deadline=None, derandomize=True, max_examples=80)
@given(combinations)
def test_every_command_was_judged_at_every_imagined_step(what: Combination) -> None:
    came = tried(what)
    assert came["unvalidated"] == 0
    assert came["uncaught"] == 0


def test_most_random_agents_live_and_move() -> None:
    came: Counter[str] = Counter()
    for seed in range(12):
        came.update(tried(Combination.drawn(seed)))
    assert came["lived"] >= 6
    assert came["sent"] >= 6


def test_agents_with_levels_are_among_them() -> None:
    slots = {s: "cem" if s == "actor" else n[0] for s, n in CHOICES.items()}
    slots |= {"actor": "hierarchical", "perception": "state", "configurator": "fixed"}
    came: Counter[str] = Counter()
    for seed in range(6):
        came.update(tried(replace(Combination.drawn(seed), slots=slots, cast=-1, rails=0)))
    assert came["tall"] >= 3
    assert came["sent"] >= 3
