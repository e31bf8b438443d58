"""What goes out in place of a plan: the smallest change first, and always something verified."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from agent.core.repair import REPAIRS, WORDS, Candidates, Repair, candidates, choose
from tests.toys import steps

SPAN = torch.tensor([2.0, 2.5])
STOP = torch.zeros(2)
PLAN = steps(*[(0.8, 0.4)] * 12)
KEPT = steps(*[(0.2, -0.4)] * 12)


def only(found: Candidates, kind: Repair) -> list[Tensor]:
    return [a for a, k in zip(found.actions[0], found.kinds, strict=True) if k is kind]


def test_candidates_are_a_handful_of_plans_within_what_they_are_made_of() -> None:
    found = candidates(PLAN, KEPT, STOP)
    assert found.actions.shape == (1, len(found.kinds), 12, 2)
    assert len(found.kinds) <= 16
    assert torch.equal(found.actions[:, 0], PLAN)
    assert set(found.kinds) == set(Repair)
    low, high = torch.minimum(PLAN, KEPT).clamp(max=0), torch.maximum(PLAN, KEPT).clamp(min=0)
    assert bool(((found.actions >= low[:, None]) & (found.actions <= high[:, None])).all())


def test_a_plan_cut_short_ends_in_the_fallback() -> None:
    cuts = only(candidates(PLAN, None, STOP), Repair.CUT)
    assert [int((a != 0).any(dim=1).sum()) for a in cuts] == [9, 6, 3, 1]
    assert all(torch.equal(a[:1], PLAN[0, :1]) for a in cuts)


def test_of_a_plan_of_one_command_nothing_can_be_cut() -> None:
    found = candidates(PLAN[:, :1], None, STOP)
    assert len(only(found, Repair.CUT)) == 1
    assert torch.equal(only(found, Repair.CUT)[0], PLAN[0, :1])


def test_braking_is_hard_or_lets_the_last_command_fade() -> None:
    hard, soft, softer = only(candidates(PLAN, KEPT, STOP), Repair.BRAKE)
    assert not hard.any()
    assert soft[:4, 0].tolist() == pytest.approx([0.15, 0.1, 0.05, 0.0])
    assert softer[0, 0].item() == pytest.approx(0.2 * 7 / 8)
    assert not softer[7:].any()


def test_the_kept_plan_goes_on_where_it_was_and_ends_in_the_fallback() -> None:
    moving = KEPT * torch.arange(1.0, 13.0)[None, :, None]
    (kept,) = only(candidates(PLAN, moving, STOP), Repair.KEPT)
    assert torch.equal(kept, torch.cat((moving[0, 1:], STOP[None])))


def judged(*feasible: Repair, spoilt: tuple[int, ...] = ()) -> tuple[Candidates, int]:
    """Return candidates and the choice where only those of the given kinds are feasible."""
    found = candidates(PLAN, KEPT, STOP)
    values = torch.tensor([0.0 if k in feasible else 1.0 for k in found.kinds])
    values[list(spoilt)] = 1.0
    choice = choose(found, values[None, :, None, None].expand(1, -1, 3, 12), SPAN)
    assert choice.feasible.tolist() == [bool(feasible)]
    return found, int(choice.index[0])


@pytest.mark.parametrize("kind", list(Repair))
def test_what_stands_before_others_is_taken(kind: Repair) -> None:
    later = [k for k in Repair if k >= kind]
    found, index = judged(*later)
    assert found.kinds[index] is kind


def test_the_longest_cut_is_nearest() -> None:
    found, index = judged(Repair.CUT, Repair.BENT)
    assert torch.equal(found.actions[0, index, :9], PLAN[0, :9])


def test_the_smallest_bend_is_nearest() -> None:
    found, index = judged(Repair.BENT)
    bent = found.actions[0, index]
    changes = [float(((a - PLAN[0]) / SPAN)[0].abs().max()) for a in only(found, Repair.BENT)]
    assert float(((bent - PLAN[0]) / SPAN)[0].abs().max()) == min(changes)


def test_one_step_or_one_guardrail_is_enough_to_refuse() -> None:
    found = candidates(PLAN, KEPT, STOP)
    for rail in range(3):
        for step in (0, 11):
            values = torch.full((1, len(found.kinds), 3, 12), -1.0)
            values[:, 0, rail, step] = 1e-6
            assert int(choose(found, values, SPAN).index[0]) != 0


def test_where_nothing_is_feasible_the_smallest_violation_goes_if_smaller_than_the_fallbacks() -> (
    None
):
    found = candidates(PLAN, KEPT, STOP)
    held = found.kinds.index(Repair.BRAKE)
    values = torch.full((1, len(found.kinds), 1, 12), 2.0)
    values[:, held], values[:, 5] = 1.0, 0.5
    choice = choose(found, values, SPAN)
    assert (choice.index[0], choice.feasible[0], choice.lesser[0]) == (5, False, True)
    values[:, 5] = 1.0
    assert not choose(found, values, SPAN).lesser[0]
    assert not choose(found, torch.full_like(values, torch.inf), SPAN).lesser[0]


def test_agents_choose_for_themselves() -> None:
    found = candidates(PLAN.repeat(3, 1, 1), None, STOP)
    values = torch.full((3, len(found.kinds), 1, 12), 1.0)
    values[0, 0] = values[1, 1] = -1.0
    choice = choose(found, values, SPAN)
    assert choice.index[:2].tolist() == [0, 1]
    assert choice.feasible.tolist() == [True, True, False]


def test_every_repair_has_words_of_its_own() -> None:
    assert len(set(REPAIRS)) == len(REPAIRS) == len(WORDS) + 2


def test_the_next_command_counts_first_by_its_largest_change_then_the_whole_plan() -> None:
    kinds = (Repair.NONE, Repair.BRAKE, Repair.BENT, Repair.BENT, Repair.BENT)
    moves = torch.zeros(1, 5, 2, 2)
    moves[0, 2] = torch.tensor([(0.4, 0.0), (0.0, 0.0)])
    moves[0, 3] = torch.tensor([(0.1, 0.2), (1.0, 0.0)])
    moves[0, 4] = torch.tensor([(0.2, 0.1), (0.9, 0.0)])
    values = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0])[None, :, None, None].expand(1, 5, 1, 2)
    assert choose(Candidates(moves, kinds), values, torch.ones(2)).index.tolist() == [4]


def test_braking_fades_into_a_fallback_that_moves() -> None:
    stop = torch.tensor([0.1, -0.2])
    hard, soft, _ = only(candidates(PLAN, KEPT, stop), Repair.BRAKE)
    assert torch.equal(hard, stop.expand(12, 2))
    assert soft[:, 0].tolist() == pytest.approx([0.175, 0.15, 0.125] + [0.1] * 9)
