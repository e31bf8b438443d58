"""Episodes that the world itself ends: what is learned from them is their lives, and that they end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.core.errors import InputError
from agent.core.messages import Directive, Rollout
from agent.train.calibrate import Calibrate, attempt, calibrate
from agent.train.coarse import Coarse, Span
from agent.train.dataset import Dataset
from agent.train.explore import Explorer
from agent.train.progress import silent
from agent.train.rounds import Rounds, curve
from tests.unit.train.test_experience import counted
from worlds.adapters.gymnasium import Gymnasium

SLOPE: dict[str, Any] = {"id": "tests.environments:Slope-v0", "kwargs": {"fatal": True}}
ENDS = torch.tensor([8, 2, 0, 5])


@pytest.fixture
def world() -> Iterator[Gymnasium]:
    world = Gymnasium(Gymnasium.Config(**SLOPE), 16)
    yield world
    world.close()


def ended() -> Dataset:
    """Return four episodes of 8 ticks, that say which episode and tick they are."""
    plain = counted(4)
    return Dataset(plain.values, plain.commands, lived=ENDS)


def begun(values: Tensor) -> Counter[tuple[int, int]]:
    return Counter((int(e), int(t)) for e, t in values[:, 0])


def test_windows_begin_anywhere_up_to_the_end_alike() -> None:
    draws = torch.Generator().manual_seed(0)
    found = begun(ended().windows(17_000, 3, draws)[0])
    allowed = [(e, t) for e, end in enumerate(ENDS.tolist()) for t in range(min(end, 5) + 1)]
    assert sorted(found) == allowed
    assert len(allowed) == 16
    for count in found.values():
        assert count == pytest.approx(17_000 / 16, rel=0.15)


def test_where_none_ended_draws_are_as_ever() -> None:
    plain, draws = counted(4), torch.Generator().manual_seed(0)
    values, _ = plain.windows(5000, 3, torch.Generator().manual_seed(0))
    assert torch.equal(values[:, :1, 0].long(), torch.randint(4, (5000, 1), generator=draws))
    assert torch.equal(values[:, :1, 1].long(), torch.randint(6, (5000, 1), generator=draws))
    assert plain.lived is None
    assert Dataset.lived_by([torch.zeros(2, 1)] * 4, [torch.zeros(2, 1)] * 3, torch.tensor([3, 3])).lived is None  # fmt: skip


def test_ends_stay_with_their_episodes(folder: Path) -> None:
    data = counted(7) + ended()
    assert data.ends().tolist() == [8] * 7 + ENDS.tolist()
    known, held = data.split()
    assert held.ends().tolist() == [0]
    assert known.ends().tolist() == [8] * 7 + [8, 2, 5]
    assert data.only(slice(8, 10)).ends().tolist() == [2, 0]
    data.save(folder / "data.safetensors")
    assert torch.equal(Dataset.load(folder / "data.safetensors").ends(), data.ends())
    assert data.transitions == 7 * 8 + 15


def test_statistics_are_of_lives() -> None:
    seen = ended().sample()
    assert len(seen) == int((ENDS + 1).sum())
    assert [float(seen[seen[:, 0] == e, 1].max()) for e in range(4)] == ENDS.tolist()


@pytest.mark.parametrize("view", ["coarse", "span"])
def test_levels_above_begin_there_too(view: str) -> None:
    data = ended()
    coarse = Coarse(data.values, data.commands, 2, 1, lived=data.lived)
    seen: Any = coarse if view == "coarse" else Span(data, 2, 0)
    values, _ = seen.windows(4000, 2, torch.Generator().manual_seed(0))
    allowed = {(e, t) for e, end in enumerate(ENDS.tolist()) for t in range(min(end, 4) + 1)}
    assert begun(values).keys() == allowed
    assert coarse.split()[0].lived is not None


def still_after(data: Dataset) -> None:
    """Expect that episodes change up to their ends, and no more."""
    moved = (data.values.diff(dim=1) != 0).any(dim=-1)
    last = torch.where(moved, torch.arange(1, data.ticks + 1), 0).amax(dim=1)
    early = data.ends() < data.ticks
    assert torch.equal(last[early], data.ends()[early])
    assert 0 < int(early.sum()) < len(data)
    assert bool((data.values[~early, :-1, 0] <= 0.9).all()), "others have not been where it ends"


def test_exploring_says_when_episodes_ended(world: Gymnasium) -> None:
    config = Explorer.Config(episodes=40, ticks=30, deviation=1.0, correlation_s=1.0)
    data = Explorer(config, world).collect(lambda *_: None)
    assert len(data) == 40
    still_after(data)


def test_rounds_do_too(world: Gymnasium) -> None:
    config = Explorer.Config(
        episodes=30, ticks=30, deviation=1.0, correlation_s=1.0, policy="acting",
        acting={"rounds": 2},
    )  # fmt: skip

    asked = []

    def ahead(mind: Any, values: Tensor, tick: int, draws: torch.Generator) -> Tensor:
        asked.append(tick)
        return 0.5 + 0.5 * torch.rand(len(values), 1, 1, generator=draws)

    data = Rounds(config, world, lambda *_: None, ahead).collect(silent())
    assert len(asked) == max(asked) + 1 == int(data.ends()[16:].max()) < 30, (
        "only as long as one lives"
    )
    assert len(data) == 30
    still_after(data)
    told = curve(config, data, world)
    assert told["transitions.2"] == data.transitions < 30 * 30


def test_a_world_that_ends_nothing_says_nothing() -> None:
    quiet = Gymnasium(Gymnasium.Config(id=SLOPE["id"]), 16)
    try:
        data = Explorer(Explorer.Config(episodes=16, ticks=20), quiet).collect(lambda *_: None)
    finally:
        quiet.close()
    assert data.lived is None


class Eyes:
    def encode(self, values: Tensor) -> Tensor:
        return values


class Limit:
    name, tolerance = "limit", None

    def value(self, rollout: Rollout) -> Tensor:
        return rollout.quantities["observation"][..., 0] - 2.0


class Told:
    """What calibration is told where every plan is to go ahead for ten ticks, allowed or not."""

    def __init__(self, allowed: bool) -> None:
        self.violation = 0.0 if allowed else 1.0

    def plan(self, latent: Tensor, directive: Directive) -> Any:
        n = len(latent)
        return SimpleNamespace(
            actions=torch.ones(n, 10, 1),
            energy=torch.zeros(n),
            violation=torch.full((n,), self.violation),
        )

    def imagine(self, start: Tensor, actions: Tensor) -> Rollout:
        seen = start[None, :, None, None].expand(-1, -1, 1, 10, -1)
        return Rollout(start, actions, seen, {"observation": seen}, networks=1)

    def directive(self, goal: Tensor) -> Any:
        return goal


SETTINGS, NOTHING = Calibrate(episodes=16, segments=4), torch.zeros(1, 0)


def test_plans_that_begin_after_an_end_tell_margins_nothing(world: Gymnasium) -> None:
    told = Told(allowed=True)
    trial = attempt(
        SETTINGS, world, Eyes(), told.plan, told.directive, told.imagine, [Limit()], NOTHING,
        500_000,
    )  # fmt: skip
    ends = trial.dataset.ends()
    assert bool((ends < 30).any())
    before = sum(int((ends > begin).sum()) for begin in (0, 10, 20, 30))
    assert len(trial.excess) == before < 4 * 16


def test_calibration_needs_plans_that_are_allowed(world: Gymnasium) -> None:
    told = Told(allowed=False)
    with pytest.raises(InputError, match=r"plans that guardrails allow, came none of \d+; loosen"):
        calibrate(
            SETTINGS, world, Eyes(), told.plan, told.directive, told.imagine, [Limit()], NOTHING,
            lambda margins: None, silent(),
        )  # fmt: skip


def test_starts_are_not_learned_to_pay_nothing() -> None:
    paying = Gymnasium(Gymnasium.Config(reward=True, **SLOPE), 16)
    config = Explorer.Config(episodes=16, ticks=30, deviation=1.0, correlation_s=1.0)
    try:
        seen = Explorer(config, paying).collect(lambda *_: None).values[..., -1]
        short = config.model_copy(update={"ticks": 3})
        whole = Explorer(short, paying).collect(lambda *_: None)
    finally:
        paying.close()
    assert torch.equal(seen[:, 0], seen[:, 1])
    assert bool((seen[:, 0] != 0).all())
    assert whole.lived is None
    assert bool((whole.values[:, 0, -1] == 0).all())
