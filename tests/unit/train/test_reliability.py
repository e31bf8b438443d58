"""Foresight: intervals that hold, calibration error, and how fast errors compound."""

from __future__ import annotations

import torch

from agent.config.build import Mind
from agent.train.reliability import (
    LEVELS,
    Foresight,
    calibration_error,
    compounding,
    covered,
    figures,
    foresee,
    reliability,
    widths,
)


def made(n: int, trust: float, seed: int) -> Foresight:
    """Return foresight whose error is Gaussian, `trust` times smaller in spread than in truth."""
    generator = torch.Generator().manual_seed(seed)
    scale = torch.rand(n, 4, 3, generator=generator) + 0.5
    error = torch.randn(n, 4, 3, generator=generator) * scale
    mean = torch.randn(n, 4, 3, generator=generator)
    return Foresight(mean, scale * trust, mean + error)


def test_intervals_cover_fresh_values_as_promised_whatever_the_spread_says() -> None:
    for trust in (1.0, 0.1, 5.0):
        known, fresh = made(4000, trust, 0), made(4000, trust, 1)
        share = covered(fresh, *widths(known, 0.9))
        assert float((share - 0.9).abs().max()) < 0.02


def test_a_spread_taken_at_its_word_is_right_only_if_it_is() -> None:
    honest = reliability(made(4000, 1.0, 0), made(4000, 1.0, 1))
    assert float(calibration_error(honest["spread"]).max()) < 0.02
    proud = reliability(made(4000, 0.2, 0), made(4000, 0.2, 1))
    assert float(calibration_error(proud["spread"]).min()) > 0.3
    assert float(calibration_error(proud["calibrated"]).max()) < 0.02


def test_calibration_error_is_the_mean_gap() -> None:
    levels = torch.tensor(LEVELS)[:, None, None].expand(-1, 2, 3)
    gaps = torch.tensor([0.1, -0.2])[None, :, None]
    torch.testing.assert_close(calibration_error(levels + gaps), torch.tensor([0.1, 0.2]))


def test_compounding_is_the_growth_per_tick() -> None:
    ticks = torch.arange(8.0)[:, None]
    error = 0.01 * torch.tensor([1.0, 1.1, 1.5]) ** ticks
    torch.testing.assert_close(compounding(error), torch.tensor([1.0, 1.1, 1.5]))


def lived(mind: Mind, segments: int) -> Foresight:
    world = mind.blueprint.world(4)
    try:
        return foresee(mind, world, episodes=4, segments=segments, seed=1000)
    finally:
        world.close()


def test_what_was_foreseen_lines_up_with_what_was_seen(mind: Mind) -> None:
    found = lived(mind, segments=2)
    horizon = mind.configurator.config.horizon
    assert found.mean.shape == found.spread.shape == found.seen.shape == (8, horizon, 8)
    assert bool((found.spread >= 0).all())
    rates = figures(mind, found, found)
    assert rates["plans"] == 8
    assert rates["coverage_low"] == 1.0
    near, far = (rates[f"rms.fingertip.{h}"] for h in (1, horizon))
    assert near < far


def test_a_perfect_model_foresees_without_error(mind: Mind) -> None:
    found = lived(mind, segments=1)
    perfect = Foresight(found.seen, torch.zeros_like(found.seen), found.seen)
    assert float(perfect.error.abs().max()) == 0.0
    share = covered(perfect, *widths(perfect, 0.5))
    assert float(share.min()) == 1.0
