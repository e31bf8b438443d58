"""Drives: what they feel, in which units, and that nothing changes them once they are built."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.config import schema
from agent.config.build import blueprint
from agent.config.resolve import parts, resolve
from agent.core.errors import InputError
from agent.core.messages import Directive, Rollout, Task
from agent.core.protocols import Site
from modules.cost.terms.comfort import Comfort
from modules.cost.terms.energy import Energy
from modules.cost.terms.upright import Upright
from tests.contract.stand import built
from tests.tiny import ROOT
from worlds.stand.world import ACTUATORS, SENSORS

STAND = ROOT / "configs" / "stand.yaml"
SITE = Site(SENSORS, ACTUATORS, 50.0, 4, replace(SENSORS, channels=()))


def asked() -> Any:
    none = torch.zeros(1, 0)
    return Directive(none, none, none, torch.full((1,), 2))


def felt(term: Any, **quantities: Tensor) -> Tensor:
    """Return a term's energy [H] of one imagined future with quantities [H n]."""
    ticks = len(next(iter(quantities.values())))
    shown = {k: v[None, None, None] for k, v in quantities.items()}
    rollout = Rollout(
        torch.zeros(1, 4), torch.zeros(1, 1, ticks, 2), torch.zeros(1, 1, 1, ticks, 4), shown
    )
    energy: Tensor = term.energy(rollout, asked())[0, 0, 0]
    return energy


def test_upright_is_the_share_of_height_that_is_lacking() -> None:
    term = Upright(Upright.Config(quantity="head_height", standing_m=1.2), SITE)
    height = torch.tensor([[1.2], [1.5], [0.9], [0.0]])
    torch.testing.assert_close(felt(term, head_height=height), torch.tensor([0.0, 0.0, 0.25, 1.0]))


def test_hunger_makes_the_same_meal_worth_more_to_the_hungry() -> None:
    term = Energy(Energy.Config(quantity="charge", sated=0.8), SITE)
    charge = torch.tensor([[1.0], [0.8], [0.6], [0.4], [0.0], [-0.1]])
    hunger = felt(term, charge=charge)
    torch.testing.assert_close(hunger, torch.tensor([0.0, 0.0, 0.0625, 0.25, 1.0, 1.0]))
    assert hunger[3] - hunger[2] > hunger[2] - hunger[1]


def test_comfort_feels_jerk_in_rad_per_cubic_second() -> None:
    term = Comfort(Comfort.Config(jerk_rad_s3=100.0), SITE)
    steady = torch.linspace(0.0, 1.0, 6)[:, None].expand(6, 2)
    calm = torch.zeros(6, 2)
    assert float(felt(term, joint_speed=steady, joint_angle=calm).max()) < 1e-6, (
        "no jerk at constant acceleration"
    )
    jolt = torch.zeros(6, 2)
    jolt[3:, 0] = 0.01
    torch.testing.assert_close(
        felt(term, joint_speed=jolt, joint_angle=calm),
        torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 0.0]) * (0.01 * 50.0**2 / 100.0) ** 2 / 2,
    )


@pytest.mark.parametrize("ticks", [1, 2, 3])
def test_comfort_is_felt_of_the_shortest_futures(ticks: int) -> None:
    term = Comfort(Comfort.Config(), SITE)
    zeros = torch.zeros(ticks, 2)
    assert felt(term, joint_speed=zeros, joint_angle=zeros).tolist() == [0.0] * ticks


def test_comfort_feels_the_end_of_a_joints_range() -> None:
    term = Comfort(Comfort.Config(limit=[1.0, 2.0], ease=0.5), SITE)
    angle = torch.tensor([[0.5, 1.0], [1.0, 0.0], [-1.0, -2.0], [0.75, 1.0]])
    torch.testing.assert_close(
        felt(term, joint_angle=angle, joint_speed=torch.zeros(4, 2)),
        torch.tensor([0.0, 0.5, 1.0, 0.125]),
    )


@pytest.mark.parametrize(
    ("more", "says"),
    [({"limit": [1.0, 0.0]}, "limits above 0"), ({"speed": "haste"}, "came haste")],
)
def test_comfort_refuses_what_it_cannot_feel(more: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Comfort(Comfort.Config(**more), SITE)


DRIVES = [n for n in parts("term") if resolve("term", n).kind == "intrinsic"]


@pytest.mark.parametrize("name", DRIVES)
def test_drives_are_hard_wired(name: str) -> None:
    drive = built("term", name)
    before = dict(vars(drive))
    with pytest.raises(AttributeError, match="hard-wired"):
        drive.weight = 0.0
    with pytest.raises(AttributeError, match="hard-wired"):
        drive.energy = lambda rollout, directive: 0.0
    with pytest.raises(AttributeError, match="hard-wired"):
        del drive.weight
    assert vars(drive).keys() == before.keys()
    assert all(vars(drive)[k] is v for k, v in before.items())


@torch.no_grad()
def test_the_directive_has_no_word_for_guardrails() -> None:
    mind = blueprint(schema.load(STAND)).assemble()
    with pytest.raises(InputError, match="unknown term 'speed_limit'"):
        blueprint(schema.load(STAND, ["configurator.weights={speed_limit: 0.0}"])).assemble()
    state, plan = torch.zeros(1, mind.site.latent), torch.full((1, 1, 8, 2), 3.0)
    ask = mind.configurator.tick({Task: Task(torch.zeros(1, 0))})
    _, bill = mind.objective(state, plan, ask)
    _, silenced = mind.objective(state, plan, replace(ask, weights=torch.zeros_like(ask.weights)))
    assert torch.equal(bill.guardrails, silenced.guardrails)
    assert float(silenced.energy.abs().max()) == 0.0 < float(bill.energy.max())


def test_an_agent_with_drives_and_no_goal_wants_and_one_without_either_watches() -> None:
    assert blueprint(schema.load(STAND)).wants
    assert not blueprint(schema.load(ROOT / "configs" / "toys.yaml")).wants
