"""Learning on another device: nothing of a step stays behind on the processor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from agent.config import schema
from agent.config.build import Blueprint, Mind, blueprint
from agent.core.errors import InputError
from agent.train.dataset import Dataset
from agent.train.progress import silent
from agent.train.stages import learn_world
from modules.world_model.learn import Learner
from tests.tiny import REACH, ROOT

EVERY = (
    "train.learner.objectives=[{use: prediction}, {use: vicreg}, {use: barlow_twins}, {use: sigreg},"
    " {use: info_nce}, {use: inverse}, {use: straightening}, {use: invariance}, {use: none}]"
)
LATENTS = ("null", "{use: discrete, codes: 3}", "{use: noised}")


def learner(found: Blueprint, device: str, steps: int = 3) -> tuple[Mind, Learner, Dataset]:
    mind = found.assemble()
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(20, 12, mind.site.sensors.size, generator=generator)
    commands = torch.rand(20, 11, mind.site.actuators.size, generator=generator)
    parts = [c.build(mind.site) for c in found.objectives]
    config = Learner.Config(steps=steps, batch=4, horizon=3, device=device)
    return (
        mind,
        Learner(config, mind.perception, mind.world_model, parts),
        Dataset(values, commands),
    )


@pytest.mark.parametrize("latent", LATENTS)
@pytest.mark.parametrize(
    "config", [REACH, ROOT / "configs" / "reach-pixels.yaml"], ids=lambda p: p.stem
)
def test_a_step_mixes_no_devices(
    config: Path, latent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device `meta` refuses to compute with the processor's tensors, as a GPU does."""
    found = blueprint(schema.load(config, [EVERY, f"world_model.latent_variable={latent}"]))
    _, part, data = learner(found, "meta")
    part.to("meta")
    monkeypatch.setattr(Tensor, "__float__", lambda _: 1.0)
    monkeypatch.setattr(torch, "equal", lambda *_: True)
    monkeypatch.setattr(part.optimiser, "step", lambda: None)
    assert part.step(1, data)["loss"] == 1.0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_gpu_learns_what_the_processor_learns() -> None:
    found = blueprint(schema.load(REACH))
    weights = {}
    for device in ("cpu", "cuda"):
        mind, part, data = learner(found, device)
        learn_world(part, data, 3, silent())
        weights[device] = mind.world_model.state_dict()
    for name, value in weights["cpu"].items():
        torch.testing.assert_close(weights["cuda"][name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("device", "said"), [("tpu", "expected cpu or cuda, came 'tpu'"), ("cuda:99", "that is here")]
)
def test_a_device_that_is_not_there_is_named(device: str, said: str) -> None:
    _, part, data = learner(blueprint(schema.load(REACH)), device)
    with pytest.raises(InputError, match=said):
        learn_world(part, data, 3, silent())
