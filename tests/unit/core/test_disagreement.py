"""What networks disagree about, apart from what draws of z differ in."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from agent.config.build import Mind
from agent.core import objective
from agent.core.disagreement import disagreement
from agent.core.errors import InputError
from agent.core.messages import Rollout, Task
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.cost.guardrails.known import Known
from modules.cost.terms.uncertainty import Uncertainty
from modules.world_model.jepa import JEPA
from modules.world_model.latents.discrete import Discrete

BODY = Layout((Channel("push", 2, "m/s", (-1.0, -1.0), (1.0, 1.0)),))
SITE = Site(BODY, BODY, 20.0, 6, BODY)
ROWS, STEPS = 3, 4


def futures(latents: Tensor, networks: int, **more: Any) -> Rollout:
    """Return a rollout of one agent's single candidate, from latents [E H Z]."""
    actions = torch.zeros(1, 1, latents.shape[1], 2)
    whole = latents[:, None, None]
    return Rollout(torch.zeros(1, latents.shape[-1]), actions, whole, {}, networks, **more)


def jepa(draws: int = 0) -> JEPA:
    torch.manual_seed(3)
    variable = Discrete(Discrete.Config(draws=draws), SITE) if draws else None
    return JEPA(JEPA.Config(members=3, width=8), SITE, variable).requires_grad_(False)


def imagined(model: JEPA) -> Rollout:
    generator = torch.Generator().manual_seed(0)
    actions = torch.rand(ROWS, 1, STEPS, 2, generator=generator)
    return model.imagine(torch.randn(ROWS, 6, generator=generator), actions)


def test_it_is_the_deviation_of_networks_over_dimensions() -> None:
    seen = futures(torch.tensor([[[0.0, 0.0]], [[2.0, 0.0]]]), 2)
    assert disagreement(seen).item() == pytest.approx(1.0)  # sqrt((var 2 + var 0) / 2)
    thrice = futures(seen.latents[:, 0, 0], 2, spread_scale=torch.tensor(3.0))
    assert disagreement(thrice).item() == pytest.approx(3.0)


def test_what_draws_differ_in_is_left_out() -> None:
    told = torch.tensor([5.0, -5.0]).repeat(3)[:, None, None].expand(6, STEPS, 2)
    assert float(disagreement(futures(told, 3)).abs().max()) == 0.0
    assert float(disagreement(futures(told, 6)).min()) > 1.0


def test_one_tick_ahead_it_is_the_forecasts_spread() -> None:
    model, latent = jepa(), torch.randn(ROWS, 6, generator=torch.Generator().manual_seed(1))
    model.spread_scale.fill_(2.5)
    command = torch.rand(ROWS, 2, generator=torch.Generator().manual_seed(2))
    found = disagreement(model.imagine(latent, command[:, None, None]))[:, 0, 0]
    torch.testing.assert_close(found * 6**0.5, model.forecast(latent, command).spread)


def test_networks_that_are_the_same_agree_whatever_z_is_drawn() -> None:
    model = jepa(draws=4)
    assert float(disagreement(imagined(model)).min()) > 0.0
    with torch.no_grad():
        for layer in (model.first, model.second, model.third):
            layer.weight.copy_(layer.weight[:1].expand_as(layer.weight))
        model.first.weight.mul_(20.0)  # so that z tells
    seen = imagined(model)
    assert seen.networks == 3
    assert float(seen.latents.std(dim=0).max()) > 1e-3
    assert float(disagreement(seen).max()) < 1e-5


def test_it_has_a_gradient_even_where_there_is_none_to_descend() -> None:
    for latents in (torch.zeros(2, STEPS, 2), torch.randn(2, STEPS, 2)):
        leaf = latents.requires_grad_(True)
        disagreement(futures(leaf, 2)).sum().backward()
        assert leaf.grad is not None
        assert bool(leaf.grad.isfinite().all())


@pytest.mark.parametrize("networks", [0, -1, 2])
def test_a_model_that_does_not_say_is_refused(networks: int) -> None:
    with pytest.raises(InputError, match=rf"came 3 of {networks}; use a world model that says so"):
        disagreement(futures(torch.zeros(3, STEPS, 2), networks))


def test_batches_judged_in_chunks_keep_what_the_model_says(
    mind: Mind, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, actions = torch.zeros(3, mind.site.latent), torch.zeros(3, 2, STEPS, 2)
    ask = mind.configurator.tick({Task: Task(torch.zeros(3, mind.site.goal.size))})
    whole, _ = mind.objective(state, actions, ask)
    monkeypatch.setattr(objective, "CHUNK_FLOATS", 1)
    cut, _ = mind.objective(state, actions, ask)
    assert cut.networks == whole.networks == mind.world_model.ensemble
    torch.testing.assert_close(disagreement(cut), disagreement(whole))


def test_known_is_violated_above_its_limit_alone() -> None:
    rail = Known(Known.Config(limit=0.5), SITE)
    latents = torch.tensor([[[0.0], [0.0], [0.0]], [[0.5], [0.8], [torch.nan]]])
    value = rail.value(futures(latents, 2))
    assert value.shape == (2, 1, 1, 3)
    assert torch.equal(value[0].nan_to_num(9.0), value[1].nan_to_num(9.0))
    assert (value[0, 0, 0] > 0).tolist() == [False, True, False]
    assert bool(value[0, 0, 0, 2].isnan())
    assert rail.text == "disagreement <= 0.5"


def test_usual_uncertainty_costs_one() -> None:
    term = Uncertainty(Uncertainty.Config(usual=0.2), SITE)
    latents = torch.tensor([[[0.0], [0.0]], [[0.2 * 2**0.5], [0.0]]])
    assert term.energy(futures(latents, 2), None)[0, 0, 0].tolist() == pytest.approx([1.0, 0.0])  # type: ignore[arg-type]
