"""A critic that looks ahead: what plans would come to, kept, and resumed bit for bit."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from agent.config import schema
from agent.config.build import blueprint
from agent.core.errors import InputError
from agent.core.guardrails import Guardrails
from agent.core.messages import Directive, Rollout
from agent.core.objective import GuardedObjective
from agent.core.protocols import Site
from agent.core.settings import Settings
from agent.train.course import train
from agent.train.lookahead import Lookahead, look_ahead
from agent.train.progress import Figures, Ledger, State, silent
from modules.actor.cem import CEM
from modules.cost.composite import CompositeCost
from tests.tiny import REACH
from tests.toys import ACTUATORS, Adding, Below, Place
from tests.unit.modules.test_critic import PLACE, SITE, Seeing, trained, walks

CONFIG = Lookahead(rounds=4, states=128, steps=150)


class Hurts:
    """An intrinsic term: it hurts to be at the right."""

    name, weight, kind = "hurts", 1.0, "intrinsic"

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return 1 where it hurts."""
        return (rollout.quantities["place"][..., 0] > 0.3).float()


class Asked(Hurts):
    """A task term, which no critic anticipates."""

    name, kind = "asked", "task"

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return much, everywhere."""
        return torch.full(rollout.quantities["place"].shape[:-1], 10.0)


def mind(critic: Any, *terms: Any) -> Any:
    """Return a mind that can leave where it hurts in a single tick."""
    torch.manual_seed(0)
    parts = terms or (Hurts(),)
    rails = Guardrails((Below(9.0),), Place().requires_grad_(False))
    cost = CompositeCost(CompositeCost.Config(anticipation=0.25), SITE, parts, Place(), critic)
    objective = GuardedObjective(Adding(), cost, rails)  # type: ignore[arg-type]
    site = Site(PLACE, ACTUATORS, 20.0, 2, PLACE, tuple(cost.terms), ("below",), objective)
    return SimpleNamespace(
        critic=critic, actor=CEM(CEM.Config(samples=16), site), site=site, readouts=Place(),
        terms=parts, configurator=SimpleNamespace(config=SimpleNamespace(horizon=4)),
    )  # fmt: skip


def looked(whole: Any, ledger: Ledger, config: Lookahead = CONFIG) -> Figures:
    return look_ahead(whole, Seeing(), walks(), torch.zeros(1, 2), config, ledger, seed=3)


def test_what_plans_can_leave_is_no_longer_dreaded() -> None:
    critic, right = trained(), torch.tensor([[0.8, 0.0]])
    lived = float(critic.anticipate(right))
    figures = looked(mind(critic), silent())
    assert lived > 2.0, "walks at random stay there for a while"
    assert float(critic.anticipate(right)) < 0.25 * lived
    assert figures["planned"] < figures["anticipated"]
    assert not any(p.requires_grad for p in critic.parameters())


def test_only_what_is_intrinsic_is_anticipated() -> None:
    alone, asked = trained(), trained()
    looked(mind(alone), silent())
    looked(mind(asked, Hurts(), Asked()), silent())
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(value, asked.state_dict()[name])
    assert looked(mind(trained(), Asked()), silent()) == {}, "nothing to anticipate"


def test_an_interrupted_one_goes_on_bit_for_bit() -> None:
    whole, kept = trained(), dict[str, tuple[State, Figures]]()
    told = looked(mind(whole), silent())

    class Stopped(Exception):
        pass

    def save(name: str, tensors: State, figures: Figures) -> None:
        kept[name] = {k: v.clone() for k, v in tensors.items()}, dict(figures)
        if figures["rounds"] == 2.0:
            raise Stopped

    with pytest.raises(Stopped):
        looked(mind(trained()), Ledger(lambda *_: None, save, kept.get))
    resumed = trained()
    figures = looked(mind(resumed), Ledger(lambda *_: None, lambda *_: None, kept.get))
    assert figures == told
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_no_rounds_change_nothing() -> None:
    critic = trained()
    before = {k: v.clone() for k, v in critic.state_dict().items()}
    assert looked(mind(critic), silent(), Lookahead()) == {}
    assert all(torch.equal(v, critic.state_dict()[k]) for k, v in before.items())


class Mute(nn.Module):
    """A critic that learns nothing."""

    Config = Settings

    def __init__(self, config: Settings, site: Site) -> None:
        """Need nothing."""
        super().__init__()

    def anticipate(self, latents: Tensor) -> Tensor:
        """Return nothing."""
        return latents[..., 0] * 0


@pytest.mark.parametrize("where", ["train.lookahead", "train.explore.acting.lookahead"])
def test_a_critic_that_cannot_learn_is_refused_before_anything_is_tried(where: str) -> None:
    mute = f"critic={{use: '{__name__}:Mute'}}"
    found = blueprint(schema.load(REACH, [mute, f"{where}.rounds=1", "eval.checkpoints=[]"]))
    ledger = Ledger(lambda *_: pytest.fail("tried"), lambda *_: None, lambda _: None)
    with pytest.raises(InputError, match="train.lookahead: expected a critic .* came Mute"):
        train(found, ledger)
