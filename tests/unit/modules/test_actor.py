"""What the planners' own parts promise beyond the contract."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agent.core.messages import Mode
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.actor.cem import CEM
from modules.actor.descent import Descent
from modules.actor.icem import ICEM
from modules.actor.mixture import allotted
from modules.actor.noise import Noise
from modules.actor.policy import Policy
from modules.actor.sampling import Pool
from modules.actor.search import Pace, Told, Wave, _better
from modules.actor.still import Still
from modules.actor.updates import Gaussian, softmax
from tests.contract.test_planners import H, Slide, ask
from tests.toys import ACTUATORS

PLACE = Layout((Channel("place", 2, "m"),))


def planner(settle: int) -> CEM:
    site = Site(PLACE, ACTUATORS, 20.0, 2, PLACE, ("away",), ("wall",), Slide())  # type: ignore[arg-type]
    torch.manual_seed(0)
    made = CEM(CEM.Config(policy=Policy.Config(settle=settle)), site)
    torch.nn.init.normal_(made.policy.net[-1].bias, std=1.0)
    return made


@pytest.mark.parametrize("mode", [Mode.REACTIVE, Mode.DELIBERATE])
def test_plans_end_at_rest(mode: Mode) -> None:
    starts, goals = torch.zeros(3, 2), torch.tensor([[0.9, 0.2], [-0.5, -0.9], [0.1, 0.3]])
    settled = planner(settle=3)
    for _ in range(3):
        plan = settled.plan(starts, ask(goals, mode))
        assert bool((plan.actions[:, -3:] == settled.policy.rest).all())
        assert not bool((plan.actions[:, :-3] == settled.policy.rest).all())
    free = planner(settle=0).plan(starts, ask(goals, mode))
    assert not bool((free.actions[:, -3:] == settled.policy.rest).all())


def test_a_plan_that_would_settle_for_longer_than_it_lasts_still_moves_once() -> None:
    plan = planner(settle=H + 5).plan(torch.zeros(1, 2), ask([[0.9, 0.2]]))
    assert bool((plan.actions[:, 1:] == 0).all())
    assert not bool((plan.actions[:, 0] == 0).all())


def test_an_agents_noise_does_not_depend_on_when_others_deliberate() -> None:
    goals = torch.tensor([[0.9, 0.2], [-0.5, -0.9]])
    here = torch.zeros(2, 2)
    early, late = planner(0), planner(0)
    early.plan(here, ask(goals, [int(Mode.DELIBERATE)] * 2))
    late.plan(here, ask(goals, [int(Mode.REACTIVE)] * 2))
    early._last = late._last = None
    modes = [int(Mode.DELIBERATE)] * 2
    assert torch.equal(
        early.plan(here, ask(goals, modes)).actions, late.plan(here, ask(goals, modes)).actions
    )


def test_a_watcher_rests_within_the_limits_and_says_what_it_costs() -> None:
    body = Layout((Channel("push", 2, "m/s", (0.25, -2.0), (1.0, 0.5)),))
    site = Site(PLACE, body, 20.0, 2, PLACE, ("away",), ("wall",), Slide())  # type: ignore[arg-type]
    plan = Still(Still.Config(), site).plan(torch.zeros(2, 2), ask([[0.9, 0.2], [0.0, 0.0]]))
    assert plan.actions.shape == (2, H, 2)
    assert bool((plan.actions == torch.tensor([0.25, 0.0])).all())
    _, bill = Slide()(torch.zeros(2, 2), plan.actions[:, None], ask([[0.9, 0.2], [0.0, 0.0]]))
    torch.testing.assert_close(plan.energy, bill.energy[:, 0])


def test_a_watcher_copes_without_a_body() -> None:
    site = Site(PLACE, Layout(()), 20.0, 2, PLACE, ("away",), ("wall",), Slide())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="objective"):
        Still(Still.Config(), Site(PLACE, Layout(()), 20.0, 2, PLACE))
    assert Still(Still.Config(), site).ports().axes["A"] == 0


def test_descent_is_adam_in_halves_of_the_range() -> None:
    half = torch.tensor([2.0, 0.5])
    plans = torch.tensor([[[[1.0, 0.2], [-0.5, 0.1]]]])
    aim = torch.tensor([0.3, -0.2])
    share = (plans / half).requires_grad_(True)
    optimiser = torch.optim.Adam([share], lr=0.05)
    asked = Descent(rate=0.05).waves(plans, 6, lambda x: x, half)
    wave = next(asked)
    for _ in range(6):
        torch.testing.assert_close(wave.actions, (share * half).detach(), rtol=1e-5, atol=1e-6)
        slopes = 2.0 * (wave.actions - aim)
        optimiser.zero_grad()
        (share * half - aim).square().sum().backward()
        optimiser.step()
        wave = asked.send(Told(None, None, slopes))  # type: ignore[arg-type]
    assert wave.loss is None
    torch.testing.assert_close(wave.actions, (share * half).detach(), rtol=1e-5, atol=1e-6)


def pool(energy: list[float], violation: list[float]) -> Pool:
    k = len(energy)
    actions = torch.arange(float(k)).reshape(1, k, 1, 1)
    none = torch.zeros(1, k, 1, 1)
    return Pool(actions, none, torch.tensor([energy]), torch.tensor([violation]), none, none)


def test_softmax_weighs_guardrails_first() -> None:
    inf = torch.inf
    weights = softmax(pool([1.0, 2.0, -9.0, inf], [0.0, 0.0, 0.5, inf]), 1.0)[0]
    assert weights[2:].tolist() == [0.0, 0.0]
    torch.testing.assert_close(weights[0] / weights[1], torch.tensor(2.0).exp())  # deviation 0.5
    none = softmax(pool([5.0, 1.0, inf], [0.1, 0.7, inf]), 1.0)[0]
    assert none[0] > none[1] > 0.0
    assert none[2] == 0.0
    torch.testing.assert_close(softmax(pool([inf] * 2, [inf] * 2), 1.0)[0], torch.full((2,), 0.5))
    torch.testing.assert_close(softmax(pool([3.0] * 2, [0.0] * 2), 1.0)[0], torch.full((2,), 0.5))


def test_a_refit_leaves_out_what_is_not_finite_and_survives_one_elite() -> None:
    before = Gaussian(torch.full((1, 1, 1, 1), 4.0), torch.full((1, 1, 1), 8.0))
    found = before.refit(pool([0.0, 1.0, torch.inf], [0.0, 0.0, torch.inf]), 0.0)
    assert found.centres.item() == 0.5
    assert found.deviation.item() == pytest.approx(0.5**0.5)
    lone = before.refit(pool([0.0, torch.inf], [0.0, torch.inf]), 0.0)
    assert (lone.centres.item(), lone.deviation.item()) == (0.0, 4.0)
    nothing = before.refit(pool([torch.inf], [torch.inf]), 0.5)
    assert (nothing.centres.item(), nothing.deviation.item()) == (4.0, 6.0)


@pytest.mark.parametrize("colour", ["white", "ou", "coloured"])
def test_noise_has_unit_variance_at_every_horizon(colour: str) -> None:
    made = Noise(colour=colour)
    for horizon in (1, 2, 5, 12):
        drawn = made.draw(20_000, horizon, 2, torch.Generator().manual_seed(0))
        assert drawn.shape == (20_000, horizon, 2)
        assert float(drawn.std()) == pytest.approx(1.0, abs=0.03)
        if horizon > 2:
            together = float((drawn[:, 0] * drawn[:, 1]).mean())
            assert abs(together) < 0.03 if colour == "white" else together > 0.2


def test_components_get_their_share_of_samples() -> None:
    share = torch.tensor([[0.5, 0.25, 0.25], [0.05, 0.05, 0.9]])
    counts = [row.bincount(minlength=3).tolist() for row in allotted(share, 20)]
    assert counts == [[10, 5, 5], [1, 1, 18]]


def test_the_elites_of_the_last_search_are_carried_on() -> None:
    seen: list[torch.Tensor] = []

    class Watching(Slide):
        def __call__(self, state: Any, actions: Any, directive: Any) -> Any:
            seen.append(actions)
            return super().__call__(state, actions, directive)

    site = Site(PLACE, ACTUATORS, 20.0, 2, PLACE, ("away",), ("wall",), Watching())  # type: ignore[arg-type]
    made = ICEM(ICEM.Config(elites=8, kept=0.5), site)
    made.plan(torch.zeros(1, 2), ask([[0.9, 0.2]]))
    counts = [tried.shape[1] for tried in seen[1:]]
    assert counts == [6, 64, 52, 42]  # 4 carried, proposal, rest; then fewer by 1.25, and the mean
    elites = made._last
    seen.clear()
    made.plan(torch.zeros(1, 2), ask([[0.9, 0.2]]))
    assert elites is not None
    assert torch.equal(seen[0][:, :4, :-1], elites[:, :, 1:])
    assert len({tuple(e.flatten().tolist()) for e in elites[0]}) == 4


def test_a_hiccup_does_not_end_all_searching_and_a_slow_model_stays_slow() -> None:
    wave = Wave(torch.zeros(1, 10, 1, 1))
    pace = Pace()
    assert pace.expect_s(wave) == 0.0
    pace.learn(wave, 0.005)
    pace.learn(wave, 0.500)
    assert pace.expect_s(wave) == 0.5
    for _ in range(7):
        pace.doubt(wave)
    assert pace.expect_s(wave) < 0.01
    steady = Pace()
    steady.learn(wave, 0.030)
    steady.doubt(wave)
    assert steady.expect_s(wave) > 0.028


def test_waves_are_foretold_by_their_kind() -> None:
    pace, many = Pace(), Wave(torch.zeros(1, 10, 1, 1))
    pace.learn(many, 0.010)
    assert pace.expect_s(Wave(torch.zeros(1, 20, 1, 1))) == pytest.approx(0.020)
    pace.learn(Wave(torch.zeros(1, 1, 1, 1)), 0.005)  # a wave of one is dear by the number
    assert pace.expect_s(many) == 0.010
    assert pace.expect_s(Wave(many.actions, lambda bill: bill.energy)) == 0.0


def test_what_counts_as_progress() -> None:
    inf = torch.inf

    def better(before: tuple[float, float], now: tuple[float, float]) -> bool:
        old, new = (pool([energy], [violation]) for energy, violation in (before, now))
        return bool(_better(old, new, 0.1)[0])

    assert better((10.0, 0.0), (8.9, 0.0))
    assert not better((10.0, 0.0), (9.1, 0.0))
    assert better((-10.0, 0.0), (-11.1, 0.0))
    assert better((1.0, 0.5), (3.0, 0.0))
    assert not better((3.0, 0.5), (1.0, 0.49))
    assert better((inf, inf), (5.0, 0.2))
    assert not better((inf, inf), (inf, inf))
