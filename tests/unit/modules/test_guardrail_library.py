"""The library of guardrails, one by one, on rollouts written down by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from agent.config.choose import choose
from agent.core.errors import InputError
from agent.core.messages import Rollout
from agent.core.past import moment, since
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout

SENSORS = Layout(
    (
        Channel("place", 2, "m"),
        Channel("other", 2, "m"),
        Channel("power", 1, "W"),
        Channel("speed", 1, "m/s"),
    )
)
SITE = Site(SENSORS, Layout((Channel("push", 1, "N", (-1.0,), (1.0,)),)), 10.0, 2, Layout(()))
NAN, INF = float("nan"), float("inf")


def rail(use: str, **settings: Any) -> Any:
    return choose("guardrail", "g", {"use": use, "name": "g", **settings}).build(SITE)


def seen(past: dict[str, Tensor] | None = None, **rows: list[Any]) -> Rollout:
    """Return one agent's one plan; each quantity is given step by step."""
    packed = {n: torch.tensor(v, dtype=torch.float32) for n, v in rows.items()}
    packed = {n: v.reshape(1, 1, 1, len(v), -1) for n, v in packed.items()}
    steps = next(iter(packed.values())).shape[3]
    latents = torch.zeros(1, 1, 1, steps, 2)
    actions = torch.zeros(1, 1, steps, 1)
    return Rollout(torch.zeros(1, 2), actions, latents, packed, networks=1, past=past or {})


def values(guardrail: Any, rollout: Rollout) -> list[float]:
    found = guardrail.value(rollout)
    assert found.shape == (1, 1, 1, rollout.actions.shape[2])
    listed: list[float] = found[0, 0, 0].tolist()
    return listed


def lived(guardrail: Any, *moments: dict[str, list[float]]) -> dict[str, Tensor]:
    """Return what is kept once these moments have been seen, one after the other."""
    past: dict[str, Tensor] = {}
    for shown in moments:
        quantities = {n: torch.tensor([v]) for n, v in shown.items()}
        past = since([guardrail], moment(torch.zeros(1, 2), quantities, past))
    return past


def near(place: float, name: str = "near", limit: float = 0.0) -> dict[str, Any]:
    """Return a part that demands the speed to be at least `place`."""
    return {"use": "at_least", "name": name, "quantity": "speed", "limit": place}


SLOW = {"use": "at_most", "name": "slow", "quantity": "speed", "limit": 1.0}


def test_a_box() -> None:
    box = {"min": [0.0, -1.0], "max": [2.0, None]}
    inside = rail("keep_in", quantity="place", box=box)
    outside = rail("keep_out", quantity="place", box=box)
    shown = seen(place=[[1.0, 0.0], [3.0, 9.0], [-0.5, -1.25]])
    assert values(inside, shown) == [-1.0, 1.0, 0.5]
    assert values(outside, shown) == [1.0, -1.0, -0.5]
    assert inside.unit == "m"
    assert inside.room == 1.0


def test_a_ball() -> None:
    ball = {"centre": [1.0, 0.0], "radius": 0.5}
    shown = seen(place=[[1.0, 0.0], [1.0, 2.0], [NAN, 0.0]])
    assert values(rail("keep_in", quantity="place", ball=ball), shown)[:2] == [-0.5, 1.5]
    found = values(rail("keep_out", quantity="place", ball=ball), shown)
    assert found[:2] == [0.5, -1.5]
    assert found[2] != found[2], "what is not a number must stay so"


def test_two_bodies_keep_apart() -> None:
    apart = rail("apart", quantity="place", other="other", limit=1.0)
    shown = seen(place=[[0.0, 0.0], [3.0, 4.0]], other=[[0.0, 0.5], [0.0, 0.0]])
    assert values(apart, shown) == [0.5, -4.0]


