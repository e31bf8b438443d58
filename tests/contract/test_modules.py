"""What each of the six modules promises, whatever its kind."""

from __future__ import annotations

import copy
import typing

import pytest
import torch
from torch import nn

from agent.config.resolve import MODULES, resolve
from agent.core.messages import Message
from agent.core.protocols import Module, Ports
from agent.core.settings import Settings
from agent.core.spec import Spec, compile_check, specs_of
from tests.contract.stand import cases, life, mind, same, stir, tensors

KINDS = set(typing.get_args(Message))
EVERY = pytest.mark.parametrize(("slot", "name"), cases(*MODULES))
SEEDS = [1_000_000, 1_000_001, 1_000_002]
TICKS = 14


@EVERY
def test_it_declares_what_it_reads_and_posts(slot: str, name: str) -> None:
    kind, module = resolve(slot, name), getattr(mind(slot, name), slot)
    assert isinstance(module, Module)
    assert issubclass(kind.Config, Settings)
    assert kind.__doc__
    assert kind.Config.__doc__
    assert set(kind.reads) <= KINDS
    assert set(kind.recalls) <= KINDS
    assert kind.posts in KINDS
    assert kind.posts not in kind.reads


@EVERY
def test_its_ports_name_axes_and_fields_that_exist(slot: str, name: str) -> None:
    ports = getattr(mind(slot, name), slot).ports()
    assert isinstance(ports, Ports)
    assert all(isinstance(size, int) and size >= 0 for size in ports.axes.values())
    for (kind, field), spec in ports.fields.items():
        assert field in specs_of(kind)
        assert isinstance(spec, Spec)


@EVERY
def test_what_it_posts_keeps_its_spec_and_what_it_reads_stays(slot: str, name: str) -> None:
    made = mind(slot, name)
    posted, changed = life(slot, SEEDS, TICKS, made)
    assert changed == []
    assert len(posted) >= TICKS
    kind = getattr(made, slot).posts
    check = compile_check(kind, specs_of(kind), {"B": len(SEEDS)}, slot)
    for message in posted:
        check(message)
        for field, value in tensors(message).items():
            assert bool(torch.isfinite(value).all()), field
            low = specs_of(kind)[field].low
            assert low is None or bool((value >= low).all()), field


@EVERY
def test_the_same_seed_gives_the_same_messages(slot: str, name: str) -> None:
    one, _ = life(slot, SEEDS, TICKS, mind(slot, name))
    other, _ = life(slot, SEEDS, TICKS, mind(slot, name))
    for a, b in zip(one, other, strict=True):
        assert all(same(v, tensors(b)[k]) for k, v in tensors(a).items())


@EVERY
def test_an_episode_leaves_no_trace_in_the_next(slot: str, name: str) -> None:
    made = mind(slot, name)
    world = made.blueprint.world(len(SEEDS))
    agent = made.agent(world)
    world.close()
    fresh, _ = life(slot, SEEDS, TICKS, made, agent)
    life(slot, [5, 6, 7], 3, made, agent)
    again, _ = life(slot, SEEDS, TICKS, made, agent)
    for a, b in zip(fresh, again, strict=True):
        assert all(same(v, tensors(b)[k]) for k, v in tensors(a).items())


@EVERY
def test_an_agent_does_not_depend_on_the_others_beside_it(slot: str, name: str) -> None:
    one, _ = life(slot, SEEDS, TICKS, mind(slot, name))
    other, _ = life(slot, [SEEDS[0], 41, 42], TICKS, mind(slot, name))
    for a, b in zip(one[-TICKS:], other[-TICKS:], strict=True):
        for field, value in tensors(a).items():
            assert same(value[0], tensors(b)[field][0]), field
    ends = tensors(one[-1])
    if slot in ("perception", "actor", "world_model"):
        assert any(not same(v[1], tensors(other[-1])[k][1]) for k, v in ends.items())


@EVERY
def test_its_weights_can_be_kept_and_put_back(slot: str, name: str) -> None:
    made = mind(slot, name)
    module = getattr(made, slot)
    if not isinstance(module, nn.Module):
        state = getattr(module, "state_dict", dict)()
        assert state == {}, "a part with weights must be a torch.nn.Module"
        return
    before, _ = life(slot, SEEDS, 3, made)
    kept = copy.deepcopy(module.state_dict())
    stir(module, torch.Generator().manual_seed(99))
    module.load_state_dict(kept)
    after, _ = life(slot, SEEDS, 3, made)
    for a, b in zip(before, after, strict=True):
        assert all(same(v, tensors(b)[k]) for k, v in tensors(a).items())
    assert all(bool(torch.isfinite(v).all()) for v in kept.values())
