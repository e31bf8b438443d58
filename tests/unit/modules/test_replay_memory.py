"""A memory that outlives episodes: what it replays, and what it forgets."""

from __future__ import annotations

from typing import Any

import torch

from agent.core.messages import Action, Appraisal, Percept
from agent.core.protocols import Site
from agent.core.replay import EVERY, STRETCH, Replay
from agent.core.spec import Channel, Layout
from modules.memory.replay import ReplayMemory, Ticks
from tests.toys import ACTUATORS

PLACE = Layout((Channel("place", 2, "m"),))


def memory(**settings: Any) -> ReplayMemory:
    return ReplayMemory(ReplayMemory.Config(**settings), Site(PLACE, ACTUATORS, 20.0, 2, PLACE))


class Said:
    """An inbox in which the last tick's messages are this tick's of before."""

    def __init__(self, now: Percept, before: tuple[Percept, Appraisal, Action] | None) -> None:
        self._now, self._before = now, {type(m): m for m in before or ()}

    def __getitem__(self, kind: type) -> Any:
        return self._now

    def last(self, kind: type) -> Any:
        return self._before.get(kind)


def live(made: ReplayMemory, path: torch.Tensor, energy: float = 0.0, agents: int = 1) -> None:
    """Live an episode along `path` [T 2]; the last tick is never stored, nobody recalls it."""
    made.reset(agents)
    before = None
    for place in path:
        latent, some = place.expand(agents, -1), torch.full((agents,), energy)
        percept = Percept(latent, some, some)
        made.tick(Said(percept, before))
        said = Appraisal(some[:, None], some, some, some)
        before = percept, said, Action(latent.clone())
    made.reset(1)


def walk(ticks: int, start: float = 0.0) -> torch.Tensor:
    return torch.stack((torch.arange(ticks) + start, torch.zeros(ticks)), dim=1)


def test_pieces_follow_one_another_and_never_lead_from_one_episode_into_the_next() -> None:
    made = memory()
    live(made, walk(6), agents=2)
    live(made, walk(6, start=100.0))
    found = made.replay(3)
    assert len(found) == 2 * 2 + 2
    assert found.latents.shape == (6, 4, 2)
    assert bool((found.latents[:, :, 0].diff(dim=1) == 1.0).all())
    assert torch.equal(found.commands, found.latents[:, :-1])
    assert len(made.replay(9)) == 0


def test_what_wiring_tries_and_what_is_not_finite_is_not_remembered() -> None:
    made = memory()
    live(made, walk(3))
    assert len(made.replay(1)) == 0
    path = walk(8)
    path[3] = torch.nan
    live(made, path)
    assert len(made.replay(1)) == 2 + 2
    made.forget()
    assert len(made.replay(1)) == 0


def test_the_oldest_goes_when_there_is_no_room() -> None:
    made = memory(kept=10)
    live(made, walk(9))
    live(made, walk(9, start=100.0))
    assert len(made.life.number) == 10
    assert float(made.life.latents[-1, 0]) == 107.0


def test_what_was_lived_again_and_again_is_forgotten_but_not_what_cost_or_surprised() -> None:
    made = memory(piece=4, near=0.05, precious=0.2)
    for energy in (0.0, 5.0, 0.0, 0.0):
        live(made, walk(9), energy)
    stored = made.prune()
    assert stored == {"stored": 32.0, "kept": 16.0}
    assert sorted(made.life.energies.tolist()) == [0.0] * 8 + [5.0] * 8
    again = memory(piece=4, near=0.05)
    live(again, walk(9))
    live(again, walk(9, start=100.0))
    assert again.prune()["kept"] == 16.0


def test_held_out_stretches_share_no_tick_with_the_others() -> None:
    made = memory()
    live(made, walk(2 * EVERY * STRETCH + 1))
    known, held = made.replay(8).split()
    seen, judged = (set(part.latents[..., 0].flatten().tolist()) for part in (known, held))
    assert seen
    assert judged
    assert not seen & judged
    assert len(judged) == 2 * STRETCH
    assert isinstance(known.rows(torch.tensor([0])), Replay)


def test_lives_are_laid_one_after_the_other() -> None:
    some = Ticks(walk(3), torch.zeros(3), torch.zeros(3), walk(3), torch.arange(3))
    assert (some + some).number.tolist() == [0, 1, 2, 4, 5, 6]
