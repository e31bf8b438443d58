"""Recipes are laid over a config, trained alike, and told apart by what they know."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import schema
from agent.config.build import Blueprint, blueprint
from agent.core.errors import InputError
from agent.train.compare import AHEAD, compare, mixed, recipes
from agent.train.progress import silent
from tests.tiny import ROOT

LAB = ROOT / "configs" / "lab"
SHORT = [
    "train={explore: {episodes: 32, ticks: 48}, learner: {steps: 300, batch: 32},"
    " readouts: {steps: 150, horizon: 20}}",
    "eval.ticks=3",
]


@pytest.fixture(scope="module")
def base() -> Blueprint:
    return blueprint(schema.load(LAB / "reach.yaml", SHORT))


def test_every_shipped_recipe_builds(base: Blueprint) -> None:
    listed = recipes(LAB / "recipes.yaml")
    assert {"none", "vicreg", "barlow_twins", "sigreg", "ema", "info_nce"} <= listed.keys()
    for recipe in listed.values():
        made = mixed(base, recipe, seed=3)
        assert made.config.seed == 3
        assert [c.use for c in made.objectives] == [o["use"] for o in recipe["objectives"]]


def test_collapse_shows_in_the_figures(base: Blueprint) -> None:
    listed = recipes(LAB / "recipes.yaml")
    good, flat = (
        compare(mixed(base, listed[name], 0), [900_000, 900_001], silent())
        for name in ("vicreg+inverse", "none")
    )
    assert (good["collapsed"], flat["collapsed"]) == (0.0, 1.0)
    assert good["linear_r2.joint_angle"] > 0.9
    for h in AHEAD:
        assert good[f"error.fingertip.{h}"] < flat[f"error.fingertip.{h}"]
    assert good["learn_cpu_s"] > 0
    assert 0 <= good["success"] <= 1


def test_a_recipe_without_objectives_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipes.yaml"
    path.write_text("plain: {rate: 0.001}\n")
    with pytest.raises(InputError, match="recipe 'plain': expected settings"):
        recipes(path)


def test_a_recipe_with_a_misspelt_objective_is_refused(base: Blueprint) -> None:
    with pytest.raises(InputError, match="vicreg"):
        mixed(base, {"objectives": [{"use": "prediction"}, {"use": "vicrag"}]}, 0)
