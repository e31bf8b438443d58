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


def errors(likelihood: bool) -> list[float]:
    """Return the rms errors of a probe, of a scalar that latents tell and of one that they don't."""
    torch.manual_seed(0)
    probe = ProbeReadouts(ProbeReadouts.Config(width=24, horizon=1, likelihood=likelihood), SITE)
    latents = torch.randn(4096, 3)
    shown = torch.stack((latents[:, 0] + torch.sin(latents[:, 1]), torch.randn(4096)), dim=-1)
    probe.fit_scale(shown)
    optimiser = torch.optim.Adam(probe.parameters(), lr=1e-2)
    for index in range(1000):
        optimiser.param_groups[0]["lr"] = 1e-2 * (1 - index / 1000)
        rows = torch.randint(4096, (64,), generator=torch.Generator().manual_seed(index))
        optimiser.zero_grad()
        probe.loss(latents[rows], shown[rows]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        return [float(e) for e in (probe.unpacked(latents) - shown).square().mean(dim=0).sqrt()]


def test_what_hardly_can_be_told_does_not_drown_what_can() -> None:
    plain, weighed = errors(likelihood=False), errors(likelihood=True)
    assert weighed[0] < 0.6 * plain[0]
    assert weighed[1] > 0.9
