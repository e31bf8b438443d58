"""Sizes a config may ask for: one network alone, and probes of several layers."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.cost.readouts.probe import ProbeReadouts
from modules.world_model.jepa import JEPA

BODY = Layout((Channel("push", 1, "m/s", (-1.0,), (1.0,)),))
PLACE = Layout((Channel("place", 2, "m"),))
SITE = Site(PLACE, BODY, 20.0, 3, PLACE)


def test_one_network_alone_is_as_uncertain_as_it_usually_errs() -> None:
    torch.manual_seed(0)
    model = JEPA(JEPA.Config(members=1, width=8), SITE).requires_grad_(False)
    latents, commands = torch.randn(50, 3), torch.rand(50, 1)
    before = model.forecast(latents, commands)
    assert before.latent.shape == (50, 3)
    errors = torch.rand(50) + 0.5
    model.calibrate_spread(before.spread, errors)
    after = model.forecast(latents, commands).spread
    torch.testing.assert_close(after, errors.square().mean().sqrt().expand(50))
    assert bool((model.forecast(latents, commands).z_spread == 0).all())


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_probe_has_as_many_hidden_layers_as_it_is_asked_for(layers: int) -> None:
    probe = ProbeReadouts(ProbeReadouts.Config(width=7, layers=layers), SITE)
    shapes = [tuple(m.weight.shape) for m in probe.probe if isinstance(m, nn.Linear)]
    assert shapes == [(7, 3), *[(7, 7)] * (layers - 1), (2, 7)]
    read = probe.read(torch.zeros(4, 5, 3))
    assert read["place"].shape == (4, 5, 2)


def test_a_probe_without_a_hidden_layer_is_refused() -> None:
    with pytest.raises(ValidationError, match="layers"):
        ProbeReadouts.Config(layers=0)
