"""What guardrails remember: the same for planner and gate, once per tick, and never quietly lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.core.gate import Gate
from agent.core.guardrails import Guardrails
from agent.core.messages import Percept, Rollout, Ruling
from agent.core.objective import GuardedObjective
from tests.toys import ACTUATORS, Adding, Free, Place, percept, plan, steps


class KeyFirst:
    """Beyond 1 only once the second coordinate has been at least 1: the key is up there."""

    name = "key_first"

    def value(self, rollout: Rollout) -> Tensor:
        """Return place - 1, or no more than how far off the key has been so far."""
        place = rollout.quantities["place"]
        lacking = (1.0 - place[..., 1]).cummin(dim=-1).values
        before = rollout.past.get(self.name)
        if before is not None:
            lacking = torch.minimum(lacking, before[:, :, None])
        return torch.minimum(place[..., 0] - 1.0, lacking)

    def remember(self, now: Rollout) -> Tensor:
        """Return how far off the key has been at the nearest."""
        lacking = 1.0 - now.quantities["place"][0, :, 0, :, 1].nan_to_num(nan=-torch.inf)
        before = now.past.get(self.name)
        return lacking if before is None else torch.minimum(lacking, before)


class Around:
    """A guardrail around another one."""

    name = "around"

    def __init__(self, part: Any) -> None:
        """Hold the part."""
        self.parts = (part,)

    def value(self, rollout: Rollout) -> Tensor:
        """Return the part's value."""
        value: Tensor = self.parts[0].value(rollout)
        return value


def rails(*terms: Any) -> Guardrails:
    return Guardrails(terms or (KeyFirst(),), Place())


def gate(sealed: Guardrails | None = None) -> Gate:
    sealed = sealed or rails()
    objective = GuardedObjective(Adding(), Free(), sealed)  # type: ignore[arg-type]
    return Gate(sealed, objective, ACTUATORS, torch.zeros(2))


BEYOND = steps((0.9, 0.0), (0.9, 0.0))
AT_KEY, AWAY = (0.5, 1.2), (0.5, 0.0)


def ruling(stands: Gate, where: Percept, actions: Tensor = BEYOND) -> int:
    verdict, _ = stands.rule(where, plan(actions))
    return int(verdict.ruling[0])


def test_what_has_happened_is_remembered_and_forgotten_with_the_episode() -> None:
    stands = gate()
    assert ruling(stands, percept(AWAY)) != Ruling.ALLOWED
    assert ruling(stands, percept(AT_KEY)) == Ruling.ALLOWED
    assert ruling(stands, percept(AWAY)) == Ruling.ALLOWED
    stands.reset()
    assert ruling(stands, percept(AWAY)) != Ruling.ALLOWED


def test_planner_and_gate_judge_by_the_same_past() -> None:
    sealed = rails()
    stands = gate(sealed)
    objective = GuardedObjective(Adding(), Free(), sealed)  # type: ignore[arg-type]
    for where in (AT_KEY, AWAY, AWAY):
        seen = percept(where)
        stands.look(seen)
        asked = objective.guard(seen.latent, BEYOND[:, None])
        verdict, _ = stands.rule(seen, plan(BEYOND))
        assert asked.amax().item() == verdict.predicted.item()
        assert asked.amax() <= 0


def test_looking_twice_in_a_tick_remembers_once() -> None:
    stands = gate()
    stands.look(percept(AT_KEY))
    trace = stands.guardrails.trace
    stands.look(percept(AWAY))
    assert stands.guardrails.trace == trace


def test_the_past_goes_with_its_agent_through_chunks_and_orders() -> None:
    sealed = rails()
    stands = gate(sealed)
    stands.look(percept(AT_KEY, AWAY, AWAY))
    stands.rule(percept(AT_KEY, AWAY, AWAY), None)
    places = percept((0.25, 0.0), (0.5, 0.0), (0.5, 0.0))
    stands.look(places)
    lacking = sealed.recall(places.latent)["key_first"][:, 0]
    torch.testing.assert_close(lacking, torch.tensor([-0.2, 1.0, 1.0]))
    turned = sealed.recall(places.latent.flip(0)[1:])["key_first"][:, 0]
    torch.testing.assert_close(turned, torch.tensor([1.0, -0.2]))
    imagined = torch.tensor([[0.25, 0.5], [0.25, 0.0]])
    lacking = sealed.recall(imagined)["key_first"][:, 0]
    torch.testing.assert_close(lacking, torch.tensor([0.5, -0.2]))