def test_a_rate_counts_from_where_the_body_is_now() -> None:
    rate = rail("rate", quantity="speed", limit=2.0)
    plan = [[0.5], [0.5], [0.2]]
    assert values(rate, seen(speed=plan)) == pytest.approx([-2.0, -2.0, 1.0])
    past = lived(rate, {"speed": [9.0]}, {"speed": [0.0]})
    assert values(rate, seen(past, speed=plan)) == pytest.approx([3.0, -2.0, 1.0])
    assert rate.unit == "m/s/s"


def test_a_total_counts_what_was_spent() -> None:
    total = rail("total", quantity="power", limit=1.0)
    assert values(total, seen(power=[[2.0], [-3.0]])) == pytest.approx([-0.8, -0.5])
    past = lived(total, {"power": [5.0]}, {"power": [2.0]})
    assert values(total, seen(past, power=[[2.0], [-3.0]])) == pytest.approx([-0.1, 0.2])
    unseen = lived(total, {"power": [5.0]}, {"power": [NAN]}, {"power": [0.0]})
    assert not torch.isfinite(total.value(seen(unseen, power=[[0.0]]))).any()
    assert total.unit == "W s"
    assert rail("total", quantity="speed", limit=1.0).unit == "m"


def test_any_all_and_not() -> None:
    shown = seen(speed=[[0.0], [2.0], [5.0]])
    parts = [SLOW, near(3.0)]
    assert values(rail("any_of", of=parts), shown) == [-1.0, 1.0, -2.0]
    assert values(rail("all_of", of=parts), shown) == [3.0, 1.0, 4.0]
    assert values(rail("negation", of=SLOW), shown) == [1.0, -1.0, -4.0]


def test_never_a_until_b() -> None:
    until = rail("until", keep=SLOW, until=near(5.0))
    assert values(until, seen(speed=[[0.0], [2.0], [5.0], [2.0]])) == [-1.0, 1.0, 0.0, 0.0]
    happened = lived(until, {"speed": [0.0]}, {"speed": [6.0]}, {"speed": [0.0]})
    assert values(until, seen(happened, speed=[[2.0], [4.0]])) == [-1.0, -1.0]
    not_seen = lived(until, {"speed": [0.0]}, {"speed": [NAN]}, {"speed": [INF]})
    assert values(until, seen(not_seen, speed=[[2.0]])) == [1.0]


def test_reach_before_a_deadline() -> None:
    within = rail("within", of=near(3.0), seconds=0.5, pace=10.0)
    assert values(within, seen(speed=[[0.0], [0.0]])) == pytest.approx([-2.0, -1.0])
    slow = [{"speed": [0.0]}] * 4  # the fourth moment is 0.3 s after the first
    past = lived(within, *slow)
    assert values(within, seen(past, speed=[[0.0]] * 3)) == pytest.approx([2.0, 3.0, 3.0])
    assert values(within, seen(past, speed=[[3.5]] * 3))[2] == pytest.approx(-0.5)
    for first in ([], [{"speed": [NAN]}]):
        met = lived(within, *first, {"speed": [4.0]}, *slow, *slow)
        assert values(within, seen(met, speed=[[0.0]])) == pytest.approx([-1.0])


