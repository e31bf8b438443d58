"""README's table is rendered from docs/results, and from nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.core.errors import InputError
from agent.report import recipes
from agent.report.results import BEGIN, END, fill, render
from tests.tiny import ROOT

MACHINE = {"cpu": "Some(R)  CPU", "cores": 2, "torch_threads": 1}


def write(folder: Path, name: str, figures: dict[str, Any]) -> None:
    whole = {"command": f"python run_agent.py {name}", "machine": MACHINE, "figures": figures}
    (folder / f"{name}.json").write_text(json.dumps(whole), encoding="utf-8")


def figure(value: float | None, low: float | None = None, high: float | None = None,
           n: int | None = None, unit: str = "") -> dict[str, Any]:  # fmt: skip
    return {"value": value, "low": low, "high": high, "n": n, "unit": unit}


def test_readme_holds_the_rendering() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    table = text.partition(BEGIN + "\n")[2].partition(END)[0]
    assert table == render(ROOT / "docs" / "results"), "run `make results`"


def test_rows_carry_value_interval_and_n(folder: Path) -> None:
    write(folder, "eval-reach", {
        "success": figure(0.965, 0.948, 0.977, 600, "share"),
        "true_contacts": figure(0, 0.0, 3.8, 60_000, "ticks"),
        "oracle_success": figure(None, n=0),
    })  # fmt: skip
    write(folder, "bench-tick", {"tick_overhead_us": figure(93.4, n=5000, unit="us")})
    table = render(folder)
    assert "| 96.5 % [94.8, 97.7] | 600 |" in table
    assert "| 0 [0.0, 3.8] | 60,000 |" in table
    assert "| 93.4 µs | 5,000 |" in table
    assert "true simulator" not in table
    assert "- `python run_agent.py eval-reach`: Some CPU, 2 cores, 1 thread" in table


def test_trainings_stand_side_by_side(folder: Path) -> None:
    for seed, seconds in enumerate((412.4, 399.0, 420.0)):
        write(folder, f"train-reach-seed{seed}", {
            "train_s": figure(seconds), "transitions": figure(98304.0)
        })  # fmt: skip
    table = render(folder)
    assert "| 412 s / 399 s / 420 s | 3 trainings |" in table
    assert "| 98,304 | 3 trainings |" in table


def test_the_policy_is_compared_with_the_planner(folder: Path) -> None:
    write(folder, "eval-reach", {"success": figure(0.8, 0.7, 0.9, 200, "share")})
    write(folder, "eval-reach-mode1", {"success": figure(0.76, 0.7, 0.9, 200, "share")})
    assert "| goals Mode-1 reaches, as a share of Mode-2's | 95.0 % |  |" in render(folder)


def test_nothing_measured_is_said(folder: Path) -> None:
    assert render(folder) == "No figures yet: `make bench`.\n"


def test_fill_replaces_only_between_the_markers(folder: Path) -> None:
    write(folder, "bench-tick", {"tick_overhead_us": figure(93.4, n=5000, unit="us")})
    readme = folder / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    fill(readme, folder)
    fill(readme, folder)
    assert readme.read_text("utf-8") == f"before\n{BEGIN}\n{render(folder)}{END}\nafter\n"


def test_fill_needs_its_markers(folder: Path) -> None:
    readme = folder / "README.md"
    readme.write_text("nothing\n", encoding="utf-8")
    with pytest.raises(InputError, match="expected <!-- results -->"):
        fill(readme, folder)


def recipe(folder: Path, name: str, **values: float) -> None:
    whole = {
        "command": "python run_agent.py bench objectives x.yaml",
        "machine": MACHINE,
        "seeds": [0, 1],
        "figures": {
            f"{kind}.{k}": figure(v, v - 0.1, v + 0.1, 200 if k == "success" else 2)
            for kind, extra in (("plain", 0.0), ("flat", 1.0))
            for k, v in {**values, "collapsed": extra}.items()
        },
    }
    (folder / f"objectives-{name}.json").write_text(json.dumps(whole), encoding="utf-8")


def test_the_guide_holds_the_rendering_of_every_recipe_table() -> None:
    text = (ROOT / recipes.GUIDE).read_text("utf-8")
    for path in (ROOT / "docs" / "results").glob("objectives-*.json"):
        table = text.partition(f"<!-- {path.stem} -->\n")[2].partition(f"<!-- /{path.stem} -->")[0]
        assert table == recipes.render(path), "run `make results`"


def test_a_recipe_has_a_row_and_says_that_it_collapsed(folder: Path) -> None:
    recipe(folder, "toy", success=0.5, effective_rank=3.25)
    guide = folder / "guide.md"
    guide.write_text("a\n<!-- objectives-toy -->\nold\n<!-- /objectives-toy -->\nb\n")
    recipes.fill(guide, folder)
    text = guide.read_text()
    assert text.startswith("a\n")
    assert text.endswith("-->\nb\n")
    assert "old" not in text
    assert "| plain | 3.25 ± 0.1 | not measured |" in text
    assert "| flat (collapsed: 2 of 2) |" in text
    assert "50 % [40, 60]" in text
    assert "n = 200 episodes" in text
