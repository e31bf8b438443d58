"""The schema: every fault in one line, with the nearest name, the type and the value."""

from __future__ import annotations

import re

import pytest

from agent.config import schema
from agent.config.build import blueprint
from agent.core.errors import InputError
from tests.tiny import REACH


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("sede=1", r"reach\.yaml: unknown key 'sede'; did you mean 'seed'\?"),
        ("run.tick=1", r"unknown key 'run\.tick'; did you mean 'ticks'\?"),
        ("gate.fall_back=[0.0]", r"unknown key 'gate\.fall_back'; did you mean 'fallback'\?"),
        ("zzz=1", r"unknown key 'zzz'; known: actor, "),
        ("seed=-1", r"'seed': .*greater than or equal to 0, came -1 \(int\)"),
        ("seed='3'", r"'seed': .*valid integer, came '3' \(str\)"),
        ("seed=1.5", r"'seed': .*, came 1\.5 \(float\)"),
        ("seed=true", r"'seed': .*, came True \(bool\)"),
        ("name=''", r"'name': .*at least 1 character"),
        ("checkpoint=null", r"'checkpoint': .*valid string, came None"),
        ("terms=3", r"'terms': .*valid array, came 3"),
        ("run.seeds=[]", r"'run\.seeds': .*at least 1 item"),
        ("gate.deadline_ms=-5", r"'gate\.deadline_ms': .*greater than or equal to 0"),
        ("gate={}", r"'gate\.fallback' is missing; add it"),
        ("eval.batch=0", r"'eval\.batch': .*greater than or equal to 1"),
        ("train={a: &a [*a]}", r"not valid YAML: found unconstructable recursive node"),
        ("train={2020-01-01: 5}", r"keys must be str.*; use plain keys"),
    ],
)
def test_a_fault_is_one_line_that_says_what_to_do(change: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        schema.load(REACH, [change])
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("actor.sample=9", r"^actor: unknown key 'sample'; did you mean 'samples'\?"),
        ("actor.policy.widht=9", r"^actor: unknown key 'policy\.widht'; did you mean 'width'\?"),
        ("terms.1.weigth=9", r"^terms\.1: unknown key 'weigth'; did you mean 'weight'\?"),
        ("guardrails.0.limit='low'", r"^guardrails\.0: 'limit': .*valid number, came 'low'"),
        (
            "guardrails.0={use: at_least}",
            r"^guardrails\.0: 'name' is missing; add it \(and 2 more\)",
        ),
        ("actor={samples: 9}", r"^actor: 'use' is missing"),
        ("actor.use=cemm", r"^actor\.use: unknown actor 'cemm'; did you mean 'cem'\?"),
        ("actor.use=3", r"^actor\.use: expected the name of a part, came 3"),
        ("world.use=raech", r"^world\.use: unknown world 'raech'; did you mean 'reach'\?"),
        ("terms.0.use=dist", r"^term\.use: unknown term 'dist'; did you mean 'distance'\?"),
        ("world_model.members=0", r"^world_model: 'members': .*greater than or equal to 1"),
        ("actor.samples='64'", r"^actor: 'samples': .*valid integer, came '64'"),
    ],
)
def test_a_part_checks_its_own_settings(change: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        blueprint(schema.load(REACH, [change]))
    assert "\n" not in str(caught.value)


def test_the_hash_depends_on_content_alone() -> None:
    one = blueprint(schema.load(REACH)).resolved()
    other = dict(reversed(one.items()))
    assert schema.config_hash(one) == schema.config_hash(other)
    assert re.fullmatch("[0-9a-f]{64}", schema.config_hash(one))
    changed = blueprint(schema.load(REACH, ["terms.1.weight=0.03"])).resolved()
    assert schema.config_hash(one) != schema.config_hash(changed)


def test_a_config_cannot_change_later() -> None:
    config = schema.load(REACH)
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3


def test_a_resolved_config_resolves_to_itself(folder: object) -> None:
    import yaml

    resolved = blueprint(schema.load(REACH)).resolved()
    again = schema.validate(schema.AgentConfig, yaml.safe_load(yaml.safe_dump(resolved)), "again")
    assert blueprint(again).resolved() == resolved
