"""Plans of every planner for random bodies, goals, settings and faulty energies, counted.

`python -m tests.contract.fuzz 100000` makes that many plans and prints what was wrong with them.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from agent.config.resolve import parts, resolve
from agent.core.messages import Bill, Directive, Mode, Plan, Rollout
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.actor.planner import Planner

BAD = (torch.nan, torch.inf, -torch.inf)


def planners() -> list[str]:
    """Return the names of all planners."""
    return [n for n in sorted(parts("actor")) if issubclass(resolve("actor", n), Planner)]


class Rough:
    """A bumpy energy over a point that slides; the share `bad` of the candidates has none.

    Which ones is a function of the candidate alone. Where the first coordinate is beyond `wall`, a
    guardrail is violated.
    """

    def __init__(self, bad: float, kind: float, wall: float) -> None:
        self.bad, self.kind, self.wall = bad, kind, wall

    def __call__(
        self, state: Tensor, actions: Tensor, directive: Directive
    ) -> tuple[Rollout, Bill]:
        places = state[:, None, None] + actions.cumsum(dim=2)
        gap = places - directive.goal[:, None, None]
        away = gap.square().mean(dim=-1) + 0.3 * (3.0 * places).sin().sum(dim=-1)
        bits = actions.detach().contiguous().view(torch.int32).long().sum(dim=(2, 3))
        chance = (bits * 2654435761).remainder(2**32) / 2**32
        energy = away.mean(dim=-1).masked_fill(chance < self.bad, self.kind)
        rail = places[..., 0] - self.wall
        bill = Bill(
            energy,
            away[:, :, None] / actions.shape[2],
            rail[:, :, None],
            rail.clamp(min=0.0).sum(dim=-1),
        )
        return Rollout(state, actions, places[None], {}), bill


def fuzz(n: int, seed: int = 0, names: list[str] | None = None) -> Counter[str]:
    """Make at least `n` plans, over all planners in turn, and count what came of them.

    Counted are `plans`, those `out of bounds` and `not finite` (actions of plan, temptation or
    rival, or an energy without a reason), `refused` with a reason, and `ranked wrongly`: worse
    under the model than resting.
    """
    draw = torch.Generator().manual_seed(seed)
    count: Counter[str] = Counter()
    names = names or planners()
    turn = 0
    while count["plans"] < n:
        name = names[turn % len(names)]
        count.update(_once(name, seed * 1_000_003 + turn, draw))
        turn += 1
    return count


def _once(name: str, seed: int, draw: torch.Generator) -> Counter[str]:
    """Plan for two ticks with one random planner of that name."""

    def whole(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (1,), generator=draw))

    def real(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=draw)

    size, horizon, batch = whole(1, 3), whole(1, 7), whole(1, 5)
    low = real(-4.0, 1.0, size)
    high = low + 10 ** real(-3.0, 1.0, size)
    body = Layout((Channel("push", size, "m/s", tuple(low.tolist()), tuple(high.tolist())),))
    place = Layout((Channel("place", size, "m"),))
    share = [0.0, 0.3, 0.9, 1.0][whole(0, 3)]
    objective: Any = Rough(share, BAD[whole(0, 2)], float(real(-3.0, 3.0, 1)))
    site = Site(place, body, 20.0, size, place, ("away",), ("wall",), objective, seed)
    settings = {
        "samples": whole(2, 16),
        "iterations": whole(1, 3),
        "elites": whole(1, 2),
        "restarts": whole(1, 8),
        "best": whole(1, 3),
        "steps": whole(1, 3),
        "chunk": whole(1, 4),
        "tolerance": [0.0, 0.0, 0.2][whole(0, 2)],
    }
    made = small(name, site, float(real(0.1, 1.0, 1)), settings)
    modes = torch.randint(1, 3, (batch,), generator=draw)
    goal = real(-20.0, 20.0, batch, size)
    one = torch.ones(batch, 1)
    budget = [float("inf"), float("inf"), 50.0][whole(0, 2)]
    asked = Directive(goal, one, one, modes, horizon, budget)
    state = real(-2.0, 2.0, batch, size)
    count: Counter[str] = Counter()
    for _ in range(2):
        count.update(judged(made.plan(state, asked), body, made, objective, state, asked))
        asked = replace(asked, mode=torch.full_like(modes, int(Mode.DELIBERATE)))
    return count


def small(name: str, site: Site, span: float, settings: dict[str, Any]) -> Planner:
    """Return a planner with those of the settings that it has, and a policy that goes to extremes.

    Commands stay within `span` of the body's range.
    """
    kind = resolve("actor", name)
    wanted = settings | {"policy": {"width": 8, "horizon": 4, "span": span}}
    known = kind.Config.model_fields
    torch.manual_seed(site.seed % 1000)
    made: Planner = kind(kind.Config(**{k: v for k, v in wanted.items() if k in known}), site)
    torch.nn.init.normal_(made.policy.net[-1].weight, std=3.0)
    return made


def judged(
    plan: Plan, body: Layout, made: Planner, objective: Any, state: Tensor, asked: Directive
) -> Counter[str]:
    """Return what is wrong with a plan, agent by agent."""
    low, high = body.bounds()
    assert plan.rival is not None
    assert plan.fan is not None
    moves = torch.stack((plan.actions, plan.temptation, plan.rival.actions), dim=1)
    moves = torch.cat((moves, plan.fan.actions), dim=1)
    within = ((moves >= low) & (moves <= high)).flatten(1).all(dim=1)
    refused = torch.tensor([bool(r) for r in plan.reasons] or [False] * len(moves))
    finite = moves.isfinite().flatten(1).all(dim=1) & (refused | plan.energy.isfinite())
    rest = made.policy.rest.expand(len(state), 1, plan.actions.shape[1], -1)
    _, bill = objective(state, rest, asked)
    still, broken = bill.energy[:, 0], bill.violation[:, 0]
    beaten = (plan.violation > broken) | (
        (plan.violation == broken) & (plan.energy > still + 1e-4 * still.abs() + 1e-5)
    )
    wrong = beaten & still.isfinite() & ~refused & (asked.mode == int(Mode.DELIBERATE))
    return Counter(
        {
            "plans": len(moves),
            "out of bounds": int((~within).sum()),
            "not finite": int((~finite).sum()),
            "refused": int(refused.sum()),
            "ranked wrongly": int(wrong.sum()),
        }
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    begin = time.perf_counter()
    for what, total in fuzz(int(sys.argv[1]) if len(sys.argv) > 1 else 1000).items():
        print(f"{what}: {total}")
    print(f"{time.perf_counter() - begin:.0f} s")
