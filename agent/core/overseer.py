"""The gate's eye on the levels above: no plan is followed that breaks a guardrail higher up.

Part of the gate. What a level above plans is never sent to the body; but a hierarchy that heads
for a violation is stopped where it is first foreseen.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from agent.core.guardrails import Guardrails, violation
from agent.core.levels import Climb
from agent.core.messages import Plan
from agent.core.objective import GuardedObjective
from agent.core.protocols import Above

OVERSEEN = ("_levels", "_lasts", "_climb")
"""What an overseer holds from when it is built."""


class Overseer:
    """Judges every new plan of every level above, once, from how the present looks from there.

    Where rest is foreseen to break a guardrail there, a plan may if it breaks them less, as at the
    lowest level: a body that has strayed may come back.
    """

    def __init__(self, above: Sequence[tuple[Above, Guardrails, GuardedObjective]]) -> None:
        """Watch over `above`, the nearest level first; nothing is there to do without any."""
        self._levels = tuple((*level, level[1].seal) for level in above)
        self._lasts = tuple(place.level.ticks * place.level.follow for place, _, _ in above)
        self._climb = Climb([place for place, _, _ in above])
        self.reset()

    def __bool__(self) -> bool:
        """Say whether there are levels above."""
        return bool(self._levels)

    def reset(self) -> None:
        """Forget the episode."""
        self._climb.reset()
        self._codes: list[Tensor] = []
        self._judged: dict[int, Plan] = {}
        self._age: dict[int, int] = {}
        self._said: dict[int, tuple[str, ...]] = {}

    def look(self, latent: Tensor) -> None:
        """See this tick's latent [B Z]."""
        if self._levels:
            self._codes = self._climb.see(latent)

    def verify(self) -> bool:
        """Say whether the guardrails of every level are the sealed ones."""
        return all(
            objective.guardrails is rails and rails.seal == seal and rails.verify()
            for _, rails, objective, seal in self._levels
        )

    def refusals(self, plan: Plan) -> tuple[str, ...]:
        """Return why each agent's plan may not be followed because of those above; () if it may.

        A level that has no plan, one that has been followed for long enough, and a plan at a level
        that nobody watches are refused: fail closed.
        """
        said: list[tuple[str, ...]] = []
        here: Plan | None = plan
        for index in range(len(self._levels)):
            here = None if here is None else here.above
            said.append(self._about(index, here))
        if here is not None and here.above is not None:
            rows = len(plan.actions)
            said.append((f"nobody judges what is planned above level {len(said) + 1}",) * rows)
        if not any(said):
            return ()
        rows = max(len(s) for s in said)
        return tuple(next((s[row] for s in said if s and s[row]), "") for row in range(rows))

    def _about(self, index: int, plan: Plan | None) -> tuple[str, ...]:
        place, rails, objective, _ = self._levels[index]
        level, state = f"level {index + 2}", self._codes[index]
        if plan is None:
            return (f"{level} has no plan",) * len(state)
        if plan is self._judged.get(index):
            self._age[index] += 1
            late = self._age[index] >= self._lasts[index]
            return (
                (f"{level} follows a plan that is over",) * len(state)
                if late
                else self._said[index]
            )
        self._judged[index], self._age[index] = plan, 0
        self._said[index] = self._judge(level, place, rails, objective, state, plan.actions)
        return self._said[index]

    @staticmethod
    def _judge(
        level: str,
        place: Above,
        rails: Guardrails,
        objective: GuardedObjective,
        state: Tensor,
        actions: Tensor,
    ) -> tuple[str, ...]:
        low, high = place.site.actuators.bounds()
        shape = (len(state), actions.shape[1], len(low))
        if tuple(actions.shape) != shape or shape[1] < 1 or actions.dtype is not low.dtype:
            return (f"{level} plans {list(actions.shape)}, not {list(shape)}",) * len(state)
        sane = ((actions >= low) & (actions <= high)).flatten(1).all(dim=1)
        sane &= torch.isfinite(state).all(dim=1)
        rest = ((low + high) / 2).expand_as(actions)
        both = objective.guard(state, torch.stack((actions, rest), dim=1))
        values, (broken, resting) = both[:, 0], violation(both).unbind(dim=1)
        worst, which = (
            values.amax(dim=2).max(dim=1) if len(rails) else (values.new_zeros(len(state)),) * 2
        )
        no_worse = torch.isfinite(broken) & (broken <= resting)
        fine = ((worst <= 0) | no_worse).tolist()
        said = tuple(
            (f"{level}: {rails.names[blamed]}" if not kept else "")
            if ok
            else f"{level}: out of limits"
            for ok, kept, blamed in zip(sane.tolist(), fine, which.tolist(), strict=True)
        )
        return said if any(said) else ()
