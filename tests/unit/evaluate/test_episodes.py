"""Episodes: outcomes add up, seeds decide, and the baselines are what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from agent.config import schema
from agent.config.build import Blueprint, Mind, blueprint
from agent.core.loop import Tick
from agent.core.messages import Verdict
from agent.evaluate.baselines import random_policy
from agent.evaluate.episodes import Outcome, episodes, latency, oracle
from tests.tiny import ROOT


def outcome(n: int, ticks: int, term: float, refused: int = 0) -> Outcome:
    counts = np.arange(n)
    return Outcome(
        reached=counts % 2 == 0,
        contacts=counts,
        speeding=counts * 2,
        closest_m=counts / 10,
        reach_tick=counts,
        ticks=ticks,
        rulings=np.array([n, 1, 2]),
        refused=refused,
        terms=np.array([term, 1.0]),
        faults=["x"] * n,
    )


def test_outcomes_add_up() -> None:
    both = outcome(2, 10, 1.0, refused=3) + outcome(3, 30, 5.0, refused=4)
    assert both.reached.tolist() == [True, False, True, False, True]
    assert both.contacts.tolist() == [0, 1, 0, 1, 2]
    assert both.ticks == 40
    assert both.refused == 7
    assert both.rulings.tolist() == [5, 2, 4]
    assert both.terms.tolist() == [4.0, 1.0]
    assert len(both.faults) == 5


def test_what_only_some_were_told_is_kept() -> None:
    silent = outcome(2, 10, 1.0)
    silent.counted = silent.judged = False
    told = outcome(1, 10, 1.0)
    told.more = {"cost": np.array([3.0])}
    for both, costs in ((silent + told, [0.0, 0.0, 3.0]), (told + silent, [3.0, 0.0, 0.0])):
        assert both.counted
        assert both.judged
        assert both.more["cost"].tolist() == costs
    assert not (silent + silent).counted
    assert not (silent + silent).judged


def test_adding_does_not_depend_on_the_grouping() -> None:
    a, b, c = outcome(2, 10, 1.0), outcome(1, 5, 3.0), outcome(4, 20, 2.0)
    left, right = (a + b) + c, a + (b + c)
    assert left.terms == pytest.approx(right.terms)
    assert left.contacts.tolist() == right.contacts.tolist()


def test_the_same_seeds_live_the_same_lives(mind: Mind, plans: Blueprint) -> None:
    world = plans.world(2)
    one = episodes(mind, world, [1_000_003, 1_000_004], 12)
    again = episodes(mind, world, [1_000_003, 1_000_004], 12)
    world.close()
    assert one.closest_m.tolist() == again.closest_m.tolist()
    assert one.terms.tolist() == again.terms.tolist()
    assert one.ticks == 24
    assert one.rulings.sum() == 24


def test_what_is_watched_is_what_is_counted(mind: Mind, plans: Blueprint) -> None:
    world = plans.world(2)
    seen: list[Tick] = []
    whole = episodes(mind, world, [1_000_000, 1_000_001], 5, seen.append)
    world.close()
    assert len(seen) == 5
    rulings = torch.cat([t.messages[Verdict].ruling for t in seen])
    assert np.bincount(rulings.numpy(), minlength=3).tolist() == whole.rulings.tolist()


def test_the_random_policy_depends_on_its_seed_alone(plans: Blueprint) -> None:
    both, one = plans.world(2), plans.world(1)
    together = random_policy(both, [1_000_000, 1_000_001], 30)
    alone = random_policy(one, [1_000_001], 30)
    both.close()
    one.close()
    assert together.closest_m[1] == alone.closest_m[0]
    assert together.closest_m[0] != together.closest_m[1]


def test_the_oracle_plans_with_the_true_simulator(plans: Blueprint, tensors: object) -> None:
    done = oracle(plans, tensors, [1_000_000], 4)
    assert done.ticks == 4
    assert done.faults == []


def test_latency_is_measured_at_batch_one(mind: Mind, world: object) -> None:
    whole, plan, missed = latency(mind, world, [1_000_000], 6)
    assert len(whole) == len(plan) == 3
    assert all(w >= p > 0 for w, p in zip(whole, plan, strict=True))
    assert 0 <= missed <= 3


def test_cold_ticks_do_not_count_as_late(tensors: Any) -> None:
    found = blueprint(schema.load(ROOT / "configs" / "reach.yaml", ["gate.deadline_ms=0.001"]))
    world = found.world(1)
    try:
        whole, _, missed = latency(found.assemble(tensors), world, [1_000_000], 6)
    finally:
        world.close()
    assert len(whole) == missed == 3
