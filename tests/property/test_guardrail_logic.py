"""Laws of guardrails made of guardrails: De Morgan, order, memory, and NaN that is never safe."""

from __future__ import annotations

import math
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from agent.config.choose import choose
from agent.config.resolve import parts
from agent.core.guardrails import Guardrails
from agent.core.messages import Rollout
from agent.core.past import moment, since
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout

LAWS = settings(deadline=None, derandomize=True, max_examples=60)
SENSORS = Layout(tuple(Channel(name, 1, "m") for name in "abc"))
SITE = Site(SENSORS, Layout((Channel("push", 1, "N", (-1.0,), (1.0,)),)), 10.0, 3, Layout(()))
H = 4
KINDS = {name: found.target for name, found in parts("guardrail").items()}
"""Classes by name, looked up once: looking for a name reads a folder."""


class Latent(nn.Module):
    """Readouts: three quantities, which are the latent."""

    layout = SENSORS

    def read(self, latents: Tensor) -> dict[str, Tensor]:
        """Return each component under its name."""
        return {name: latents[..., i : i + 1] for i, name in enumerate("abc")}


def formulas() -> st.SearchStrategy[dict[str, Any]]:
    """Return nested guardrails; names are given later, for each must have its own."""
    leaf = st.builds(
        lambda use, quantity, limit: {"use": use, "quantity": quantity, "limit": limit},
        st.sampled_from(["at_least", "at_most"]),
        st.sampled_from("abc"),
        st.integers(-3, 3).map(float),
    )

    def grow(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        several = st.lists(inner, min_size=1, max_size=3)
        return st.one_of(
            st.builds(lambda of: {"use": "any_of", "of": of}, several),
            st.builds(lambda of: {"use": "all_of", "of": of}, several),
            st.builds(lambda of: {"use": "negation", "of": of}, inner),
            st.builds(lambda a, b: {"use": "until", "keep": a, "until": b}, inner, inner),
            st.builds(
                lambda of, seconds: {"use": "within", "of": of, "seconds": seconds, "pace": 2.0},
                inner,
                st.sampled_from([0.1, 0.3, 1.0]),
            ),
        )

    return st.recursive(leaf, grow, max_leaves=6)


def named(formula: dict[str, Any], name: str = "g") -> dict[str, Any]:
    whole = {**formula, "name": name, "use": KINDS[formula["use"]]}
    for key in ("of", "keep", "until"):
        inner = whole.get(key)
        if isinstance(inner, list):
            whole[key] = [named(p, f"{name}{i}") for i, p in enumerate(inner)]
        elif isinstance(inner, dict):
            whole[key] = named(inner, f"{name}{key[0]}")
    return whole


def built(formula: dict[str, Any]) -> Any:
    return choose("guardrail", "g", named(formula)).build(SITE)


def futures(steps: list[list[float]], past: dict[str, Tensor] | None = None) -> Rollout:
    latents = torch.tensor(steps)[None, None, None]
    actions = torch.zeros(1, 1, len(steps), 1)
    read = Latent().read(latents)
    return Rollout(torch.zeros(1, 3), actions, latents, read, networks=1, past=past or {})


def kept(guardrail: Any, moments: list[list[float]]) -> dict[str, Tensor]:
    past: dict[str, Tensor] = {}
    for latent in moments:
        now = torch.tensor([latent])
        past = since([guardrail], moment(now, Latent().read(now), past))
    return past


numbers = st.integers(-8, 8).map(lambda n: n / 2)
rows = st.lists(numbers, min_size=3, max_size=3)
plans = st.lists(rows, min_size=H, max_size=H)
bad = st.sampled_from([math.nan, math.inf, -math.inf])


def broken(steps: list[list[float]], at: int, what: float) -> list[list[float]]:
    """Return the plan with all quantities not finite at step `at`."""
    return [[what] * 3 if i == at else row for i, row in enumerate(steps)]


@LAWS
@given(st.lists(formulas(), min_size=1, max_size=3), plans)
def test_de_morgan(some: list[dict[str, Any]], steps: list[list[float]]) -> None:
    turned = [{"use": "negation", "of": p} for p in some]
    for one, other in (("any_of", "all_of"), ("all_of", "any_of")):
        neither = built({"use": "negation", "of": {"use": one, "of": some}})
        each = built({"use": other, "of": turned})
        assert torch.equal(neither.value(futures(steps)), each.value(futures(steps)))


@LAWS
@given(formulas(), plans)
def test_not_not_is_the_same(part: dict[str, Any], steps: list[list[float]]) -> None:
    twice = {"use": "negation", "of": {"use": "negation", "of": part}}
    assert torch.equal(built(twice).value(futures(steps)), built(part).value(futures(steps)))


@LAWS
@given(st.lists(formulas(), min_size=1, max_size=3), formulas(), plans)
def test_more_ways_out_are_never_stricter(
    some: list[dict[str, Any]], more: dict[str, Any], steps: list[list[float]]
) -> None:
    shown = futures(steps)
    for use, sign in (("any_of", -1), ("all_of", 1)):
        few = built({"use": use, "of": some}).value(shown)
        many = built({"use": use, "of": [*some, more]}).value(shown)
        assert bool((sign * (many - few) >= 0).all())


@LAWS
@given(formulas(), plans, st.integers(0, H - 1), bad)
def test_what_is_not_a_number_is_never_safe(
    part: dict[str, Any], steps: list[list[float]], at: int, what: float
) -> None:
    sealed = Guardrails([built(part)], Latent())  # type: ignore[arg-type]
    values = sealed.evaluate(futures(broken(steps, at, what)))
    assert values[0, 0, 0, at] == math.inf
    values = sealed.evaluate(futures(steps))
    assert bool(torch.isfinite(values).all())


@LAWS
@given(formulas(), formulas(), plans, plans)
def test_until_binds_till_it_happens_and_no_longer(
    keep: dict[str, Any], until: dict[str, Any], lived: list[list[float]], steps: list[list[float]]
) -> None:
    whole = built({"use": "until", "keep": keep, "until": until})
    past = kept(whole, lived)
    shown = futures(steps, past)
    first, second = whole.parts
    holds, happens = first.value(shown)[0, 0, 0] <= 0, second.value(shown)[0, 0, 0] <= 0
    already = bool(past["g"] <= 0)
    for h, ok in enumerate((whole.value(shown)[0, 0, 0] <= 0).tolist()):
        assert ok == (already or bool(happens[: h + 1].any()) or bool(holds[h]))


@LAWS
@given(formulas(), plans, plans)
def test_what_was_imagined_first_and_lived_then_is_one_history(
    part: dict[str, Any], lived: list[list[float]], steps: list[list[float]]
) -> None:
    """A plan's later steps are judged the same once its first ones have become past."""
    for use in ("until", "within"):
        extra = {"keep": part, "until": part} if use == "until" else {"of": part}
        more = {} if use == "until" else {"seconds": 0.6, "pace": 1.0}
        rail = built({"use": use, **extra, **more})
        whole = rail.value(futures(steps, kept(rail, lived)))
        later = rail.value(futures(steps[2:], kept(rail, [*lived, *steps[:2]])))
        torch.testing.assert_close(later, whole[..., 2:])


@LAWS
@given(formulas(), plans, plans, st.integers(0, H - 1))
def test_a_moment_that_was_not_seen_makes_nothing_happen(
    part: dict[str, Any], lived: list[list[float]], steps: list[list[float]], at: int
) -> None:
    never = {"use": "at_least", "quantity": "a", "limit": 99.0}
    whole = built({"use": "until", "keep": never, "until": part})
    unseen = kept(whole, broken(lived, at, math.nan))["g"]
    assert not bool(torch.isnan(unseen))
    simple = built({"use": "until", "keep": never, "until": {**never, "limit": 0.0}})
    missed = kept(simple, broken(lived, at, math.nan))["g"]
    assert bool(missed >= kept(simple, lived)["g"])
