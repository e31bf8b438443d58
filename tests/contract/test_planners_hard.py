"""What every planner promises where it is hard: bad energies, little time."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.config import schema
from agent.config.build import blueprint
from agent.config.resolve import resolve
from agent.core.errors import InputError, WiringError
from agent.core.gate import Gate
from agent.core.guardrails import Guardrails
from agent.core.loop import live
from agent.core.messages import (
    Action,
    Bill,
    Directive,
    Mode,
    Percept,
    Plan,
    Rollout,
    Ruling,
    Verdict,
)
from agent.core.objective import GuardedObjective
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from agent.evaluate.episodes import trials_of
from modules.actor.planner import REFUSAL, Planner
from tests.contract import stand
from tests.contract.fuzz import Rough, fuzz, planners
from tests.contract.test_planners import GOALS, LIMIT, PLACES, H, Slide, ask
from tests.toys import ACTUATORS, Adding, Below, Free
from tests.toys import Place as Places

EVERY = pytest.mark.parametrize("name", planners())
LOPSIDED = Layout((Channel("push", 2, "m/s", (-3.0, 0.25), (-0.1, 0.5)),))
PLACE = Layout((Channel("place", 2, "m"),))


def planner(
    name: str, objective: Any, body: Layout = ACTUATORS, seed: int = 0, **settings: Any
) -> Any:
    """Return a planner with those of the settings that it has."""
    kind = resolve("actor", name)
    known = {k: v for k, v in settings.items() if k in kind.Config.model_fields}
    site = Site(PLACE, body, 20.0, 2, PLACE, ("away",), ("wall",), objective, seed)
    torch.manual_seed(1)
    return kind(kind.Config(**known), site)


def starts(places: Any = PLACES) -> Tensor:
    return torch.as_tensor(places, dtype=torch.float32)


def test_all_seven_planners_are_here() -> None:
    wanted = {"shooting", "cem", "icem", "mppi", "gradient", "hybrid", "mixture"}
    assert wanted <= set(planners())


@EVERY
def test_plans_are_within_and_finite_whatever_comes(name: str) -> None:
    count = fuzz(100, seed=3, names=[name])
    assert count["plans"] >= 100
    assert 0 < count["refused"] < count["plans"]
    wrong = {k: v for k, v in count.items() if k not in ("plans", "refused") and v}
    assert not wrong, (name, wrong)


def test_the_fuzz_finds_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Planner.plan

    def bold(self: Any, latent: Tensor, directive: Directive) -> Plan:
        made = real(self, latent, directive)
        return replace(made, actions=made.actions * 50.0, energy=made.energy + 1.0)

    monkeypatch.setattr(Planner, "plan", bold)
    count = fuzz(60, seed=3)
    assert count["out of bounds"] > 30
    assert count["ranked wrongly"] > 5


@EVERY
@pytest.mark.parametrize("elites", [1, 2])
def test_few_elites_and_lopsided_bounds_do_no_harm(name: str, elites: int) -> None:
    low, high = LOPSIDED.bounds()
    objective = Slide()
    made = planner(name, objective, LOPSIDED, elites=elites, iterations=4)
    goals = [[-4.0, 1.5], [-30.0, 2.0], [5.0, -5.0]]
    for _ in range(3):
        plan = made.plan(starts(), ask(goals))
        assert bool(((plan.actions >= low) & (plan.actions <= high)).all())
        assert bool(torch.isfinite(plan.energy).all())
    still = made.policy.rest.expand(3, 1, H, 2)
    _, bill = objective(starts(), still, ask(goals))
    assert bool((plan.energy[:2] < 0.7 * bill.energy[:2, 0]).all())


@EVERY
@pytest.mark.parametrize("bad", [0.2, 0.6])
def test_bad_energies_rank_last(name: str, bad: float) -> None:
    for kind in (torch.nan, torch.inf, -torch.inf):
        objective = Rough(bad, kind, 1e9)
        made = planner(name, objective)
        for _ in range(2):
            plan = made.plan(starts(), ask(GOALS))
            _, bill = objective(starts(), plan.actions[:, None], ask(GOALS))
            found = torch.tensor([not r for r in plan.reasons] or [True] * 3)
            assert bool(found.any())
            assert bool(torch.isfinite(plan.energy[found]).all())
            torch.testing.assert_close(plan.energy[found], bill.energy[found, 0])


@EVERY
def test_where_all_energies_are_bad_it_refuses_and_says_why(name: str) -> None:
    made = planner(name, Rough(1.0, torch.nan, 1e9))
    plan = made.plan(starts(), ask(GOALS, mode=[1, 2, 2]))
    assert plan.reasons == (REFUSAL,) * 3
    assert "no candidate had a finite energy" in REFUSAL
    assert bool(torch.isfinite(plan.actions).all())
    assert plan.violation.tolist() == [0.0] * 3, "nothing forbids it"


@EVERY
def test_the_gate_sends_the_fallback_in_place_of_a_refused_plan(name: str) -> None:
    plan = planner(name, Rough(1.0, torch.inf, 1e9)).plan(starts(), ask(GOALS))
    rails = Guardrails((Below(1e9),), Places())
    objective = GuardedObjective(Adding(), Free(), rails)  # type: ignore[arg-type]
    fallback = torch.tensor([0.125, -0.25])
    gate = Gate(rails, objective, ACTUATORS, fallback)
    percept = Percept(starts(), torch.zeros(3), torch.zeros(3))
    verdict, action = gate.rule(percept, plan)
    assert verdict.ruling.tolist() == [Ruling.VETOED] * 3
    assert all("no candidate had a finite energy" in r for r in verdict.reasons)
    assert torch.equal(action.command, fallback.expand(3, -1))
    one = replace(plan, reasons=("", REFUSAL, ""))
    verdict, action = gate.rule(percept, one)
    assert verdict.ruling.tolist() == [Ruling.ALLOWED, Ruling.VETOED, Ruling.ALLOWED]
    assert torch.equal(action.command[::2], plan.actions[::2, 0])


@EVERY
def test_what_is_executed_is_what_was_planned(name: str) -> None:
    whole = stand.base() | {"actor": stand.part("actor", name)}
    loose = {"use": "at_most", "name": "loose", "quantity": "joint_speed", "limit": 1e9}
    whole["guardrails"] = [loose]  # untrained readouts would forbid everything
    whole["terms"] = [t for t in whole["terms"] if t["use"] == "distance"]
    made = blueprint(schema.validate(schema.AgentConfig, whole, "contract")).assemble()
    for held in made.trainable().values():
        stand.stir(held, torch.Generator().manual_seed(7))
    world = made.blueprint.world(2)
    try:
        agent = made.agent(world)
        seeds = [900_000, 900_001]
        ticks = list(live(agent, world, seeds, trials_of(world).tasks(seeds), 3))
    finally:
        world.close()
    for tick in ticks:
        assert tick.faults == ()
        assert tick.messages[Verdict].ruling.tolist() == [Ruling.ALLOWED] * 2
        assert torch.equal(tick.messages[Action].command, tick.messages[Plan].actions[:, 0])
        assert float(tick.messages[Plan].actions.abs().max()) > 0.0


@EVERY
@pytest.mark.parametrize("wall", [1e9, LIMIT, -2.0])
def test_more_iterations_never_make_a_plan_worse(name: str, wall: float) -> None:
    last = None
    for iterations in (1, 2, 3, 5, 8):
        made = planner(name, Rough(0.1, torch.nan, wall), iterations=iterations)
        plan = made.plan(starts(), ask(GOALS))
        score = list(zip(plan.violation.tolist(), plan.energy.tolist(), strict=True))
        if last is not None:
            assert all(new <= old for new, old in zip(score, last, strict=True)), iterations
        last = score
    assert plan.iterations >= 8
    assert plan.complete


@EVERY
def test_a_long_search_gets_close_to_the_best_there_is(name: str) -> None:
    """The goals are a step away: the best plan costs nothing. Shooting learns nothing from waves."""
    here, goals = torch.zeros(4, 2), [[0.3, 0.1], [-0.4, -0.9], [0.55, 0.2], [-0.1, -1.0]]
    plan = planner(name, Slide(), iterations=30, seed=2).plan(here, ask(goals))
    _, bill = Slide()(here, torch.zeros(4, 1, H, 2), ask(goals))
    most = 0.3 if name == "shooting" else 0.15
    assert float((plan.energy / bill.energy[:, 0]).max()) < most


@EVERY
def test_a_planner_without_time_to_spare_still_looks_at_its_warm_start(name: str) -> None:
    objective = Slide(slow_s=0.004)
    made = planner(name, objective, iterations=50)
    before = made.plan(starts(), replace(ask(GOALS), budget_ms=60.0))
    assert not before.complete
    places = starts() + before.actions[:, 0]
    warm = torch.cat((before.actions[:, 1:], torch.zeros(3, 1, 2)), dim=1)
    _, bill = objective(places, warm[:, None], ask(GOALS))
    after = made.plan(places, replace(ask(GOALS), budget_ms=6.0))
    assert after.iterations == 0
    assert bool((after.energy <= bill.energy[:, 0] + 1e-6).all())


@EVERY
def test_a_deadline_is_not_overrun_by_a_whole_iteration(name: str) -> None:
    each_ms, budget_ms = 20.0, 90.0
    made = planner(name, Slide(slow_s=each_ms / 1e3), iterations=50)
    spent, waves = [], []
    for _ in range(4):
        plan = made.plan(starts(), replace(ask(GOALS), budget_ms=budget_ms))
        assert not plan.complete
        spent.append(plan.elapsed_ms)
        waves.append(plan.iterations)
    assert 1 <= max(waves) <= 3
    assert sorted(spent)[1] < budget_ms + each_ms / 2  # two of four, for the machine may stall


@EVERY
def test_it_stops_once_converged(name: str) -> None:
    goals, modes = [[0.0, 0.0], *GOALS[:2]], Mode.DELIBERATE
    still = [[0.0, 0.0], *PLACES[:2]]
    free = planner(name, Slide(), iterations=30)
    brief = planner(name, Slide(), iterations=30, tolerance=0.2)
    long, short = (m.plan(starts(still), ask(goals, modes)) for m in (free, brief))
    assert short.complete
    assert short.iterations < long.iterations
    assert short.evaluations < long.evaluations
    rest = torch.zeros(3, 1, H, 2)
    _, bill = Slide()(starts(still), rest, ask(goals))
    assert bool((short.energy[1:] < bill.energy[1:, 0]).all())
    alone = planner(name, Slide(), iterations=30, tolerance=0.2)
    one = alone.plan(starts(still[:1]), ask(goals[:1], modes))
    assert torch.equal(one.actions[0], short.actions[0])  # whatever the others still search


class Flat(Slide):
    """Sliding, simulated: no gradients but those of what the actions themselves cost."""

    def __call__(
        self, state: Tensor, actions: Tensor, directive: Directive
    ) -> tuple[Rollout, Bill]:
        seen, bill = super().__call__(state, actions.detach(), directive)
        effort = actions.square().mean(dim=(2, 3))
        return replace(seen, actions=actions), replace(bill, energy=bill.energy + effort)


class Counted(Slide):
    """Sliding, billed in whole numbers: no gradients."""

    def __call__(
        self, state: Tensor, actions: Tensor, directive: Directive
    ) -> tuple[Rollout, Bill]:
        seen, bill = super().__call__(state, actions, directive)
        return seen, replace(bill, energy=bill.energy.detach().round())


class Summed(Slide):
    """Sliding, billed once for all candidates."""

    def __call__(
        self, state: Tensor, actions: Tensor, directive: Directive
    ) -> tuple[Rollout, Bill]:
        seen, bill = super().__call__(state, actions, directive)
        return seen, replace(bill, energy=bill.energy.mean(dim=1))


@EVERY
@pytest.mark.parametrize(("kind", "what"), [(Flat, "imagined states"), (Counted, "an energy")])
def test_what_has_no_gradients_is_refused_by_those_who_need_them(
    name: str, kind: type[Slide], what: str
) -> None:
    made = planner(name, kind())
    if made.descends:
        said = rf"actor \({name}\): expected gradients.* came {what} without.*differentiable"
        with pytest.raises(InputError, match=said):
            made.plan(starts(), ask(GOALS))
    else:
        assert bool(torch.isfinite(made.plan(starts(), ask(GOALS)).energy).all())


def test_those_that_descend_say_so() -> None:
    found = {n for n in planners() if resolve("actor", n).descends}
    assert found == {"gradient", "hybrid"}


@EVERY
def test_an_energy_of_the_wrong_shape_is_refused(name: str) -> None:
    wrong = rf"actor \({name}\): expected Bill\.energy of shape \[1, 2\].* came \[1\]; correct"
    with pytest.raises(InputError, match=wrong):
        planner(name, Summed()).plan(starts(), ask(GOALS))


@EVERY
def test_a_deadline_shorter_than_one_question_is_refused(name: str) -> None:
    made = planner(name, Slide(slow_s=0.01))
    for _ in range(2):
        with pytest.raises(
            InputError, match=rf"actor \({name}\): .*budget of at least \d+.\d ms.* came 3 ms"
        ):
            made.plan(starts(), replace(ask(GOALS), budget_ms=3.0))
    assert made.plan(starts(), ask(GOALS)).complete


@EVERY
def test_a_horizon_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"actor \({name}\): expected a horizon of at least 1"):
        planner(name, Slide()).plan(starts(), replace(ask(GOALS), horizon=0))


@EVERY
def test_more_elites_than_samples_or_none_at_all_are_refused(name: str) -> None:
    fields = resolve("actor", name).Config.model_fields
    if "elites" in fields:
        with pytest.raises(ValueError, match=rf"{name}: .*came 9 elites of 8 samples; lower"):
            planner(name, Slide(), samples=8, elites=9)
    counts = {"samples", "iterations", "elites", "restarts"} & set(fields)
    for key in counts - ({"iterations"} if name == "sparse_tree" else set()):  # its tree may do
        with pytest.raises(ValueError, match=key):
            planner(name, Slide(), **{key: 0})


def test_the_refusals_reach_whoever_wires(plans: Any, tensors: Any) -> None:
    mind = plans.assemble(tensors)
    world = plans.world(1)
    try:
        slow = mind.objective._cost.energy

        def energy(rollout: Rollout, directive: Directive) -> Bill:
            time.sleep(0.01)
            bill: Bill = slow(rollout, replace(directive, budget_ms=1.0))
            return bill

        mind.objective._cost.energy = energy
        real = mind.configurator.tick
        mind.configurator.tick = lambda inbox: replace(real(inbox), budget_ms=1.0)
        with pytest.raises(WiringError, match=r"actor \(cem\): expected a budget of at least"):
            mind.agent(world)
    finally:
        world.close()