def test_twins_are_told_apart_by_their_place() -> None:
    sealed = rails()
    sealed.witness(percept(AWAY, AT_KEY).latent)
    sealed.witness(percept(AWAY, AWAY).latent)
    lacking = sealed.recall(percept(AWAY, AWAY).latent)["key_first"][:, 0]
    torch.testing.assert_close(lacking, torch.tensor([1.0, -0.2]))


def test_a_lone_agents_past_is_its_own_wherever_it_thinks_of() -> None:
    sealed = rails()
    sealed.witness(percept(AT_KEY).latent)
    sealed.witness(percept(AWAY).latent)
    thought = torch.tensor([[3.0, 0.0], [4.0, 0.0]])
    lacking = sealed.recall(thought)["key_first"][:, 0]
    torch.testing.assert_close(lacking, torch.tensor([-0.2, -0.2]))


def test_outside_an_episode_the_past_begins_where_the_plan_does() -> None:
    states = percept(AT_KEY, AWAY).latent
    lacking = rails().recall(states)["key_first"][:, 0]
    torch.testing.assert_close(lacking, torch.tensor([-0.2, 1.0]))


@pytest.mark.parametrize("lost", [None, (torch.nan, torch.nan)])
def test_a_tick_without_a_percept_passes_and_shows_nothing(lost: Any) -> None:
    stands = gate()
    assert ruling(stands, percept(AWAY)) != Ruling.ALLOWED
    stands.rule(None if lost is None else percept(lost), None, "perception failed")
    assert ruling(stands, percept(AWAY)) != Ruling.ALLOWED
    assert ruling(stands, percept(AT_KEY)) == Ruling.ALLOWED
    stands.rule(None if lost is None else percept(lost), None, "perception failed")
    assert ruling(stands, percept(AWAY)) == Ruling.ALLOWED


def change(g: Guardrails) -> None:
    g._past._kept["key_first"].fill_(-9.0)


def replay(g: Guardrails) -> None:
    g._past._kept = {"key_first": torch.tensor([[-9.0]])}


def move(g: Guardrails) -> None:
    g._past._present = torch.tensor([[0.5, 9.0]])


def swap_code(g: Guardrails) -> None:
    g._terms[0].remember = lambda now: torch.full((1, 1), -9.0)


TAMPERINGS: dict[str, Callable[[Any], Any]] = {
    "what was kept": change,
    "what was kept, exchanged": replay,
    "the present": move,
    "how it is kept": swap_code,
    "an episode begun in the middle": lambda g: g.begin(),
    "a tick that was none": lambda g: g.witness(torch.tensor([[0.5, 9.0]])),
}


@pytest.mark.parametrize("tampering", TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_who_writes_the_past_breaks_the_seal(tampering: Callable[[Any], Any]) -> None:
    stands = gate()
    for _ in range(2):
        ruling(stands, percept(AWAY))
    stands.look(percept(AWAY))
    tampering(stands.guardrails)
    verdict, action = stands.rule(percept(AWAY), plan(0.0 * BEYOND))
    assert verdict.reasons == ("the guardrails' seal is broken",)
    assert torch.equal(action.command, stands.fallback[None])
    assert ruling(stands, percept(AWAY), 0.0 * BEYOND) != Ruling.ALLOWED, "it stays broken"


@pytest.mark.parametrize("tampering", list(TAMPERINGS.values())[:3], ids=list(TAMPERINGS)[:3])
def test_what_was_tampered_with_between_ticks_is_not_laundered(
    tampering: Callable[[Any], Any],
) -> None:
    stands = gate()
    for _ in range(2):
        ruling(stands, percept(AWAY))
    tampering(stands.guardrails)
    stands.look(percept(AWAY))
    assert ruling(stands, percept(AWAY), 0.0 * BEYOND) != Ruling.ALLOWED


def test_parts_inside_are_sealed_and_remember() -> None:
    sealed = rails(Around(KeyFirst()))
    assert sealed.remembers
    assert sealed.verify()
    sealed._terms[0].parts[0].limit = 9.0  # type: ignore[attr-defined]
    assert not sealed.verify()


def test_without_memory_nothing_is_kept() -> None:
    sealed = Guardrails((), Place())
    sealed.witness(torch.zeros(1, 2))
    assert not sealed.remembers
    assert sealed.recall(torch.zeros(1, 2)) == {}
