"""The composition root: from a config to a wired agent. The only place that knows every part."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from agent.config.choose import Chosen, choose
from agent.config.hidden import Hidden
from agent.config.isolate import Isolated
from agent.config.mind import MARGINS, Mind, Tensors, fill, margins_of
from agent.config.resolve import parts as known_parts
from agent.config.resolve import resolve
from agent.config.schema import AgentConfig, Part, validate
from agent.config.sound import check_parts, check_shown
from agent.config.tiers import Judges, level_readouts, tiers
from agent.config.tiers import name as level_name
from agent.core.adaptive import AdaptiveMargins
from agent.core.errors import InputError, nearest
from agent.core.gate import Gate
from agent.core.guardrails import Guardrails
from agent.core.objective import GuardedObjective
from agent.core.origin import origin_of
from agent.core.protocols import Site
from agent.core.spec import Layout
from modules.world_model.learn import Learner

SINGLES = ("world", "perception", "world_model", "readouts", "critic", "cost", "memory",
           "configurator", "actor")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A config whose every part has been found and whose settings have been checked."""

    config: AgentConfig
    singles: Mapping[str, Chosen]
    terms: tuple[Chosen, ...]
    guardrails: tuple[Chosen, ...]
    objectives: tuple[Chosen, ...]
    hidden: Hidden = Hidden()

    @property
    def latent_variable(self) -> Chosen | None:
        """The latent variable of the lowest level, if it has one."""
        return self.hidden.lowest

    def resolved(self) -> dict[str, Any]:
        """Return the config with every default written out: what a run's log carries."""
        whole = self.config.model_dump()
        if self.config.sleep is None:
            del whole["sleep"]
        whole |= {slot: chosen.resolved() for slot, chosen in self.singles.items()}
        whole["world_model"] = self.hidden.resolved(whole["world_model"])
        whole["terms"] = [c.resolved() for c in self.terms]
        whole["guardrails"] = [c.resolved() for c in self.guardrails]
        learner = whole["train"].get("learner", {})
        if isinstance(learner, dict):
            listed = [c.resolved() for c in self.objectives]
            whole["train"] = {**whole["train"], "learner": {**learner, "objectives": listed}}
        return whole

    @property
    def wants(self) -> bool:
        """Whether there is anything to act for: a goal that is asked, or terms. Else it watches."""
        return self.config.goal is not None or bool(self.terms)

    def world(self, batch: int) -> Any:
        """Return `batch` copies of the world."""
        return self.singles["world"].build(batch)

    def assemble(
        self, tensors: Tensors | None = None, model: Callable[[Any, Any], Any] | None = None
    ) -> Mind:
        """Build every part, with weights from `tensors` where given.

        `model(world_model, perception)` may put another world model in the learned one's place
        (the true-simulator reference); margins, which belong to the learned one, are zero then.
        Without guardrails, as in a laboratory comparison, a checkpoint's margins are left aside.
        Raises InputError if names, quantities or weights do not fit.
        """
        torch.manual_seed(self.config.seed)
        kind = self.singles["world"].kind
        sensors, actuators = kind.sensors, kind.actuators
        wanted = self.config.goal
        if wanted is not None and wanted not in sensors.names:
            hint = nearest(wanted, sensors.names)
            raise InputError(f"goal: the world has no sensor '{wanted}'; {hint}")
        goal = Layout(() if wanted is None else (sensors.channel(wanted),))
        site = Site(
            sensors, actuators, kind.rate_hz, self.config.latent, goal, seed=self.config.seed
        )
        hidden = {"world_model": self.hidden.build(site)}
        learned = {
            slot: self.singles[slot].build(site, *hidden.get(slot, ()))
            for slot in ("perception", "world_model", "readouts", "critic")
        }
        fill(learned, tensors)
        terms = tuple(c.build(site) for c in self.terms)
        fill({f"terms.{t.name}": t for t in terms}, tensors)
        rails = tuple(c.build(site) for c in self.guardrails)
        readouts = learned["readouts"]
        check_parts(terms, rails, readouts.layout)
        check_shown(terms, self.config.shown)

        theirs = tensors if rails and model is None else None
        margins = None if theirs is None else theirs.get(MARGINS)
        levels = list(getattr(learned["world_model"], "levels", ()))
        probes = level_readouts(self.singles["readouts"], site, levels)
        fill({f"{level_name(i)}.readouts": probe for i, probe in enumerate(probes)}, tensors)
        known = {level_name(i): (theirs or {}).get(margins_of(i)) for i in range(len(levels))}
        sealed = copy.deepcopy(readouts)
        guardrails = Guardrails(rails, sealed.requires_grad_(False), margins)
        world_model = learned["world_model"]
        if model is not None:
            self.in_one_process("the true-simulator planner")
            world_model = model(world_model, learned["perception"])
        cost = self.singles["cost"].build(site, terms, readouts, learned["critic"])
        site = replace(site, terms=tuple(cost.terms), guardrails=guardrails.names)
        objective = GuardedObjective(world_model, cost, guardrails)
        judges = Judges(self.singles["readouts"], self.singles["cost"], self.guardrails)
        higher = tiers(judges, levels, probes, terms, known)
        above = tuple(tier.above for tier in higher)
        site = replace(site, objective=objective, readouts=readouts, above=above)
        gate, configurator = self.config.gate, self._module("configurator", site, tensors)
        adaptive = None
        if gate.margins == "adaptive" and model is None:
            ticks = self.singles["configurator"].settings.horizon
            adaptive = AdaptiveMargins(guardrails, objective, ticks, gate.alpha, gate.pace)
        if self.singles["actor"].isolate and (adaptive is not None or guardrails.remembers):
            raise InputError(
                "actor.isolate: expected guardrails that neither remember nor adapt, which another"
                " process would have to follow; set actor.isolate=false, or gate.margins=sealed and"
                " no until, within or total"
            )
        actor = self._module("actor", site, tensors)
        fill({"actor": actor}, tensors)
        fallback = torch.tensor(gate.fallback)
        return Mind(
            blueprint=self,
            site=site,
            perception=learned["perception"],
            world_model=world_model,
            readouts=readouts,
            critic=learned["critic"],
            terms=terms,
            cost=cost,
            memory=self._module("memory", self._lasting(site, learned, tensors), tensors),
            configurator=configurator,
            actor=actor,
            rails=tuple(c.build(site) for c in self.guardrails),
            guardrails=guardrails,
            objective=objective,
            fallback=fallback,
            origin=origin_of(
                Gate,
                guardrails,
                objective,
                fallback,
                adaptive,
                [(t.guardrails, t.objective) for t in higher],
            ),
            adaptive=adaptive,
            tiers=higher,
        )

    def in_one_process(self, who: str, instead: str = "") -> None:
        """Raise InputError if a module is isolated, which `who` cannot work with.

        `instead` says how to do without `who`.
        """
        for slot, chosen in self.singles.items():
            if chosen.isolate:
                raise InputError(
                    f"{who}: expected all modules in one process, came {slot}.isolate=true;"
                    f" set {slot}.isolate=false{instead and ', or '}{instead}"
                )

    def _lasting(self, site: Site, learned: Mapping[str, Any], tensors: Tensors | None) -> Site:
        """Return the site of a memory: one that outlives the run is told whose latents it keeps."""
        if not getattr(self.singles["memory"].settings, "path", "") or tensors is None:
            return site
        digest = hashlib.sha256()
        for name, values in sorted(learned["perception"].state_dict().items()):
            digest.update(name.encode() + values.contiguous().numpy().tobytes())
        return replace(site, world=self.singles["world"].use, percepts=digest.hexdigest())

    def _module(self, slot: str, site: Site, tensors: Tensors | None) -> Any:
        chosen = self.singles[slot]
        if not chosen.isolate:
            return chosen.build(site)
        if slot == "actor" and getattr(self.singles["world_model"].kind, "adapts", False):
            raise InputError(
                f"actor.isolate: expected a world model that does not change while it is lived"
                f" with, came {self.singles['world_model'].use}; set actor.isolate=false"
            )
        if getattr(chosen.kind, "climbs", False):
            raise InputError(
                f"actor.isolate: expected an actor of one level, as the gate follows no plan above"
                f" into another process, came {chosen.use}; set actor.isolate=false"
            )
        return Isolated(slot, chosen.kind, chosen.settings, self.config.model_dump(), tensors)


