"""Whether a model foresees what may happen, where more than one thing may.

At a fork that nothing gives away, one prediction can only be wrong or in between; samples of a
latent variable can be right. Source: LeCun (2022) sec. 4.4 and 4.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from agent.config.build import Blueprint, Tensors, blueprint
from agent.config.schema import AgentConfig
from agent.core.messages import Action
from agent.evaluate.episodes import trials_of


@dataclass(frozen=True, slots=True)
class Forks:
    """n episodes at a fork: sensors before it [n O], commands [n H A] and what came [n H O]."""

    before: Tensor
    commands: Tensor
    came: Tensor


@dataclass(frozen=True, slots=True)
class Fans:
    """Imagined and true paths [F n H 2] and [n H 2] of what turns, in metres from the fork."""

    imagined: Tensor
    true: Tensor


def variant(config: AgentConfig, **changes: Any) -> Blueprint:
    """Return the blueprint of `config` with its latent variable changed, or left out (use=None)."""
    model = dict(config.world_model)
    latent = {**(model.pop("latent_variable", None) or {}), **changes}
    if latent.get("use") is not None:
        model["latent_variable"] = latent
    return blueprint(config.model_copy(update={"world_model": model}))


def approach(world: Any, seeds: Sequence[int], horizon: int) -> Forks:
    """Live episodes under the middle of every actuator's range, and cut them at their forks."""
    low, high = world.actuators.bounds()
    command = ((low + high) / 2).expand(len(seeds), -1).contiguous()
    values = [world.reset(seeds).values]
    ticks = round(10 * world.rate_hz)
    values += [world.step(Action(command)).values for _ in range(ticks)]
    lived = torch.stack(values, dim=1)
    at = trials_of(world).before_fork(lived)
    rows = torch.arange(len(seeds))
    came = lived[rows[:, None], at[:, None] + 1 + torch.arange(horizon)]
    return Forks(lived[rows, at], command[:, None].expand(-1, horizon, -1), came)


@torch.no_grad()
def fan(found: Blueprint, tensors: Tensors, forks: Forks) -> Fans:
    """Return the futures that a model imagines before the fork, beside what came."""
    mind = found.assemble(tensors)
    start = mind.perception.encode(forks.before)
    latents = mind.world_model.imagine(start, forks.commands[:, None]).latents[:, :, 0]
    road = trials_of(found.singles["world"].kind).road
    return Fans(road(mind.readouts.unpacked(latents)), road(forks.came))


def coverage(fans: Fans, tolerance_m: float) -> dict[str, Tensor]:
    """Return what of each fork's futures [n] was imagined, at the last tick.

    `covered`: the nearest future ends within `tolerance_m` of what came, `error_m` from it. The
    road not taken mirrors the one taken: `left`, `right` and `average` are the shares of futures
    nearest to either branch or to the middle between them; `both`: each branch has a tenth or more.
    """
    end, true = fans.imagined[:, :, -1], fans.true[:, -1]
    error = (end - true).norm(dim=-1).amin(dim=0)
    side = end[..., 1] / true[:, 1].abs()
    left, right = (side > 0.5).float().mean(dim=0), (side < -0.5).float().mean(dim=0)
    return {
        "covered": (error <= tolerance_m).float(),
        "error_m": error,
        "left": left,
        "right": right,
        "average": 1.0 - left - right,
        "both": ((left >= 0.1) & (right >= 0.1)).float(),
        "separation_m": 2 * true[:, 1].abs(),
    }
