"""Batched stepping: bit-equal to a loop, nothing overwritten, models of other sizes refused."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np
import pytest
import torch

from agent.core.errors import InputError, PhysicsError
from worlds.simulation import FULL, Simulation

SUBSTEPS, BATCH = 3, 37
ARM = """<mujoco><worldbody><body><joint name="hinge" axis="0 1 0"/><geom size="0.1"/>{more}</body>
</worldbody><actuator><motor joint="hinge"/></actuator>
<sensor><jointpos joint="hinge"/><jointvel joint="hinge"/></sensor></mujoco>"""


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    made = Simulation(mujoco.MjModel.from_xml_string(ARM.format(more="")), BATCH, SUBSTEPS)
    made.place(np.linspace(-1, 1, BATCH)[:, None])
    yield made
    made.close()


def test_it_is_bit_equal_to_a_loop_of_single_steps(simulation: Simulation) -> None:
    model, data = simulation.model, mujoco.MjData(simulation.model)
    command = np.linspace(-2, 2, BATCH)[:, None]
    before = simulation.state.copy()
    simulation.step(command)
    for row in range(BATCH):
        mujoco.mj_setState(model, data, before[row], FULL)
        data.ctrl[:] = command[row]
        for tick in range(SUBSTEPS):
            mujoco.mj_step(model, data)
            np.testing.assert_array_equal(simulation.trace[row, tick], data.sensordata)
        after = np.empty(before.shape[1])
        mujoco.mj_getState(model, data, after, FULL)
        np.testing.assert_array_equal(simulation.state[row], after)


def test_a_reset_at_the_first_step_of_an_episode_does_not_pass_for_a_tick() -> None:
    stiff = ARM.format(more="").replace("axis=", 'stiffness="1e15" axis=')
    made = Simulation(mujoco.MjModel.from_xml_string(stiff), 2, substeps=1)
    made.place(np.array([[0.0], [0.5]]))
    seen = made.observed(torch.zeros(2, 1), torch.ones(2, 1, dtype=torch.bool), first=True)
    assert seen.time_s.tolist() == [0.0, 0.0], "agents do not see MuJoCo's clock"
    with pytest.raises(PhysicsError, match=r"unstable in rows \[1\]"):
        made.step(np.zeros((2, 1)))
    made.close()


def test_what_a_tick_left_is_not_overwritten_by_the_next(simulation: Simulation) -> None:
    simulation.step(np.ones((BATCH, 1)))
    state, trace = simulation.state, simulation.trace
    kept = state.copy(), trace.copy()
    simulation.step(np.zeros((BATCH, 1)))
    np.testing.assert_array_equal(state, kept[0])
    np.testing.assert_array_equal(trace, kept[1])


def test_commands_of_single_precision_are_taken_as_they_are(simulation: Simulation) -> None:
    start, command = simulation.state.copy(), np.full((BATCH, 1), 0.1, np.float32)
    simulation.step(command)
    single = simulation.state
    simulation.restore(start)
    simulation.step(command.astype(np.float64))
    np.testing.assert_array_equal(single, simulation.state)


def test_a_row_may_have_a_law_of_its_own_at_any_time(simulation: Simulation) -> None:
    start = simulation.state.copy()
    simulation.step(np.ones((BATCH, 1)))
    usual = simulation.state
    stiff = mujoco.MjModel.from_xml_string(ARM.format(more=""))
    stiff.dof_damping[:] = 5.0
    simulation.models[5] = stiff
    simulation.restore(start)
    simulation.step(np.ones((BATCH, 1)))
    differs = (simulation.state != usual).any(axis=1)
    assert np.flatnonzero(differs).tolist() == [5]


def test_a_model_of_other_sizes_is_refused_by_row(simulation: Simulation) -> None:
    simulation.step(np.ones((BATCH, 1)))
    more = '<body><joint name="second"/><geom size="0.1"/></body>'
    simulation.models[7] = mujoco.MjModel.from_xml_string(ARM.format(more=more))
    with pytest.raises(InputError, match="in row 7"):
        simulation.step(np.ones((BATCH, 1)))


@pytest.mark.parametrize("fault", [np.nan, np.inf, 1e12])
def test_unstable_rows_are_named_and_nothing_moves(simulation: Simulation, fault: float) -> None:
    simulation.state[[2, 30], 2] = fault
    before = simulation.state.copy()
    with pytest.raises(PhysicsError, match=r"rows \[2, 30\]"):
        simulation.step(np.ones((BATCH, 1)))
    np.testing.assert_array_equal(simulation.state, before)
