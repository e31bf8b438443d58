"""`bench goals`: what differs between its arms, and its figures, which are paired."""

from __future__ import annotations

import numpy as np

from agent.cli.bench_goals import LATENT, arms, figures
from agent.config import schema
from agent.config.build import blueprint
from agent.evaluate.episodes import Outcome
from tests.tiny import REACH


def test_arms_differ_in_how_goals_are_given_alone() -> None:
    found = arms(blueprint(schema.load(REACH)))
    assert [found[n].config.shown for n in ("told", "shown", "latent")] == [False, True, True]
    assert found["shown"].config.terms == found["told"].config.terms
    named = [t["use"] for t in found["latent"].config.terms]
    assert named == [LATENT["use"], "effort", "pain"]
    other = found["latent"].config.model_copy(update={"terms": found["told"].config.terms})
    assert other == found["shown"].config


def outcome(*reached: bool, contacts: int = 0) -> Outcome:
    n = len(reached)
    zeros = np.zeros(n, dtype=np.int64)
    harmed = zeros.copy()
    harmed[0] = contacts
    return Outcome(np.array(reached), harmed, zeros, np.zeros(n), zeros, ticks=10 * n)


def test_figures_are_shares_and_paired_differences() -> None:
    lived = {
        "told": outcome(True, True, True, False),
        "shown": outcome(True, False, True, True, contacts=3),
        "latent": outcome(False, False, False, False),
    }
    found = figures(lived, np.array([0.01, 0.03]))
    assert found["success.told"]["value"] == 0.75
    assert found["success.shown-told"]["value"] == 0.0
    assert found["success.latent-told"]["value"] == -0.75
    assert found["harm.shown"]["value"] == 3
    assert found["harm.shown"]["n"] == 40
    assert found["goal_error"]["value"] == 0.02
    assert "success.told-told" not in found
