"""`recall`: what sensors miss is completed from memory; `fetch`: an errand first, then to a thing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agent.core.messages import Directive, Observation, Percept, Recollection, Rollout
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.cost.terms.fetch import Fetch
from modules.perception.recall import RecallPerception
from modules.perception.state import StatePerception

SENSORS = Layout((Channel("place", 2, "m"), Channel("thing", 2, "m")))
SITE = Site(SENSORS, Layout(()), 10.0, 4, Layout((Channel("place", 2, "m"),)))
SHOWN = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
HIDDEN = torch.tensor([[True, False], [True, True]])


class Inbox(dict[type, Any]):
    """This tick's messages, and the last tick's."""

    before: dict[type, Any]

    def last(self, kind: type) -> Any:
        return self.before.get(kind)


class Exact(torch.nn.Module):
    """A decoder of latents that are normalised sensors."""

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return latents


@pytest.fixture
def eyes() -> RecallPerception:
    torch.manual_seed(0)
    made = RecallPerception(RecallPerception.Config(width=16), SITE)
    made.fit_normaliser(torch.randn(50, 4) * 2 + 1)
    made.decoder = Exact()  # type: ignore[assignment]
    return made


def look(eyes: Any, values: Any, valid: Any, past: Recollection | None = None) -> Percept:
    rows = len(values)
    one = torch.ones(rows, 2)
    seen = Observation(values, valid, torch.zeros(rows), torch.zeros(rows, dtype=torch.bool))
    inbox = Inbox({Observation: seen, Directive: Directive(one, one, one, one[:, 0].long())})
    inbox.before = {} if past is None else {Recollection: past}
    said: Percept = eyes.tick(inbox)
    return said


def remembered(latents: torch.Tensor, unseen: list[list[int]]) -> Recollection:
    """Return a recollection of normalised sensors [B O], which the latents are."""
    none = torch.zeros(len(latents), 1)
    seen = latents.unsqueeze(1).repeat(1, 2, 1)
    return Recollection(
        none.unsqueeze(2).repeat(1, 1, 4), none, none, none > 0, latents, none[:, 0], seen,
        torch.tensor(unseen),
    )  # fmt: skip


def test_with_all_in_sight_it_is_state(eyes: RecallPerception) -> None:
    plain = StatePerception(StatePerception.Config(width=16), SITE)
    plain.load_state_dict(eyes.state.state_dict())
    every = torch.ones(2, 2, dtype=torch.bool)
    past = remembered(torch.randn(2, 4), [[3, 3], [3, 3]])
    one, other = look(eyes, SHOWN, every, past), look(plain, SHOWN, every)
    assert torch.equal(one.latent, other.latent)
    assert torch.equal(one.uncertainty, other.uncertainty)


def test_what_is_hidden_is_where_it_was_last_seen(eyes: RecallPerception) -> None:
    before = torch.tensor([[-1.0, -2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0]])
    past = remembered(eyes.state.normalise(before), [[1, 60], [1, 60]])
    gone = SHOWN * HIDDEN[:, [0, 0, 1, 1]]
    said = look(eyes, gone, HIDDEN, past)
    torch.testing.assert_close(said.latent, eyes.encode(SHOWN))
    assert said.uncertainty.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("past", ["no memory", "of another kind", "never seen", "damaged"])
def test_without_a_memory_of_it_the_hidden_reads_its_mean(
    eyes: RecallPerception, past: str
) -> None:
    row = torch.full((2, 4), torch.nan if past == "damaged" else 9.0)
    told = remembered(row, [[0, -1 if past == "never seen" else 5]] * 2)
    if past == "of another kind":
        told = Recollection(told.latents, told.energies, told.distances, told.known)
    gone = SHOWN.masked_fill(~HIDDEN[:, [0, 0, 1, 1]], torch.nan)
    said = look(eyes, gone, HIDDEN, None if past == "no memory" else told)
    mean = SHOWN.clone()
    mean[0, 2:] = eyes.state.mean[2:]
    torch.testing.assert_close(said.latent, eyes.encode(mean))
    assert said.uncertainty.tolist() == pytest.approx([2**0.5, 0.0])


def fetched(*ways: tuple[float, float], stage: int | None = None) -> tuple[list[float], int]:
    """Return energies along places, with the goal at (3, 0) and the thing at (0, 4); the stage."""
    here = torch.tensor(ways)[None, None, None]
    thing = torch.tensor([0.0, 4.0]).expand_as(here)
    actions = torch.zeros(1, 1, len(ways), 0)
    seen = Rollout(torch.zeros(1, 4), actions, here, {"place": here, "thing": thing}, networks=1)
    one = torch.ones(1, 1)
    done = None if stage is None else torch.tensor([stage])
    asked = Directive(torch.tensor([[3.0, 0.0]]), one, one, one[0].long(), stage=done)
    term = Fetch(Fetch.Config(quantity="place", thing="thing", near=0.5), SITE)
    return term.energy(seen, asked)[0, 0, 0].tolist(), int(term.stage(seen, asked))


def test_an_errand_comes_first_and_then_the_thing() -> None:
    path = [(0.0, 0.0), (2.0, 0.0), (2.6, 0.0), (0.0, 0.0), (0.0, 4.0)]
    way, done = fetched(*path)
    assert way == pytest.approx([8.0, 6.0, (2.6**2 + 16) ** 0.5, 4.0, 0.0])
    assert done == 0
    assert fetched(path[0], stage=1) == ([4.0], 1), "what is done stays done"
    assert fetched(path[2], stage=0)[1] == 1


def test_what_is_fetched_has_the_goals_size() -> None:
    site = Site(Layout((Channel("place", 2, "m"), Channel("lamp", 3, "m"))), Layout(()), 10.0, 4, SITE.goal)  # fmt: skip
    with pytest.raises(ValueError, match=r"place and lamp of 2 numbers, .* came \[2, 3\]"):
        Fetch(Fetch.Config(quantity="place", thing="lamp"), site)
