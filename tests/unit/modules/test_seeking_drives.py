"""Drives that seek: curiosity goes where networks disagree, novelty where one has not just been."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from agent.core.guardrails import Guardrails
from agent.core.messages import Directive, Plan, Recollection, Rollout
from agent.core.objective import GuardedObjective
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.actor.cem import CEM
from modules.cost.composite import CompositeCost
from modules.cost.terms.curiosity import Curiosity
from modules.cost.terms.effort import Effort
from modules.cost.terms.novelty import Novelty
from modules.memory.episodic import EpisodicMemory
from tests.toys import ACTUATORS, Below, Place

PLACE = Layout((Channel("place", 2, "m"),))
SITE = Site(PLACE, ACTUATORS, 20.0, 2, PLACE)
H = 6


class Torn:
    """Two networks that add up actions, and disagree the more the farther left it goes."""

    members = 2

    def imagine(self, state: Tensor, actions: Tensor, latent: Tensor | None = None) -> Rollout:
        ahead = state[:, None, None] + actions.cumsum(dim=2)
        apart = (-ahead).clamp(min=0.0) * torch.tensor([1.0, 0.0])
        return Rollout(state, actions, torch.stack((ahead + apart, ahead - apart)), {}, networks=2)


class Room(Below):
    """A guardrail: within a room of so many metres from the middle."""

    def value(self, rollout: Rollout) -> Tensor:
        return rollout.quantities["place"].abs().amax(dim=-1) * self.scale - self.limit


def planner(*terms: Any, rail: Any = None) -> CEM:
    cost = CompositeCost(CompositeCost.Config(), SITE, terms, Place(), None)
    rails = Guardrails((rail or Room(99.0),), Place().requires_grad_(False))
    objective = GuardedObjective(Torn(), cost, rails)  # type: ignore[arg-type]
    site = Site(PLACE, ACTUATORS, 20.0, 2, PLACE, tuple(cost.terms), ("below",), objective)
    return CEM(CEM.Config(), site)


def planned(made: CEM, place: Tensor, past: Recollection | None = None) -> Plan:
    rows = torch.ones(len(place), len(made.site.terms))
    modes = torch.full((len(place),), 2)
    none = torch.zeros(len(place), 2)
    return made.plan(place, Directive(none, rows, rows[:, :1], modes, H, past=past))


def effort(weight: float) -> Effort:
    return Effort(Effort.Config(weight=weight), SITE)


def test_curiosity_goes_where_the_networks_disagree() -> None:
    start = torch.zeros(1, 2)
    seeking = planned(planner(Curiosity(Curiosity.Config(weight=1.0), SITE), effort(0.01)), start)
    idle = planned(planner(effort(0.01)), start)
    assert float(seeking.actions.sum(dim=1)[0, 0]) < -1.0
    assert abs(float(idle.actions.sum(dim=1)[0, 0])) < 0.1


def test_curiosity_is_bounded_so_that_a_dearer_pain_outweighs_it() -> None:
    term = Curiosity(Curiosity.Config(), SITE)
    far = Torn().imagine(torch.tensor([[-1e9, 0.0]]), torch.zeros(1, 1, 1, 2))
    near = Torn().imagine(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 1, 1, 2))
    one = torch.ones(1, 1)
    ask = Directive(torch.zeros(1, 2), one, one, torch.full((1,), 2), 1)
    assert float(term.energy(near, ask)) == 1.0
    assert 0.0 <= float(term.energy(far, ask)) < 1e-6
    bored = planned(planner(Curiosity(Curiosity.Config(weight=0.1), SITE), effort(9.0)), far.start)
    assert float(bored.actions.abs().max()) < 0.05


def test_no_curiosity_passes_a_guardrail() -> None:
    made = planner(Curiosity(Curiosity.Config(weight=100.0), SITE), rail=Room(0.5))
    plan = planned(made, torch.zeros(1, 2))
    assert float(plan.violation) == 0.0
    assert float(plan.temptation_violation) > 0.0, "it wanted to"


def recollected(*places: list[float], known: bool = True) -> Recollection:
    there = torch.tensor(places)[None]
    none = torch.zeros(1, len(places))
    return Recollection(there, none, none, torch.full((1, len(places)), known))


def test_novelty_leaves_what_is_remembered_and_nothing_where_nothing_is() -> None:
    made = Novelty(Novelty.Config(near=0.5, weight=1.0), SITE)
    start = torch.zeros(1, 2)
    behind = recollected([0.3, 0.0], [0.3, 0.1], [0.5, 0.0])
    away = planned(planner(made, effort(0.01)), start, behind)
    assert float((away.latents[:, -1:] - behind.latents).norm(dim=-1).min()) > 3.0
    below = recollected([0.0, -2.0], [0.0, -4.0], [0.0, -6.0], [0.0, -8.0], [0.0, -10.0])
    aside = planned(planner(made, effort(0.01)), start, below)
    assert float((aside.latents[:, -1:] - below.latents).norm(dim=-1).min()) > 2.0
    for nothing in (None, recollected([0.3, 0.0], known=False)):
        still = planned(planner(made, effort(0.01)), start, nothing)
        assert float(still.actions.sum(dim=1).abs().max()) < 0.1


def test_novelty_prices_closeness_to_the_nearest_memory() -> None:
    made = Novelty(Novelty.Config(near=1.0), SITE)
    seen = Rollout(
        torch.zeros(1, 2), torch.zeros(1, 1, 3, 2),
        torch.tensor([[1.0, 0.0], [3.0, 0.0], [1e9, 0.0]])[None, None, None], {},
    )  # fmt: skip
    one = torch.ones(1, 1)
    past = recollected([1.0, 0.0], [-50.0, 0.0])
    ask = Directive(torch.zeros(1, 2), one, one, torch.full((1,), 2), 1, past=past)
    found = made.energy(seen, ask)[0, 0, 0]
    root = 2.0**0.5
    torch.testing.assert_close(found, torch.tensor([1.0, root / (root + 2.0), 0.0]))


def lived(*terms: Any, ticks: int = 60) -> int:
    """Return how many cells of a grid a body has been in, in a room whose walls it knows."""
    made = planner(*terms, effort(0.01), rail=Room(1.5))
    memory = EpisodicMemory(EpisodicMemory.Config(neighbours=16, refractory=1), SITE)
    memory.reset(1)
    place, cells = torch.zeros(1, 2), set()
    for _ in range(ticks):
        move = planned(made, place, memory.recollect(place)).actions[:, 0]
        memory.store(place, torch.zeros(1), move)
        place = place + 0.3 * move
        cells.add(tuple((place[0] / 0.25).round().int().tolist()))
    return len(cells)


def test_a_body_that_seeks_novelty_sees_more_of_its_room() -> None:
    idle, seeking = lived(), lived(Novelty(Novelty.Config(near=0.1, weight=1.0), SITE))
    assert idle <= 2
    assert seeking >= 15
