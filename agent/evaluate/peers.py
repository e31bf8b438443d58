"""Planners of other libraries on our problem, where they are installed (the extra `bench`).

Each is given the same network, samples, iterations and elites, and its own defaults otherwise.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from agent.evaluate.planning import ACTIONS, HORIZON, LATENT, Contestant, Problem

LIBRARIES = ("stable_worldmodel", "pytorch_mppi", "torchrl")


def installed() -> Iterator[str]:
    """Return which of `LIBRARIES` are here."""
    return (name for name in LIBRARIES if importlib.util.find_spec(name) is not None)


def peers(problem: Problem, samples: int, iterations: int, elites: int) -> Iterator[Contestant]:
    """Return the planners of what is installed."""
    known: dict[str, Callable[..., Iterator[Contestant]]] = {
        "stable_worldmodel": _stable_worldmodel,
        "pytorch_mppi": _pytorch_mppi,
        "torchrl": _torchrl,
    }
    for name in installed():
        yield from known[name](problem, samples, iterations, elites)


def _stable_worldmodel(
    problem: Problem, samples: int, iterations: int, elites: int
) -> Iterator[Contestant]:
    """Its cross-entropy method, MPPI and gradient descent."""
    _without_its_data_part()
    from gymnasium.spaces import Box
    from stable_worldmodel.solver.cem import CEMSolver
    from stable_worldmodel.solver.mppi import MPPISolver

    class Costs:
        """What its solvers ask of a world model."""

        def get_cost(self, info: Any, candidates: Tensor) -> Tensor:
            return problem.total(candidates.flatten(0, 1)).view(candidates.shape[:2])

    settings = types.SimpleNamespace(horizon=HORIZON, action_block=1)
    space = Box(-1.0, 1.0, (1, ACTIONS))
    for name, kind in (("cem", CEMSolver), ("mppi", MPPISolver)):
        solver = kind(Costs(), num_samples=samples, n_steps=iterations, topk=elites)
        solver.configure(action_space=space, n_envs=1, config=settings)

        def plan(solver: Any = solver) -> Tensor:
            found: Tensor = solver.solve({"state": problem.state})["actions"][0]
            return found

        yield Contestant(f"stable-worldmodel {name}", plan)


def _without_its_data_part() -> None:
    """Let the solvers be imported where the library's data and video parts cannot be."""
    try:
        import stable_worldmodel  # noqa: F401
    except (ImportError, RuntimeError, OSError):
        for name in [n for n in sys.modules if n.startswith("stable_worldmodel")]:
            del sys.modules[name]
        spec = importlib.util.find_spec("stable_worldmodel")
        assert spec is not None
        alone = types.ModuleType("stable_worldmodel")
        alone.__path__ = list(spec.submodule_search_locations or ())
        sys.modules["stable_worldmodel"] = alone


def _pytorch_mppi(
    problem: Problem, samples: int, iterations: int, elites: int
) -> Iterator[Contestant]:
    """Its MPPI; a plan is as many of its commands as there are iterations, unshifted."""
    from pytorch_mppi import MPPI

    def plan() -> Tensor:
        planner = MPPI(
            problem.step, lambda state, _: problem.energy(state), LATENT,
            torch.eye(ACTIONS) * 0.36, num_samples=samples, horizon=HORIZON, lambda_=0.05,
            u_min=torch.full((ACTIONS,), -1.0), u_max=torch.full((ACTIONS,), 1.0),
        )  # fmt: skip
        for _ in range(iterations):
            planner.command(problem.state[0], shift_nominal_trajectory=False)
        found: Tensor = planner.U
        return found

    yield Contestant("pytorch-mppi mppi", plan)


def _torchrl(problem: Problem, samples: int, iterations: int, elites: int) -> Iterator[Contestant]:
    """Its cross-entropy method; it returns the first action only."""
    from tensordict import TensorDict
    from tensordict.nn import TensorDictModule
    from torchrl.data import Bounded, Composite, Unbounded
    from torchrl.envs.model_based import ModelBasedEnvBase
    from torchrl.modules import CEMPlanner, WorldModelWrapper

    class Imagined(ModelBasedEnvBase):  # type: ignore[misc]
        """The problem as its environments are."""

        def __init__(self, model: Any) -> None:
            super().__init__(model, batch_size=[])
            self.observation_spec = Composite(hidden=Unbounded((LATENT,)))
            self.state_spec = Composite(hidden=Unbounded((LATENT,)))
            self.action_spec = Bounded(-1.0, 1.0, (ACTIONS,))
            self.reward_spec = Unbounded((1,))

        def _reset(self, tensordict: Any) -> Any:
            return TensorDict({"hidden": problem.state[0]}, batch_size=[])

    def rewards(state: Tensor) -> Tensor:
        return -problem.energy(state).unsqueeze(-1)

    def steps(state: Tensor, action: Tensor) -> Tensor:
        rows = problem.step(state.reshape(-1, LATENT), action.reshape(-1, ACTIONS))
        return rows.view(state.shape)

    world = Imagined(
        WorldModelWrapper(
            TensorDictModule(steps, in_keys=["hidden", "action"], out_keys=["hidden"]),
            TensorDictModule(rewards, in_keys=["hidden"], out_keys=["reward"]),
        )
    )
    planner = CEMPlanner(world, HORIZON, iterations, samples, elites)
    start = world.reset()

    def plan() -> Tensor:
        with torch.no_grad():
            found: Tensor = planner(start.clone())["action"]
        return found.expand(1, -1)

    yield Contestant("torchrl cem", plan)
