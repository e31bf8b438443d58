"""What guardrails say they keep, and what error of a readout each can stand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.modules.test_guardrail_library import INF, SLOW, near, rail, seen, values

BOX = {"min": [1.0, -1.0], "max": [3.0, None]}
NARROW = {"min": [None, 0.0], "max": [4.0, 0.5]}
BALL = {"centre": [1.0, 0.0], "radius": 0.5}


@pytest.mark.parametrize(
    ("use", "settings", "text", "room"),
    [
        ("at_most", {"quantity": "speed", "limit": 1.5}, "|speed| <= 1.5 m/s", INF),
        ("at_most", {"quantity": "place", "limit": [0.5, 2.0]}, "|place| <= (0.5, 2) m", INF),
        ("at_most", {"quantity": "speed", "limit": 1.5, "tolerance": 0.2}, "|speed| <= 1.5 m/s", 0.2),
        ("at_least", {"quantity": "speed", "limit": 0.5, "tolerance": 0.1}, "speed >= 0.5 m/s", 0.1),
        ("at_least", {"quantity": "speed", "limit": 0.5}, "speed >= 0.5 m/s", INF),
        ("apart", {"quantity": "place", "other": "other", "limit": 1.0}, "place 1 m from other", 1.0),
        (
            "apart",
            {"quantity": "place", "other": "other", "limit": 1.0, "tolerance": 0.3},
            "place 1 m from other",
            0.3,
        ),
        ("keep_in", {"quantity": "place", "box": BOX}, "place in box [1.0, -1.0] to [3.0, inf] m", 1.0),
        ("keep_in", {"quantity": "place", "box": NARROW}, "place in box [-inf, 0.0] to [4.0, 0.5] m", 0.25),
        (
            "keep_out",
            {"quantity": "place", "ball": BALL},
            "place outside ball [1.0, 0.0] of radius 0.5 m",
            0.5,
        ),
        (
            "keep_out",
            {"quantity": "place", "ball": BALL, "tolerance": 0.2},
            "place outside ball [1.0, 0.0] of radius 0.5 m",
            0.2,
        ),
    ],
)  # fmt: skip
def test_a_guardrail_says_what_it_keeps_and_what_error_it_can_stand(
    use: str, settings: dict[str, Any], text: str, room: float
) -> None:
    made = rail(use, **settings)
    assert made.text == text
    assert made.room == room


@pytest.mark.parametrize(
    ("use", "settings", "text"),
    [
        ("rate", {"quantity": "speed", "limit": 0.5}, "rate of speed <= 0.5 m/s/s"),
        ("total", {"quantity": "power", "limit": 0.5}, "total of power <= 0.5 W s"),
        ("known", {"limit": 0.1}, "disagreement <= 0.1"),
        ("all_of", {"of": [SLOW, near(3.0)]}, "(|speed| <= 1 m/s) and (speed >= 3 m/s)"),
        ("any_of", {"of": [SLOW, near(3.0)]}, "(|speed| <= 1 m/s) or (speed >= 3 m/s)"),
        ("negation", {"of": SLOW}, "not (|speed| <= 1 m/s)"),
        (
            "until",
            {"keep": SLOW, "until": near(3.0)},
            "(|speed| <= 1 m/s) until (speed >= 3 m/s)",
        ),
        (
            "within",
            {"of": near(3.0), "seconds": 0.5, "pace": 0.5},
            "(speed >= 3 m/s) within 0.5 s",
        ),
    ],
)
def test_a_guardrail_says_what_it_keeps(use: str, settings: dict[str, Any], text: str) -> None:
    assert rail(use, **settings).text == text


def test_a_flat_box_and_a_quantity_that_nobody_shows_are_regions_too() -> None:
    """Whether a quantity is read out at all is asked for all guardrails at once, by name."""
    flat = rail("keep_in", quantity="place", box={"min": [0.0, 1.0], "max": [2.0, 1.0]})
    assert values(flat, seen(place=[[1.0, 1.0], [1.0, 1.5]])) == [0.0, 0.5]
    elsewhere = rail("keep_in", quantity="nowhere", box={"min": [0.0], "max": [1.0]})
    assert elsewhere.text == "nowhere in box [0.0] to [1.0]"