def test_one_inside_another_remembers_too() -> None:
    inner = {"use": "rate", "name": "jerky", "quantity": "speed", "limit": 5.0}
    calm = {"use": "until", "name": "calm", "keep": SLOW, "until": {**near(5.0), "name": "fast"}}
    both = rail("any_of", of=[calm, inner], scale=[1.0, 1.0])
    assert both.unit == ""
    past = lived(both, {"speed": [0.0]}, {"speed": [2.0]})
    assert set(past) == {"calm", "jerky"}
    assert values(both, seen(past, speed=[[2.0]])) == pytest.approx([-5.0])
    assert values(both, seen(past, speed=[[4.0]])) == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"use": "keep_in", "quantity": "place"}, "expected a box or a ball, came neither"),
        (
            {"use": "keep_in", "quantity": "place", "box": {"min": [0.0, 2.0], "max": [1.0, 1.0]}},
            r"expected a region with min below max, came min 2 above max 1; swap them",
        ),
        (
            {"use": "keep_out", "quantity": "place", "ball": {"centre": [0.0], "radius": 1.0}},
            r"expected centre of 2 numbers, one for each component of place, came 1: \[0.0\]",
        ),
        (
            {"use": "keep_in", "quantity": "place", "box": {"min": [0.0, 0.0], "max": [1.0]}},
            r"expected max of 2 numbers",
        ),
        (
            {"use": "apart", "quantity": "place", "other": "power", "limit": 1.0},
            r"expected two quantities of one size and unit, came place\[2\] m and power\[1\] W",
        ),
        (
            {"use": "any_of", "of": [SLOW, {**SLOW, "name": "b", "quantity": "power"}]},
            r"expected parts of one unit.*slow in m/s, b in W; add scale",
        ),
        (
            {
                "use": "keep_in",
                "quantity": "place",
                "box": {"min": [0.0, 0.0], "max": [1.0, 1.0]},
                "ball": {"centre": [0.0, 0.0], "radius": 1.0},
            },
            "expected a box or a ball, came both",
        ),
        (
            {"use": "at_most", "quantity": "speed", "limit": [1.0, 2.0]},
            "expected one limit or 1, one for each component of speed, came 2",
        ),
        ({"use": "any_of", "of": [SLOW], "scale": [1.0, 2.0]}, "expected a scale for each of 1"),
        ({"use": "any_of", "of": [SLOW], "scale": [0.0]}, "greater than 0, came 0"),
        ({"use": "any_of", "of": []}, "at least 1 item"),
        ({"use": "any_of", "of": [{**SLOW, "limitt": 1}]}, r"g\.of\.0: unknown key 'limitt'"),
        ({"use": "negation", "of": {**SLOW, "weight": 0}}, r"g\.of: a guardrail has no weight"),
        ({"use": "within", "of": SLOW, "seconds": 1.0, "pace": 0.0}, "greater than 0, came 0"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        choose("guardrail", "g", {"name": "g", **settings}).build(SITE)


def test_a_part_of_two_units_can_be_scaled() -> None:
    power = {"use": "at_most", "name": "weak", "quantity": "power", "limit": 10.0}
    either = rail("any_of", of=[SLOW, power], scale=[0.5, 10.0])
    assert values(either, seen(speed=[[3.0]], power=[[15.0]])) == [0.5]


def test_what_no_sensor_shows_makes_the_whole_unrealised() -> None:
    known = {"use": "known", "limit": 0.1}
    chosen = choose("guardrail", "g", {"use": "any_of", "name": "g", "of": [SLOW, SLOW]})
    assert chosen.realised
    listed = {"use": "any_of", "name": "g", "of": [SLOW, known], "scale": [1.0, 0.1]}
    chosen = choose("guardrail", "g", listed)
    assert not chosen.realised
    assert not chosen.build(SITE).realised


def test_every_component_and_both_signs_count() -> None:
    both = rail("at_most", quantity="place", limit=[0.5, 2.0])
    places = [[0.4, 1.0], [0.75, 0.0], [0.0, -2.5], [-0.75, 2.25]]
    assert values(both, seen(place=places)) == pytest.approx([-0.1, 0.25, 0.5, 0.25])
    lowest = rail("at_least", quantity="place", limit=0.5)
    assert values(lowest, seen(place=[[0.25, 1.0], [1.0, 0.0]])) == [0.25, 0.5]
    away = rail("apart", quantity="place", other="other", limit=1.0)
    shown = seen(place=[[3.0, 4.0], [-1.0, 0.0]], other=[[3.0, 3.5], [1.0, 0.0]])
    assert values(away, shown) == [0.5, -1.0]
    rate = rail("rate", quantity="place", limit=1.0)
    assert values(rate, seen(place=[[0.0, 0.0], [0.5, 0.1], [0.25, -0.9]])) == pytest.approx(
        [-1.0, 4.0, 9.0]
    )