def blueprint(config: AgentConfig) -> Blueprint:
    """Find every part a config names and check its settings. Raises InputError at a fault."""
    singles = {slot: choose(slot, slot, getattr(config, slot)) for slot in SINGLES}
    singles["world"] = singles["world"].embodied()
    return Blueprint(
        config=config,
        singles=singles,
        terms=tuple(choose("term", f"terms.{i}", p) for i, p in enumerate(config.terms)),
        guardrails=tuple(
            choose("guardrail", f"guardrails.{i}", p) for i, p in enumerate(config.guardrails)
        ),
        objectives=_objectives(config.train.get("learner")),
        hidden=Hidden.named(singles["world_model"].settings, "world_model"),
    )


def _objectives(learner: Any) -> tuple[Chosen, ...]:
    """Return what the world model is trained on; other settings of `learner` are its course's."""
    raw = learner if isinstance(learner, dict) else {}
    settings = {k: v for k, v in raw.items() if k == "objectives"}
    listed = validate(Learner.Config, settings, "train.learner").objectives
    return objectives(listed, "train.learner.objectives")


def objectives(listed: list[Part], where: str) -> tuple[Chosen, ...]:
    """Return the objectives that stand in the config at `where`.

    Raises InputError if none of them trains the predictor.
    """
    found = tuple(choose("objective", f"{where}.{i}", p) for i, p in enumerate(listed))
    if not any(c.kind.predicts for c in found):
        came = ", ".join(c.use for c in found) or "none at all"
        able = (n for n in known_parts("objective") if resolve("objective", n).predicts)
        raise InputError(
            f"{where}: expected one that trains the predictor ({', '.join(able)}), came {came};"
            f" add {{use: prediction}}"
        )
    return found


__all__ = ["MARGINS", "Blueprint", "Mind", "Tensors", "blueprint", "margins_of", "objectives"]
