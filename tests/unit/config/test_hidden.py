"""Latent variables of levels above are parts, too: chosen, built at their level, and stored."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from agent.config import schema
from agent.config.build import Blueprint, blueprint
from agent.core.errors import InputError
from tests.contract.stand import base, part
from tests.tiny import ROOT

GUIDE = (ROOT / "docs" / "guides" / "hierarchy.md").read_text(encoding="utf-8")

LEVELS = (
    {"ticks": 2, "latent": 6, "hidden": 8, "width": 16, "horizon": 3, "members": 2},
    {"ticks": 4, "latent": 5, "hidden": 8, "width": 16, "horizon": 2, "members": 2},
)


def tall(*hidden: Any, lowest: Any = None) -> Blueprint:
    """Return an agent with a level above for each of `hidden`, its latent variable or None."""
    raw = base()
    levels = [
        level | ({} if z is None else {"latent_variable": z})
        for level, z in zip(LEVELS, hidden, strict=False)
    ]
    raw["world_model"] = {"use": "hjepa", "levels": levels, "latent_variable": lowest}
    planner = {"use": "cem", "samples": 8, "iterations": 1, "elites": 4}
    raw["actor"] = part("actor", "hierarchical") | {"planners": [planner] * (1 + len(levels))}
    raw["cost"]["above"] = ["pain"]
    return blueprint(schema.validate(schema.AgentConfig, raw, "tall"))


def test_each_level_has_its_own_built_for_its_own_latents_and_actions() -> None:
    found = tall({"use": "discrete", "codes": 3, "draws": 5}, {"use": "noised"})
    made = found.assemble()
    first, second = made.world_model.levels
    assert made.world_model.latent_variable is None
    assert (first.latent_variable.size, second.latent_variable.size) == (3, 1)
    assert (first.members, second.members) == (2 * 5, 2 * 4)
    assert first.latent_variable.prior[0].in_features == 6 + 3
    assert second.latent_variable.posterior[0].in_features == 5 + 5 + 3
    assert [tier.above.level.latent_variable is None for tier in made.tiers] == [False, False]


def test_some_levels_may_have_none_and_the_lowest_one_too() -> None:
    made = tall(None, {"use": "noised"}, lowest={"use": "discrete", "draws": 2}).assemble()
    assert made.world_model.latent_variable.draws == 2
    assert [level.latent_variable is None for level in made.world_model.levels] == [True, False]


def test_a_checkpoint_keeps_them_and_a_config_writes_them_out() -> None:
    found = tall({"use": "discrete", "codes": 3})
    kept = found.assemble().tensors()
    name = "world_model.levels.0.latent_variable.prior.4.weight"
    assert kept[name].shape == (3, 64)
    again = found.assemble({n: v + 1 for n, v in kept.items()}).tensors()
    assert bool((again[name] == kept[name] + 1).all())
    with pytest.raises(InputError, match=r"checkpoint: world_model.levels.0.first.weight is"):
        tall(None).assemble(kept)
    written = found.resolved()["world_model"]["levels"][0]["latent_variable"]
    assert (written["use"], written["codes"], written["draws"]) == ("discrete", 3, 4)
    assert tall(None, None).resolved()["world_model"]["levels"][1]["latent_variable"] is None


@pytest.mark.parametrize(
    ("part_", "said"),
    [
        ({"use": "discreet"}, r"unknown latent_variable 'discreet'; did you mean 'discrete'"),
        ({"use": "noised", "codes": 3}, r"levels\.1\.latent_variable: unknown key 'codes'"),
        ({"codes": 3}, r"world_model\.levels\.1\.latent_variable: 'use' is missing"),
        ({"use": "discrete", "draws": 0}, r"world_model\.levels\.1\.latent_variable: 'draws'"),
        ("discrete", r"world_model: 'levels\.1\.latent_variable'"),
    ],
)
def test_what_is_no_latent_variable_is_refused_by_name(part_: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        tall(None, part_)


def test_the_lines_of_the_guide_make_an_agent(tmp_path: Path) -> None:
    (lines,) = re.findall(r"^## Under uncertainty\n.*?^```yaml\n(.*?)^```", GUIDE, re.M | re.S)
    path = tmp_path / "uncertain.yaml"
    path.write_text(f"extends: {ROOT / 'configs' / 'lab' / 'rooms-hierarchical.yaml'}\n{lines}")
    made = blueprint(schema.load(path, [])).assemble()
    (level,) = made.world_model.levels
    assert (level.latent_variable.draws, level.members) == (4, 3 * 4)
