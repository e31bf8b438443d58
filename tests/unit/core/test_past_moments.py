"""What a guardrail is shown of a moment, and that each of several keeps its own past."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from agent.core.disagreement import disagreement
from agent.core.messages import Rollout, Ruling
from agent.core.past import Past, moment
from tests.toys import Place, percept, plan
from tests.unit.core.test_past import AWAY, BEYOND, KeyFirst, gate, rails


class Spent:
    """Adds up how far right it has been."""

    name = "spent"

    def value(self, rollout: Rollout) -> Tensor:
        """Return what is allowed anywhere."""
        return rollout.quantities["place"][..., 0] - 9.0

    def remember(self, now: Rollout) -> Tensor:
        """Return the sum so far."""
        spent, before = now.quantities["place"][0, :, 0, :, 0], now.past.get(self.name)
        return spent if before is None else before + spent


def test_a_tick_that_nobody_saw_counts_even_if_it_was_the_first() -> None:
    """What was spent then cannot be said, and must not be forgotten."""
    sealed = rails(Spent())
    sealed.witness(None)
    sealed.witness(percept(AWAY).latent)
    assert bool(sealed.recall(percept(AWAY).latent)["spent"].isnan().all())


class Peak:
    """Remembers how far out the place was at the most; what nobody saw was as far as can be."""

    name = "peak"

    def value(self, rollout: Rollout) -> Tensor:
        """Return place - 1."""
        return rollout.quantities["place"][..., 0] - 1.0

    def remember(self, now: Rollout) -> Tensor:
        """Return the peak so far."""
        far = now.quantities["place"][0, :, 0, :, 0].nan_to_num(nan=torch.inf)
        before = now.past.get(self.name)
        return far if before is None else torch.maximum(far, before)


def peak(*places: float | None, episodes: int = 1) -> list[float]:
    """Return the peak recalled after these ticks; None is one in which nothing was perceived."""
    past = Past([Peak()], Place().read)
    for _ in range(episodes):
        past.begin()
        for place in places:
            past.witness(None if place is None else torch.tensor([[place, 0.0]]))
    state = torch.tensor([[next(p for p in reversed(places) if p is not None), 0.0]])
    found: list[float] = past.recall(state)["peak"].flatten().tolist()
    return found


def test_a_tick_that_nobody_saw_is_not_forgotten() -> None:
    assert peak(0.2) == [pytest.approx(0.2)]
    assert peak(0.5, 0.2, 0.1) == [pytest.approx(0.5)]
    assert peak(0.2, None, 0.1) == [torch.inf]
    assert peak(None, 0.1) == [torch.inf]
    assert peak(0.2, 0.1, episodes=2) == [pytest.approx(0.2)]


def test_an_episode_that_ended_unseen_leaves_nothing_to_the_next() -> None:
    past = Past([Peak()], Place().read)
    past.witness(None)
    past.begin()
    past.witness(torch.tensor([[0.2, 0.0]]))
    assert past.recall(torch.tensor([[0.2, 0.0]]))["peak"].tolist() == [[pytest.approx(0.2)]]


def test_one_guardrail_that_remembers_is_enough() -> None:
    class Forgetful:
        name = "forgetful"
        value = Peak.value

    assert Past([Forgetful(), Peak()], Place().read).remembers
    assert Past([Peak(), Forgetful()], Place().read).remembers
    assert not Past([Forgetful()], Place().read).remembers


def test_a_moment_is_one_step_of_one_future_that_never_errs() -> None:
    shown = {"place": torch.ones(3, 2), "speed": torch.full((3, 1), 2.0)}
    now = moment(torch.zeros(3, 4), shown, {})
    assert now.actions.shape == (3, 1, 1, 0)
    assert now.latents.shape == (1, 3, 1, 1, 4)
    assert {n: tuple(v.shape) for n, v in now.quantities.items()} == {
        "place": (1, 3, 1, 1, 2), "speed": (1, 3, 1, 1, 1),
    }  # fmt: skip
    assert torch.equal(disagreement(now), torch.zeros(3, 1, 1))


@pytest.mark.parametrize("turned", [False, True])
def test_every_guardrail_keeps_its_own_past(turned: bool) -> None:
    two = [Spent(), Peak()] if turned else [Peak(), Spent()]
    past = Past(two, Place().read)
    for place in (0.5, 0.25):
        past.witness(torch.tensor([[place, 0.0], [2 * place, 0.0]]))
    found = past.recall(torch.tensor([[0.25, 0.0], [0.5, 0.0], [9.0, 0.0]]))
    assert found["peak"].flatten().tolist() == [0.5, 1.0, 9.0]
    assert found["spent"].flatten().tolist() == [0.75, 1.5, 9.0]


def test_pasts_that_change_hands_break_the_seal() -> None:
    stands = gate(rails(Peak(), Spent()))
    for _ in range(2):
        stands.rule(percept((0.5, 0.0)), plan(0 * BEYOND))
    stands.look(percept((0.5, 0.0)))
    past = stands.guardrails.past
    past._kept = dict(zip(reversed(past._kept), past._kept.values(), strict=True))
    verdict, _ = stands.rule(percept((0.5, 0.0)), plan(0 * BEYOND))
    assert verdict.reasons == ("the guardrails' seal is broken",)


def test_a_tick_that_was_seen_while_the_seal_was_broken_is_not_trusted_later() -> None:
    stands = gate(rails(KeyFirst()))
    stands.rule(percept((0.5, 0.0)), plan(0 * BEYOND))
    stands.guardrails._margins.sub_(1.0)
    stands.look(percept((0.5, 0.0)))
    stands.guardrails._margins.add_(1.0)
    verdict, _ = stands.rule(percept((0.5, 0.0)), plan(0 * BEYOND))
    assert verdict.ruling.tolist() == [Ruling.VETOED]
    assert verdict.reasons == ("the guardrails' seal is broken",)
