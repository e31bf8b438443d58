"""Sleep: who learns, what is undone, and what becomes of margins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.config import schema
from agent.config.build import Mind, blueprint
from agent.config.schema import SleepConfig
from agent.core.errors import InputError
from agent.core.replay import Replay
from agent.train.sleep import foresight, sleep
from modules.memory.replay import Ticks
from modules.world_model.jepa import JEPA
from tests.tiny import ROOT

SLEEPING = ROOT / "configs" / "reach-sleeping.yaml"
LESS = ["world_model.steps=60", "critic.steps=30", "actor.steps=5", "world_model.batch=32"]


def minded(tensors: dict[str, Tensor], *overrides: str) -> Mind:
    return blueprint(schema.load(SLEEPING, [*LESS, *overrides])).assemble(tensors)


def lived(mind: Mind, gain: float, ticks: int = 400) -> Replay:
    """Remember a life of random commands in a body that does `gain` of what it is told."""
    draw = torch.Generator().manual_seed(3)
    low, high = mind.site.actuators.bounds()
    state, rows = torch.zeros(1, mind.site.latent), []
    for _ in range(ticks):
        command = low + (high - low) * torch.rand(1, len(low), generator=draw)
        rows.append((state[0], command[0]))
        state = 0.9 * mind.world_model.forecast(state, gain * command).latent
    latents, commands = map(torch.stack, zip(*rows, strict=True))
    cost = commands.square().mean(dim=1)
    mind.memory.life = Ticks(latents, cost, torch.ones(ticks), commands, torch.arange(ticks))
    replay: Replay = mind.memory.replay(8)
    return replay


def test_asleep_the_world_model_learns_the_body_it_lived_in_and_margins_follow(
    tensors: dict[str, Tensor],
) -> None:
    mind = minded(tensors)
    held = lived(mind, gain=0.3).split()[1]
    before, sealed = foresight(mind.world_model, held), mind.guardrails.seal
    kept = {k: v.clone() for k, v in mind.tensors().items()}
    found = sleep(mind, SleepConfig())
    assert foresight(mind.world_model, held) < 0.8 * before
    assert found.figures["world_model.taken"] == found.figures["critic.taken"] == 1.0
    assert found.figures["memory.kept"] <= found.figures["memory.stored"] == 400.0
    assert mind.guardrails.verify()
    assert mind.guardrails.seal == sealed
    more = mind.guardrails.margins(12) - mind.guardrails.sealed_margins(12)
    assert float(more.min()) >= 0.0
    told = max(found.figures[f"widened.{n}"] for n in mind.guardrails.names)
    assert float(more.max()) == pytest.approx(told, abs=1e-6)
    changed = {k for k, v in mind.tensors().items() if not torch.equal(v, kept[k])}
    assert {k.partition(".")[0] for k in changed} == {"world_model", "critic"}
    size = mind.site.latent
    for name in ("world_model.first.weight",):
        assert torch.equal(mind.tensors()[name][:, :size], kept[name][:, :size])
    assert not any(p.requires_grad for p in mind.world_model.parameters())


def test_each_part_sleeps_alone(tensors: dict[str, Tensor]) -> None:
    none = {"world_model": False, "critic": False, "actor": False, "memory": False}
    prefixes = {"world_model": "world_model", "critic": "critic", "memory": None}
    for part, prefix in prefixes.items():
        mind = minded(tensors)
        lived(mind, gain=0.3)
        kept = {k: v.clone() for k, v in mind.tensors().items()}
        found = sleep(mind, SleepConfig(**(none | {part: True})))
        changed = {k for k, v in mind.tensors().items() if not torch.equal(v, kept[k])}
        assert {k.partition(".")[0] for k in changed} == ({prefix} if prefix else set())
        assert found.notes == []
        assert any(name.startswith(part) for name in found.figures)


def test_who_offers_nothing_sleeps_on_and_it_is_said(tensors: dict[str, Tensor]) -> None:
    plain = ["actor={use: cem, policy: {settle: 4, span: 0.6}}", "world_model={use: jepa}"]
    plans = blueprint(schema.load(ROOT / "configs" / "reach.yaml", ["memory={use: replay}"]))
    mind = plans.assemble(tensors)
    lived(mind, gain=0.3)
    notes = sleep(mind, SleepConfig()).notes
    assert notes == [
        "sleep: world_model: JEPA does not consolidate; use consolidating",
        "sleep: actor: CEM has no lessons to rehearse; use habit",
    ]
    forgetful = blueprint(schema.load(ROOT / "configs" / "reach.yaml", plain)).assemble(tensors)
    assert sleep(forgetful, SleepConfig()).notes == [
        "sleep: memory: EpisodicMemory replays nothing; use replay"
    ]


def worse(model: Any) -> None:
    with torch.no_grad():
        model.third.bias += 1.0


def broken(model: Any) -> None:
    with torch.no_grad():
        model.first.weight.fill_(torch.nan)


def fails(model: Any) -> None:
    worse(model)
    raise RuntimeError("no light")


@pytest.mark.parametrize("learn", [worse, broken, fails])
def test_what_foresees_held_out_replay_worse_is_undone(
    tensors: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch, learn: Callable[[Any], None]
) -> None:
    mind = minded(tensors)
    lived(mind, gain=1.0)
    monkeypatch.setattr(
        type(mind.world_model), "consolidate", lambda self, known, held, seed: learn(self)
    )
    kept = {k: v.clone() for k, v in mind.world_model.state_dict().items()}
    found = sleep(mind, SleepConfig(critic=False))
    assert all(torch.equal(v, kept[k]) for k, v in mind.world_model.state_dict().items())
    assert found.figures["world_model.taken"] == 0.0
    assert found.notes[0].startswith("sleep: world_model: undone (")


def test_with_a_broken_seal_nothing_is_learned(tensors: dict[str, Tensor]) -> None:
    mind = minded(tensors)
    lived(mind, gain=0.3)
    mind.guardrails.breach()
    found = sleep(mind, SleepConfig())
    assert found.figures == {}
    assert "seal is broken" in found.notes[0]


def test_too_little_to_judge_by_teaches_nothing(tensors: dict[str, Tensor]) -> None:
    mind = minded(tensors)
    lived(mind, gain=0.3, ticks=60)
    found = sleep(mind, SleepConfig(actor=False, memory=False))
    assert found.figures == {}
    assert "too little was lived" in found.notes[0]


def test_awake_it_is_a_jepa_bit_for_bit(tensors: dict[str, Tensor], mind: Mind) -> None:
    own = minded(tensors)
    assert type(mind.world_model) is JEPA
    state = torch.randn(3, mind.site.latent)
    moves = torch.rand(3, 5, 12, 2) - 0.5
    ours, theirs = (m.world_model.imagine(state, moves).latents for m in (own, mind))
    assert torch.equal(ours, theirs)


def test_sleep_is_one_section_and_leaves_no_trace_where_there_is_none() -> None:
    assert "sleep" not in blueprint(schema.load(ROOT / "configs" / "reach.yaml")).resolved()
    whole = blueprint(schema.load(SLEEPING)).resolved()
    assert whole["sleep"] == SleepConfig().model_dump()
    with pytest.raises(InputError, match=r"unknown key 'sleep\.hours'"):
        schema.load(SLEEPING, ["sleep.hours=8"])
    with pytest.raises(InputError, match=r"'sleep\.ticks'"):
        schema.load(SLEEPING, ["sleep.ticks=0"])
