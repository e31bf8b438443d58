"""What all planners have in common: everything but where to look.

Source: LeCun (2022) sec. 3.1.2 (Mode-2: perception, planning by energy minimisation, acting) and
3.1.1 (Mode-1).
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from agent.core.considered import Fan
from agent.core.errors import InputError
from agent.core.messages import Appraisal, Directive, Mode, Percept, Plan, Recollection
from agent.core.protocols import Inbox, Ports, Site
from agent.core.settings import Settings
from agent.core.spec import Spec
from modules.actor.carried import carried_on, carrying
from modules.actor.noise import Tape
from modules.actor.policy import Policy, stretch
from modules.actor.proof import prove
from modules.actor.sampling import Pool
from modules.actor.search import FAN, Found, Pace, Wave, Waves, judge, search

MIX = 1_000_003
"""Prime that keeps the noise of different seeds apart."""
REFUSAL = "no candidate had a finite energy and finite guardrails; mend the world model or the cost"
"""Why there is no plan where every bill is NaN or infinite."""


class Planner(nn.Module, ABC):
    """Plans `directive.horizon` ticks ahead; a subclass says in waves which candidates to try.

    Among the candidates are the last plan without what was followed, resting, and the policy's
    proposal; the plan it returns is under the model never ranked behind any candidate. Anytime: it
    looks at `directive.budget_ms` before every wave and returns the best so far. Noise is shared by
    all agents, so an agent's plan does not depend on the others. A Mode-1 agent does not search: it
    gets the best of the policy's proposal, bolder and gentler, and of its last plan. Told to
    `carry` on, an agent of either mode gets the last plan as it is, if that was sound, with what
    was imagined of it then.
    """

    class Config(Settings):
        """What every planner can be told.

        `chunk` agents are planned together so that activations stay in cache. A Mode-1 agent
        considers its proposal scaled to each of `shares`, 0 being rest. With a `tolerance` above 0
        a search ends once its best energy falls by less than that share per wave.
        """

        chunk: int = Field(default=4, ge=1)
        shares: list[float] = Field(default=[1.5, 1.0, 0.75, 0.5, 0.25, 0.1, 0.0], min_length=1)
        tolerance: float = Field(default=0.0, ge=0, lt=1)
        policy: Policy.Config = Policy.Config()

    reads: ClassVar[tuple[type, ...]] = (Percept, Directive, Appraisal, Recollection)
    recalls: ClassVar[tuple[type, ...]] = ()
    descends: ClassVar[bool] = False
    """Whether it needs an energy with gradients."""
    extent: Tensor

    def __init__(self, config: Config, site: Site, keep: int = 1, carried: int = 1) -> None:
        """Build the planner; `keep` candidates are kept in a search, `carried` to the next tick.

        Raises ValueError if `site.objective` is missing or an actuator has no finite limits.
        """
        super().__init__()
        self.name = re.sub("(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()
        if site.objective is None:
            raise ValueError(
                f"{self.name}: expected site.objective, came None; build the actor last"
            )
        self.site, self._objective = site, site.objective
        self._shares, self._chunk, self._tolerance = config.shares, config.chunk, config.tolerance
        self._keep, self._carried = max(keep, carried), carried
        self.policy = Policy(config.policy, site)
        half = (self.policy.high - self.policy.low) / 2
        self.register_buffer("extent", half, persistent=False)
        self._pace, self._proved = Pace(), False
        self._last: Tensor | None = None
        self._held: Pool | None = None
        self._tick = 0

    @abstractmethod
    def _waves(self, seeds: Tensor, known: Pool, tape: Tape) -> Waves:
        """Yield waves of candidates for a chunk of agents.

        `seeds` [B C H A] are the plans carried on from the last tick, then the policy's proposal;
        `known` has their bills and that of rest. What is yielded first must not depend on how much
        follows: a longer search goes on where a shorter one would have stopped.
        """

    def ports(self) -> Ports:
        """Insist on the body's actuators and the goal's layout."""
        site = self.site
        return Ports(
            axes={"Z": site.latent, "A": site.actuators.size, "G": site.goal.size},
            fields={
                (Plan, "actions"): Spec(("B", "H", "A"), layout=site.actuators),
                (Directive, "goal"): Spec(("B", "G"), layout=site.goal),
            },
        )

    def reset(self, batch: int) -> None:
        """Forget the last plan and start the noise again, a function of seed and tick."""
        self._last, self._held, self._tick = None, None, 0

    def suggest(self, plans: Tensor) -> None:
        """Start the next search from `plans` [B H A] instead of from the last plan."""
        before = self.policy.rest.expand(len(plans), self.site.follow, -1)
        last = torch.cat((before, plans), dim=1)[:, None]
        self._last, self._held = last.expand(-1, self._carried, -1, -1), None

    @torch.no_grad()
    def tick(self, inbox: Inbox) -> Plan:
        """Return the plan of this tick, of the mode each agent's directive asks for."""
        return self.plan(inbox[Percept].latent, inbox[Directive])

    @torch.no_grad()
    def plan(self, latent: Tensor, directive: Directive) -> Plan:
        """Return plans from latents [B Z], and keep them as the next tick's warm start.

        Raises InputError if it is asked the impossible; the first call, which is the dry tick of
        wiring, also tries the objective out: shapes, gradients, and time against `budget_ms`.
        """
        if directive.horizon < 1:
            raise InputError(
                f"actor ({self.name}): expected a horizon of at least 1 tick, came"
                f" {directive.horizon}; raise configurator.horizon"
            )
        if not self._proved:
            rest = self.policy.rest.expand(1, 2, directive.horizon, -1)
            first = directive.rows(slice(0, 1))
            prove(self._objective, self.site, latent[:1], rest, first, self.name, self.descends)
            self._proved = True
        begin = time.perf_counter()
        self._tick += 1
        kept = carrying(self._held, directive)
        mode = torch.where(kept, int(Mode.CARRIED), directive.mode)
        directive = replace(directive, mode=mode)
        found = self._think(latent, directive, begin)
        best, tempting, fan = found.best, found.tempting, found.fan
        self._last, self._held = best.actions, best
        return Plan(
            actions=best.actions[:, 0],
            latents=best.latents[:, 0].mean(dim=1),
            energy=best.energy[:, 0],
            terms=best.terms[:, 0],
            guardrails=best.guardrails[:, 0],
            violation=best.violation[:, 0].clamp(min=0.0),
            temptation=tempting.actions[:, 0],
            temptation_violation=tempting.violation[:, 0].clamp(min=0.0),
            mode=directive.mode,
            evaluations=found.tried,
            elapsed_ms=(time.perf_counter() - begin) * 1e3,
            complete=found.complete,
            iterations=found.waves or 0,
            reasons=_reasons(best),
            rival=found.rival.as_rival(),
            fan=Fan(fan.actions, fan.energy, fan.violation.clamp(min=0.0)),
        )

    def _think(self, latent: Tensor, directive: Directive, begin: float) -> Found:
        """Return what was found for all agents: those that react together, others in chunks."""
        held, thinking = carrying(self._held, directive), directive.mode == Mode.DELIBERATE
        kinds = held, ~(held | thinking), thinking
        kept, reactive, deliberate = (rows.nonzero()[:, 0] for rows in kinds)
        found = []
        if len(kept) < len(latent):
            seeds = self._seeds(latent, directive, self.policy)
        if self._held is not None and len(kept):
            found.append(carried_on(self._held.agents(kept), self.policy.rest))
        if len(reactive):
            asked = directive.rows(reactive)
            found.append(self._picked(self._versions(latent[reactive], asked, seeds[reactive])))
        if len(deliberate):
            found.append(self._searched(latent, directive, seeds, deliberate, begin))
        return Found.joined(found, [some for some in (kept, reactive, deliberate) if len(some)])

    def _seeds(self, latent: Tensor, directive: Directive, policy: Policy) -> Tensor:
        """Return what is known before any thought [B C H A]: the last plans, then a proposal."""
        proposal = policy.propose(latent, directive.goal, directive.horizon)
        proposal = proposal.clamp(policy.low, policy.high).unsqueeze(1)
        return torch.cat((self._warm(len(latent), directive.horizon), proposal), dim=1)

    def _searched(
        self, latent: Tensor, directive: Directive, seeds: Tensor, rows: Tensor, begin: float
    ) -> Found:
        """Return what searches find for agents `rows`, chunk by chunk, sharing the budget."""
        chunks = torch.split(rows, self._chunk)
        tape, found = Tape(self.site.seed * MIX + self._tick), []
        for index, part in enumerate(chunks):
            deadline = begin + directive.budget_ms / 1e3 * (index + 1) / len(chunks)
            asked = directive.rows(part)
            found.append(self._deliberate(latent[part], asked, seeds[part], tape, deadline))
        return Found.joined(found, torch.split(torch.arange(len(rows)), self._chunk))

    def _deliberate(
        self, latent: Tensor, directive: Directive, seeds: Tensor, tape: Tape, deadline: float
    ) -> Found:
        """Return what a search before `deadline` finds for a chunk of agents."""

        def ask(wave: Wave) -> tuple[Pool, Tensor | None]:
            return judge(self._objective, latent, directive, wave)

        def waves(known: Pool) -> Waves:
            return self._waves(seeds, known, tape)

        start = torch.cat((seeds, self.policy.rest.expand_as(seeds[:, :1])), dim=1)
        half, tolerance = self.extent, self._tolerance
        found = search(ask, waves, start, half, self._keep, self._pace, deadline, tolerance)
        return replace(found, best=found.best.first(self._carried))

    def _versions(self, latent: Tensor, directive: Directive, seeds: Tensor) -> Pool:
        """Return the proposal scaled to each of `shares`, then the last plans, with their bills."""
        policy, proposal = self.policy, seeds[:, -1:]
        shares = proposal.new_tensor(self._shares)[:, None, None]
        scaled = policy.rest + shares * (proposal - policy.rest)
        plans = torch.cat((scaled.clamp(policy.low, policy.high), seeds[:, :-1]), dim=1)
        return Pool.of(*self._objective(latent, plans, directive))

    def _picked(self, pool: Pool) -> Found:
        """Return the best of the versions: what an agent does that does not search."""
        best, bare = pool.best(self._carried), pool.bare()
        rival = pool.rival(best.first(1), self.extent)
        return Found(best, bare.tempting(), rival, bare.sample(FAN), pool.energy.numel())

    def _within(self, plans: Tensor) -> Tensor:
        """Return plans [B K H A] put back within the limits, and ending at rest."""
        policy = self.policy
        return policy.settled(plans.clamp(policy.low, policy.high))

    def _warm(self, batch: int, horizon: int) -> Tensor:
        """Return the last plans [B C H A] without what was followed, continued at rest.

        At first they are rest.
        """
        rest, last = self.policy.rest, self._last
        if last is None or len(last) != batch:
            return rest.expand(batch, self._carried, horizon, -1)
        moved = stretch(last[:, :, self.site.follow :].flatten(0, 1), horizon, rest)
        return moved.view(batch, -1, horizon, moved.shape[-1])

    def _enough(self, elites: int, samples: int) -> None:
        """Raise ValueError if more elites are wanted than samples are drawn."""
        if elites > samples:
            raise ValueError(
                f"{self.name}: expected at most as many elites as samples, came {elites} elites"
                f" of {samples} samples; lower `elites` or raise `samples`"
            )


def _reasons(best: Pool) -> tuple[str, ...]:
    """Return why agents have no plan worth the name; nothing if all have."""
    sound = torch.isfinite(best.energy[:, 0]).tolist()
    return () if all(sound) else tuple("" if ok else REFUSAL for ok in sound)
