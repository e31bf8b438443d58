"""Laws that hold for whatever comes: YAML, intervals, schedules, rankings, margins."""

from __future__ import annotations

import math
from types import SimpleNamespace

import torch
import yaml as plain
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import schema, yaml
from agent.core.errors import InputError, WiringError, nearest
from agent.core.messages import Action, Appraisal, Directive, Forecast, Percept, Plan, Recollection
from agent.core.risk import Risk, aggregate
from agent.core.schedule import GATE, GATE_READS, schedule
from agent.evaluate.statistics import proportion
from agent.train.calibrate import conformal
from modules.actor.sampling import Pool
from tests.tiny import REACH

LAWS = settings(deadline=None, derandomize=True, max_examples=150)


def number(word: str) -> bool:
    """Say whether a word reads as a number, which YAML must quote to be taken as text."""
    try:
        float(word)
    except ValueError:
        return False
    return True


finite = st.floats(-1e15, 1e15).filter(lambda x: x == 0 or abs(x) > 1e-3)
words = st.text(max_size=5).filter(lambda w: not number(w))
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**40), 2**40), words, finite)
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(words, v, max_size=3)
)


@LAWS
@given(st.dictionaries(words, values, max_size=4))
def test_what_yaml_writes_is_read_back_the_same(value: dict[str, object]) -> None:
    assert yaml.parse(plain.safe_dump(value), "f") == value


@LAWS
@given(st.text(max_size=40))
def test_no_text_makes_the_reader_fail_otherwise(text: str) -> None:
    try:
        yaml.parse(text, "f")
    except InputError as fault:
        assert "\n" not in str(fault)


@LAWS
@given(st.text(alphabet="abs.=[]{}:,&*!-0123e'\" \n", max_size=14))
def test_no_override_makes_the_config_fail_otherwise(text: str) -> None:
    try:
        schema.load(REACH, [text])
    except InputError as fault:
        assert str(fault)


@LAWS
@given(st.integers(0, 400), st.integers(1, 400))
def test_an_interval_holds_its_share_and_mirrors(hits: int, n: int) -> None:
    hits = min(hits, n)
    share, low, high = proportion(hits, n)
    assert 0 <= low <= share <= high <= 1
    _, mirrored_low, mirrored_high = proportion(n - hits, n)
    assert math.isclose(low, 1 - mirrored_high, abs_tol=1e-12)
    assert math.isclose(high, 1 - mirrored_low, abs_tol=1e-12)


@LAWS
@given(st.text(max_size=8), st.lists(st.text(max_size=8), max_size=6))
def test_a_hint_names_something_known(name: str, known: list[str]) -> None:
    hint = nearest(name, known)
    assert any(k in hint for k in known) or hint == "known: none"


@LAWS
@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=6),
    st.floats(0.0625, 1.0, width=32),
    st.floats(-50, 50, width=32),
)
def test_attitudes_are_ordered_and_shift_with_the_energies(
    energies: list[float], alpha: float, shift: float
) -> None:
    column = torch.tensor(energies, dtype=torch.float64)
    found = {
        k: float(aggregate(column, Risk(k, alpha)))
        for k in ("mean", "free_energy", "cvar", "worst")
    }
    assert found["mean"] <= found["cvar"] + 1e-9 <= found["worst"] + 2e-9
    assert found["mean"] <= found["free_energy"] + 1e-9 <= found["worst"] + 2e-9
    for kind, value in found.items():
        moved = float(aggregate(column + shift, Risk(kind, alpha)))
        assert math.isclose(moved, value + shift, abs_tol=1e-6)


KINDS = (Directive, Percept, Recollection, Appraisal, Plan, Forecast)


@LAWS
@given(st.data())
def test_a_schedule_is_sound_or_refused(data: st.DataObject) -> None:
    some = st.lists(st.sampled_from([*KINDS, Action]), max_size=3, unique=True)
    modules = {
        f"m{i}": SimpleNamespace(
            posts=kind, reads=tuple(data.draw(some)), recalls=tuple(data.draw(some))
        )
        for i, kind in enumerate(KINDS)
    }
    try:
        order = schedule(modules).order
    except WiringError as fault:
        assert "circle" in str(fault)
        return
    assert sorted(order) == sorted([*modules, GATE])
    posted: set[type] = set()
    for name in order:
        reads = GATE_READS if name == GATE else modules[name].reads
        assert set(reads) <= posted
        posted |= {Action} if name == GATE else {modules[name].posts}


@LAWS
@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=60), st.floats(0.02, 0.98))
def test_a_margin_is_a_value_seen_and_covers_its_share(excess: list[float], rate: float) -> None:
    margin = float(conformal(torch.tensor(excess)[:, None, None], rate))
    assert margin in torch.tensor(excess).tolist()
    covered = sum(e <= margin for e in torch.tensor(excess).tolist())
    assert covered >= min(math.ceil((len(excess) + 1) * (1 - rate)), len(excess))


@LAWS
@given(
    st.lists(
        st.tuples(
            st.floats(-10, 10, width=32) | st.just(math.nan),
            st.sampled_from([0.0, 0.0, 1.0, 2.0, math.nan, math.inf]),
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 8),
)
def test_candidates_rank_feasible_first_then_by_energy(
    rows: list[tuple[float, float]], count: int
) -> None:
    energy, violation = (torch.tensor([column]) for column in zip(*rows, strict=True))
    sound = energy.isfinite() & violation.isfinite()
    k = len(rows)
    pool = Pool(
        torch.arange(float(k)).reshape(1, k, 1, 1),
        torch.zeros(1, k, 1, 1),
        energy.masked_fill(~sound, torch.inf),
        violation.masked_fill(~sound, torch.inf),
        torch.zeros(1, k, 1, 1),
        torch.zeros(1, k, 1, 1),
    )
    best = pool.best(count)
    keys = list(zip(best.violation[0].tolist(), best.energy[0].tolist(), strict=True))
    assert keys == sorted(keys)
    every = sorted(zip(pool.violation[0].tolist(), pool.energy[0].tolist(), strict=True))
    assert keys == every[:count]
    tempting = pool.tempting().energy.item()
    assert tempting == pool.energy.min().item()
