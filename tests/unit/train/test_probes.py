"""Probes find who it is if the latent tells, and shares of variance are shares."""

from __future__ import annotations

import torch

from agent.core.spec import Channel, Layout
from agent.train.dataset import Dataset
from agent.train.probes import explained, told_apart

LAYOUT = Layout((Channel("place", 2, "m"), Channel("luck", 1, "m"), Channel("fixed", 1, "m")))


def episodes(count: int = 40, ticks: int = 12) -> tuple[Dataset, torch.Tensor]:
    """Return stored episodes whose latents tell place and class, not luck, and the classes."""
    generator = torch.Generator().manual_seed(0)
    place = torch.randn(count, ticks + 1, 2, generator=generator)
    luck = torch.randn(count, ticks + 1, 1, generator=generator)
    who = torch.randint(3, (count,), generator=generator)
    code = torch.nn.functional.one_hot(who, 3).float()[:, None].expand(-1, ticks + 1, -1)
    mix = torch.randn(5, 6, generator=generator)
    latents = torch.cat((place, code), dim=-1) @ mix
    values = torch.cat((place, luck, torch.ones_like(luck), latents), dim=-1)
    return Dataset(values, torch.zeros(count, ticks, 1)), who


def test_who_it_is_is_told_only_from_the_latent() -> None:
    data, who = episodes()
    assert told_apart(*data.split(), LAYOUT, who) == 1.0
    shuffled = who[torch.randperm(len(who), generator=torch.Generator().manual_seed(1))]
    assert told_apart(*data.split(), LAYOUT, shuffled) < 0.8


def test_the_mean_explains_nothing_and_the_truth_everything() -> None:
    truth = torch.randn(50, 4, generator=torch.Generator().manual_seed(2))
    assert explained(truth, truth, LAYOUT) == {"place": 1.0, "luck": 1.0, "fixed": 1.0}
    mean = truth.mean(dim=0).expand_as(truth)
    assert all(abs(v) < 1e-5 for v in explained(mean, truth, LAYOUT).values())
