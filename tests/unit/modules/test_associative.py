"""Associative memory in an agent's place: what it recollects, of this episode and of earlier ones."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agent.core.errors import InputError
from agent.core.messages import Action, Appraisal, Forecast, Observation, Percept
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.memory.associative import AssociativeMemory
from modules.memory.journal import Journal, layout
from tests.tiny import environment

SENSORS = Layout((Channel("place", 2, "m"), Channel("thing", 2, "m")))
BODY = Layout((Channel("push", 1, "N", (-1.0,), (1.0,)),))
SITE = Site(SENSORS, BODY, 10.0, 3, Layout(()), world="moor", percepts="ab12")


class Inbox(dict[type, Any]):
    """This tick's messages, and the last tick's."""

    past: dict[type, Any] = {}

    def last(self, kind: type) -> Any:
        return self.past.get(kind)


class Life:
    """A memory fed by hand: latents as given, energy 10 x the first coordinate."""

    def __init__(self, memory: AssociativeMemory, batch: int = 1) -> None:
        self.memory, self.inbox, self.batch, self.tick = memory, Inbox(), batch, 0
        memory.reset(batch)

    def see(self, x: float, valid: tuple[bool, bool] = (True, True), dt: float = 0.1) -> Any:
        b, self.tick = self.batch, self.tick + 1
        latent = torch.tensor([[x, 0.0, 0.0]]).expand(b, -1).clone()
        now = {
            Observation: Observation(
                torch.zeros(b, 4),
                torch.tensor([valid] * b),
                torch.full((b,), dt * self.tick),
                torch.full((b,), self.tick == 1),
            ),
            Percept: Percept(latent, torch.zeros(b), torch.zeros(b)),
        }
        found = Inbox(now)
        found.past = dict(self.inbox)
        said = self.memory.tick(found)
        zero = torch.zeros(b)
        later = {
            Appraisal: Appraisal(torch.zeros(b, 0), zero + 10 * x, zero, zero + x),
            Action: Action(torch.full((b, 1), x)),
            Forecast: Forecast(latent + 1.0, zero + 0.5, zero),
        }
        self.inbox = Inbox(now | later)
        return said


def memory(site: Site = SITE, **settings: Any) -> AssociativeMemory:
    settings = {"refractory": 0, "neighbours": 2} | settings
    return AssociativeMemory(AssociativeMemory.Config(**settings), site)


def test_it_recollects_the_nearest_and_settles_in_one_of_them() -> None:
    life = Life(memory(beta=50.0))
    for x in (0.0, 1.0, 2.0, 5.0):
        life.see(x)
    said = life.see(1.2)
    assert said.latents[0, :, 0].tolist() == [1.0, 2.0]
    assert said.energies[0].tolist() == [10.0, 20.0]
    assert said.distances[0].tolist() == pytest.approx([0.2, 0.8])
    assert said.retrieved[0].tolist() == pytest.approx([1.0, 0.0, 0.0], abs=1e-4)
    familiar, strange = life.see(2.0).mismatch, life.see(30.0).mismatch
    assert float(familiar) < 0.1 < 10.0 < float(strange)


def test_what_it_calls_to_mind_before_anything_happened_is_the_present() -> None:
    said = Life(memory()).see(3.0)
    assert not said.known.any()
    assert said.retrieved[0, 0] == 3.0
    assert said.mismatch.tolist() == [0.0]
    assert said.unseen.tolist() == [[0, 0]]


def test_it_knows_when_it_last_saw_what_a_sensor_does_not_show() -> None:
    life = Life(memory(capacity=6))
    assert life.see(0.0, (True, False)).unseen.tolist() == [[0, -1]]
    life.see(1.0)
    for age in range(1, 7):
        said = life.see(1.0 + age, (True, False))
        assert said.unseen.tolist() == [[0, age]]
        assert said.seen[0, 1, 0] == 1.0
        assert said.seen[0, 0, 0] == 1.0 + age
    said = life.see(9.0, (True, False))
    assert said.unseen.tolist() == [[0, -1]], "six ticks of memory forget on the seventh"
    assert life.see(10.0).unseen.tolist() == [[0, 0]]


def test_it_keeps_what_was_predicted_beside_what_came() -> None:
    life = Life(memory(), batch=2)
    for x in (0.0, 1.0, 2.0):
        life.see(x)
    latents, energies, commands = life.memory.sequences()
    forecasts, spread, anticipated = life.memory.predictions()
    torch.testing.assert_close(forecasts, latents + 1.0)
    assert latents[1, :, 0].tolist() == [0.0, 1.0]
    assert energies[1].tolist() == [0.0, 10.0]
    assert anticipated[1].tolist() == commands[1, :, 0].tolist() == [0.0, 1.0]
    assert spread.unique().tolist() == [0.5]


def lived(path: Path, *places: float, site: Site = SITE, **settings: Any) -> Life:
    life = Life(memory(site, path=str(path), **settings))
    for x in places:
        life.see(x)
    return life


def test_a_life_is_remembered_in_the_next_run(folder: Path) -> None:
    life = lived(folder / "m", 0.0, 1.0, 2.0, 3.0)
    assert not Life(memory()).see(1.0).known.any()
    del life
    said = Life(memory(path=str(folder / "m"))).see(1.1)
    assert said.latents[0, :, 0].tolist() == [1.0, 2.0]
    assert said.energies[0].tolist() == [10.0, 20.0]
    assert said.unseen.tolist() == [[0, 0]], (
        "where things were in another episode is no news of this one"
    )


def test_earlier_episodes_are_remembered_and_this_one_with_them(folder: Path) -> None:
    life = lived(folder / "m", 0.0, 1.0, 2.0, exact=2, probes=9)
    life = Life(life.memory)
    life.see(1.5)
    said = life.see(1.6)
    assert said.latents[0, :, 0].tolist() == [1.5, 1.0]
    assert sorted(journal(folder / "m").open()["episode"].tolist()) == [1, 1, 2]


def test_the_trial_ticks_of_wiring_are_not_kept(folder: Path) -> None:
    life = Life(memory(path=str(folder / "m")))
    for _ in range(3):
        life.see(0.0, dt=0.0)
    assert len(journal(folder / "m").open()) == 0


def test_where_weights_are_not_known_nothing_is_kept(folder: Path) -> None:
    lived(folder / "m", 0.0, 1.0, 2.0, site=replace(SITE, percepts=""))
    assert not (folder / "m").exists()


def journal(path: Path, site: Site = SITE) -> Journal:
    return Journal(path, site)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"world": "heath"}, "the world, expected heath, came moor"),
        ({"latent": 4}, "the latent's size, expected 4, came 3"),
        ({"percepts": "cd34"}, "the weights of perception.*expected cd34, came ab12"),
        ({"rate_hz": 20.0}, "sensors and actuators"),
        ({"actuators": Layout(())}, "sensors and actuators"),
    ],
)
def test_anothers_file_is_refused_before_the_first_tick(
    folder: Path, other: dict[str, Any], named: str
) -> None:
    lived(folder / "m", 0.0, 1.0)
    with pytest.raises(InputError, match=f"{named}.*memory.path") as refused:
        memory(replace(SITE, **other), path=str(folder / "m"))
    assert "\n" not in str(refused.value)


def test_a_file_of_another_version_and_no_memory_at_all_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modules.memory.journal.VERSION", 2)
    lived(folder / "m", 0.0, 1.0)
    monkeypatch.undo()
    with pytest.raises(InputError, match="the file format, expected 1, came 2"):
        journal(folder / "m")
    raw = (folder / "m").read_bytes()
    for damaged in (b"hello", raw[:9], raw[:40] + b"?" + raw[41:]):
        (folder / "m").write_bytes(damaged)
        with pytest.raises(InputError, match="to be a memory file"):
            journal(folder / "m")
    with pytest.raises(InputError, match="expected to write"):
        lived(folder / "m" / "below", 0.0)


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_a_torn_end_is_cut_off_and_said(folder: Path, cut: int) -> None:
    path, size = folder / "m", layout(SITE).itemsize
    lived(path, 0.0, 1.0, 2.0, 3.0)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut] if cut > 0 else whole + b"\0" * size)
    kept = 2 if cut > 0 else 3
    with pytest.warns(UserWarning, match=f"was torn: .* {kept} records are left"):
        records = journal(path).open()
    assert records["latent"][:, 0].tolist() == [0.0, 1.0, 2.0][:kept]
    assert path.read_bytes() == whole[: len(whole) - (3 - kept) * size]
    lived(path, 7.0, 8.0)
    assert journal(path).open()["latent"][-1, 0] == 7.0


def test_damage_in_between_costs_what_is_damaged(folder: Path) -> None:
    path, size = folder / "m", layout(SITE).itemsize
    lived(path, 0.0, 1.0, 2.0, 3.0)
    raw = bytearray(path.read_bytes())
    raw[-size - 30] ^= 1
    path.write_bytes(raw)
    with pytest.warns(UserWarning, match="1 of 3 records .* are damaged and left out"):
        records = journal(path).open()
    assert records["tick"].tolist() == [0, 2]


def test_a_disk_that_is_full_is_said_once_and_life_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = lived(folder / "m", 0.0, 1.0)
    before = (folder / "m").read_bytes()
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, raw: real(file, raw[:10]))
    with pytest.warns(UserWarning, match="cannot be written .No space left"):
        life.see(2.0)
    life.see(3.0)
    monkeypatch.undo()
    assert (folder / "m").read_bytes() == before
    assert life.memory.sequences()[0].shape[1] == 3


KILLED = """
import sys
from pathlib import Path
from tests.unit.modules.test_associative import lived
life = lived(Path(sys.argv[1]))
for x in range(10**9):
    life.see(float(x))
    print(x, flush=True)
"""


def test_a_killed_process_loses_at_most_the_last_tick(folder: Path) -> None:
    path, kept = folder / "m", 0
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, env=environment()
        )
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(InputError, match="in use by another process"):
            lived(path)
        time.sleep(0.1)
        child.kill()
        last = int(child.communicate()[0].split()[-1])
        records = journal(path).open()[kept:]
        assert last > 3
        np.testing.assert_array_equal(records["tick"], np.arange(len(records)))
        np.testing.assert_array_equal(records["latent"][:, 0], records["tick"])
        assert last <= len(records) <= last + 1
        kept += len(records)
