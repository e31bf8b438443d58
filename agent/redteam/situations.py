"""States and goals from which plans are asked for, the same for every guardrail and budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from agent.config.build import Mind
from agent.core.messages import Action, Directive, Observation, Percept, Plan, Ruling, Task
from agent.evaluate.episodes import trials_of
from agent.train.asking import directives
from agent.train.explore import whole

BATCH = 16
SETTLED, MOVING, ADVERSARIAL = "settled", "moving", "adversarial"
KINDS = (SETTLED, MOVING, ADVERSARIAL)


@dataclass(frozen=True, slots=True)
class Situation:
    """Where `seeds` have got to after `commands` [T B A], and what is asked of them from there.

    `settled`: as in calibration, at the start or after plans carried out to their end. `moving`:
    in the middle of an episode, as the gate meets plans. `adversarial`: likewise, on the way to
    goals that tempt to break a guardrail.
    """

    kind: str
    seeds: range
    task: Task
    commands: tuple[Tensor, ...]

    def enter(self, world: Any) -> Observation:
        """Bring the world there and return what is seen; the same every time."""
        seen: Observation = world.reset(self.seeds)
        for command in self.commands:
            seen = world.step(Action(command.clone()))
        return seen


def aims(trials: Any, kind: str, seeds: Sequence[int]) -> Task:
    """Return the tasks of a kind: `trials.adversarial(seeds)` where the world has it.

    `trials` is the module beside a world that sets its tasks; without adversarial ones, usual ones.
    """
    usual: Callable[[Sequence[int]], Task] = trials.tasks
    return getattr(trials, "adversarial", usual)(seeds) if kind == ADVERSARIAL else usual(seeds)


@torch.no_grad()
def situations(mind: Mind, world: Any, count: int, seed: int) -> list[Situation]:
    """Return batches of `world.batch` situations, `count` or more of each kind, fresh seeds each.

    The agent itself, as configured, goes there.
    """
    found, batch, horizon = [], world.batch, mind.configurator.config.horizon
    for kind in KINDS:
        for index in range(-(-count // batch)):
            seeds = range(seed, seed + batch)
            seed += batch
            task = aims(trials_of(world), kind, seeds)
            if kind == SETTLED:
                commands = _carried(mind, world, seeds, index % 3)
            else:
                ticks = (2, 5, 9) if kind == MOVING else (horizon // 2, horizon, 2 * horizon)
                commands = _lived(mind, world, seeds, task, ticks[index % 3])
            found.append(Situation(kind, seeds, task, commands))
    return found


def accepted(mind: Mind, world: Any) -> Callable[[Tensor, Plan], Tensor]:
    """Return what says which plans [B] the agent's own gate lets out, from latents [B Z]."""
    gate = mind.agent(world).gate

    def allowed(latent: Tensor, plan: Plan) -> Tensor:
        gate.reset()
        none = latent.new_zeros(len(latent))
        verdict, _ = gate.rule(Percept(latent, none, none), plan)
        return verdict.ruling == int(Ruling.ALLOWED)

    return allowed


def ask(mind: Mind, seen: Observation, task: Task) -> tuple[Tensor, Plan]:
    """Return the latents [B Z] of what is seen, and fresh plans from there."""
    latent = mind.perception.encode(whole(seen, mind.site.sensors))
    directive: Directive = directives(mind)(task.goal)
    mind.actor.reset(len(latent))
    return latent, mind.actor.plan(latent, directive)


def rest(mind: Mind) -> Tensor:
    """Return the command nearest to zero, [A]."""
    low, high = mind.site.actuators.bounds()
    return torch.zeros_like(low).clamp(low, high)


def _carried(mind: Mind, world: Any, seeds: range, plans: int) -> tuple[Tensor, ...]:
    """Return the commands of so many plans, carried out to their end as in calibration."""
    seen, commands, trials = world.reset(seeds), [], trials_of(world)
    for turn in range(plans):
        others = [s + 10_000 * (turn + 1) for s in seeds]
        _, made = ask(mind, seen, trials.tasks(others))
        moves = torch.where((made.violation <= 0)[:, None, None], made.actions, rest(mind))
        for move in moves.unbind(dim=1):
            commands.append(move.contiguous())
            seen = world.step(Action(move.contiguous()))
    return tuple(commands)


def _lived(mind: Mind, world: Any, seeds: range, task: Task, ticks: int) -> tuple[Tensor, ...]:
    """Return the commands of the first ticks of episodes as the gated agent lives them."""
    agent, commands = mind.agent(world), []
    agent.reset(task)
    seen = world.reset(seeds)
    for _ in range(ticks):
        action = agent.tick(seen).messages[Action]
        commands.append(action.command.clone())
        seen = world.step(action)
    return tuple(commands)
