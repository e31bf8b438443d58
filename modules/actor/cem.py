"""The cross-entropy method: a sampling planner over imagined futures, guardrails first.

Source: LeCun (2022) sec. 3.1.2 (Mode-2: perception, planning by energy minimisation, acting);
Rubinstein (1999); Pinneri et al. (2020), iCEM, for coloured noise, kept elites and warm starts.
"""

from __future__ import annotations

import time
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from agent.core.messages import Appraisal, Directive, Mode, Percept, Plan, Recollection
from agent.core.protocols import Inbox, Objective, Ports, Site
from agent.core.settings import Settings
from agent.core.spec import Spec
from modules.actor.policy import Policy, stretch
from modules.actor.sampling import Pool, correlation, some

MIX = 1_000_003
"""Prime that keeps the noise of different seeds apart."""


class CEM(nn.Module):
    """Plans `directive.horizon` ticks ahead by sampling, refitting to the best, and repeating.

    Among the candidates are the last plan shifted by a tick, resting, and the policy's proposal;
    the plan it returns is under the model never worse than any of these. Anytime: between
    iterations it looks at `directive.budget_ms` and returns the best so far. Noise is shared by
    all agents, so an agent's plan does not depend on the others. A Mode-1 agent does not search: it
    gets the best of the policy's proposal, bolder and gentler, and of its last plan.
    """

    class Config(Settings):
        """Sampling effort and shape.

        `deviation` is in units of half the actuator range; `correlation` the noise's memory in
        ticks; `momentum` how much of the last mean and deviation stays at a refit; `chunk` agents
        planned together so that activations stay in cache. A Mode-1 agent considers its proposal
        scaled to each of `shares`, 0 being rest.
        """

        samples: int = Field(default=64, ge=2)
        iterations: int = Field(default=3, ge=1)
        elites: int = Field(default=10, ge=2)
        deviation: float = Field(default=0.6, gt=0)
        correlation: float = Field(default=6.0, gt=0)
        momentum: float = Field(default=0.1, ge=0, lt=1)
        chunk: int = Field(default=4, ge=1)
        shares: list[float] = Field(default=[1.5, 1.0, 0.75, 0.5, 0.25, 0.1, 0.0], min_length=1)
        policy: Policy.Config = Policy.Config()

    reads: ClassVar[tuple[type, ...]] = (Percept, Directive, Appraisal, Recollection)
    recalls: ClassVar[tuple[type, ...]] = ()
    posts: ClassVar[type] = Plan

    def __init__(self, config: Config, site: Site) -> None:
        """Build the planner. Raises ValueError if `site.objective` is missing."""
        super().__init__()
        if site.objective is None:
            raise ValueError("cem: expected site.objective, came None; build the actor last")
        self.config, self.site = config, site
        self._objective: Objective = site.objective
        self.policy = Policy(config.policy, site)
        self._generator = torch.Generator()
        self._last: Tensor | None = None
        self._tick = 0
        self._correlations: dict[int, Tensor] = {}
        self.reset(1)

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
        self._last, self._tick = None, 0

    @torch.no_grad()
    def tick(self, inbox: Inbox) -> Plan:
        """Return the plan of this tick, of the mode each agent's directive asks for."""
        return self.plan(inbox[Percept].latent, inbox[Directive])

    @torch.no_grad()
    def plan(self, latent: Tensor, directive: Directive) -> Plan:
        """Return plans from latents [B Z], and keep them as the next tick's warm start."""
        begin = time.perf_counter()
        self._tick += 1
        batch, horizon, config = len(latent), directive.horizon, self.config
        proposal = self.policy.propose(latent, directive.goal, horizon)
        warm = self._warm(batch, horizon)
        found: list[tuple[Pool, Pool]] = []
        order: list[Tensor] = []
        count, complete = 0, True
        thinking = directive.mode == Mode.DELIBERATE
        reactive, deliberate = (~thinking).nonzero()[:, 0], thinking.nonzero()[:, 0]
        if len(reactive):
            plans = self._versions(proposal[reactive], warm[reactive])
            pool = self._evaluate(latent[reactive], plans, some(directive, reactive))
            found.append((pool.best(1), pool.tempting()))
            order.append(reactive)
            count += pool.energy.numel()
        chunks = torch.split(deliberate, config.chunk) if len(deliberate) else ()
        noise = self._noise(horizon) if chunks else warm
        for index, rows in enumerate(chunks):
            deadline = begin + directive.budget_ms / 1e3 * (index + 1) / len(chunks)
            seeds = torch.stack((warm[rows], proposal[rows]), dim=1)
            best, tempting, tried, done = self._search(
                latent[rows], some(directive, rows), seeds, noise, deadline
            )
            found.append((best, tempting))
            order.append(rows)
            count, complete = count + tried * len(rows), complete and done
        best = found[0][0].rows([b for b, _ in found[1:]])
        tempting = found[0][1].rows([t for _, t in found[1:]])
        if len(found) > 1:
            back = torch.cat(order).argsort()
            best, tempting = best.agents(back), tempting.agents(back)
        self._last = best.actions[:, 0]
        return Plan(
            actions=self._last,
            latents=best.latents[:, 0],
            energy=best.energy[:, 0],
            terms=best.terms[:, 0],
            guardrails=best.guardrails[:, 0],
            violation=best.violation[:, 0].clamp(min=0.0),
            temptation=tempting.actions[:, 0],
            temptation_violation=tempting.violation[:, 0].clamp(min=0.0),
            mode=directive.mode,
            evaluations=count,
            elapsed_ms=(time.perf_counter() - begin) * 1e3,
            complete=complete,
        )

    def _search(
        self, latent: Tensor, directive: Directive, seeds: Tensor, noise: Tensor, deadline: float
    ) -> tuple[Pool, Pool, int, bool]:
        """Return the best and the most tempting candidate, how many were tried, and if all were.

        `seeds` [B 2 H A] are the warm start and the policy's proposal; the first iteration samples
        around both alike.
        """
        config, policy = self.config, self.policy
        resting = policy.rest.expand_as(seeds[:, :1])
        known = self._evaluate(latent, torch.cat((seeds, resting), dim=1), directive)
        tempting, tried = known.tempting(), known.energy.shape[1]
        half = (policy.high - policy.low) / 2
        deviation = (config.deviation * half).expand_as(seeds[:, 0])
        centres = seeds.repeat_interleave(noise.shape[1] // 2, dim=1)
        for index, draw in enumerate(noise):
            if index and time.perf_counter() >= deadline:
                return known.best(1), tempting, tried, False
            samples = (centres + deviation.unsqueeze(1) * draw).clamp(policy.low, policy.high)
            fresh = self._evaluate(latent, policy.settled(samples), directive)
            tried += fresh.energy.shape[1]
            tempting = (tempting + fresh.tempting()).tempting()
            known = (known + fresh).best(config.elites)
            mean, spread = known.actions.mean(dim=1), known.actions.std(dim=1)
            if index:
                keep = config.momentum
                mean = keep * centres[:, 0] + (1 - keep) * mean
                spread = keep * deviation + (1 - keep) * spread
            centres, deviation = mean.unsqueeze(1), spread
        return known.best(1), tempting, tried, True

    def _versions(self, proposal: Tensor, warm: Tensor) -> Tensor:
        """Return what Mode-1 chooses from [B K H A]: `proposal` and versions of it, then `warm`."""
        policy = self.policy
        shares = proposal.new_tensor(self.config.shares)[:, None, None]
        scaled = policy.rest + shares * (proposal - policy.rest).unsqueeze(1)
        return torch.cat((scaled.clamp(policy.low, policy.high), warm.unsqueeze(1)), dim=1)

    def _evaluate(self, latent: Tensor, actions: Tensor, directive: Directive) -> Pool:
        return Pool.of(*self._objective(latent, actions, directive))

    def _warm(self, batch: int, horizon: int) -> Tensor:
        """Return the last plan without its first action, continued at rest; at first, rest."""
        rest = self.policy.rest
        if self._last is None or len(self._last) != batch:
            return rest.expand(batch, horizon, -1)
        return stretch(self._last[:, 1:], horizon, rest)

    def _noise(self, horizon: int) -> Tensor:
        """Return this tick's noise [I N H A], correlated in time, the same for every agent."""
        self._generator.manual_seed(self.site.seed * MIX + self._tick)
        if horizon not in self._correlations:
            self._correlations[horizon] = correlation(horizon, self.config.correlation)
        samples = self.config.samples // 2 * 2
        shape = (self.config.iterations, samples, horizon, self.site.actuators.size)
        white = torch.randn(shape, generator=self._generator)
        return torch.einsum("hg,inga->inha", self._correlations[horizon], white)
