"""From a part named in a config to its class and checked settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from agent.config.isolate import ABLE
from agent.config.resolve import MODULES, resolve, spelled_out
from agent.config.schema import Part, validate
from agent.config.sound import check_settings
from agent.core.errors import InputError
from agent.core.guardrails import realised


@dataclass(frozen=True, slots=True)
class Chosen:
    """A part a config names: its class, its checked settings, and where in the config it stands.

    `parts` are those inside it, by the key of its settings that names them, one or a list.
    """

    where: str
    use: str
    kind: Any
    settings: Any
    parts: tuple[tuple[str, tuple[Chosen, ...]], ...] = ()
    isolate: bool = False

    def build(self, *rest: Any) -> Any:
        """Return an instance. Raises InputError, naming the part, if it refuses its settings.

        Parts inside are built for the same site, or, where the class has `places(site)`, the i-th
        for the i-th of those.
        """
        held = [p for _, some in self.parts for p in some]
        places = self.kind.places(*rest) if hasattr(self.kind, "places") else ()
        given = [(place,) for place in places] + [rest] * (len(held) - len(places))
        inner = tuple(p.build(*own) for p, own in zip(held, given, strict=False))
        try:
            return self.kind(self.settings, *rest, *((inner,) if self.parts else ()))
        except (KeyError, ValueError) as fault:
            text = str(fault).strip("'\"")
            raise InputError(f"{self.where} ({self.use}): {text}; change its settings") from fault

    def embodied(self) -> Chosen:
        """Return the world with the body that its settings give it, where they decide.

        Such a world offers `body(settings)`, the class with sensors, actuators and rate in place.
        """
        found = getattr(self.kind, "body", None)
        return self if found is None else replace(self, kind=found(self.settings))

    def resolved(self) -> Part:
        """Return the part as it would stand in a config with every default written out."""
        apart = {"isolate": True} if self.isolate else {}
        whole = {"use": self.use, **apart, **self.settings.model_dump()}
        for key, some in self.parts:
            listed = [p.resolved() for p in some]
            whole[key] = listed if isinstance(whole[key], list) else listed[0]
        return whole

    @property
    def realised(self) -> bool:
        """Whether sensors show in the end what a guardrail, and all inside it, foresees."""
        inner = all(p.realised for _, some in self.parts for p in some)
        return inner and realised(self.kind)


def choose(slot: str, where: str, part: Part) -> Chosen:
    """Return the class and settings that `part` of the config names. Raises InputError."""
    part = spelled_out(slot, part)
    if "use" not in part:
        raise InputError(f"{where}: 'use' is missing; name a part (see `python run_agent.py list`)")
    kind = resolve(slot, part["use"])
    module = slot in MODULES
    apart = module and _isolated(slot, part.get("isolate", False))
    raw = {k: v for k, v in part.items() if k != "use" and not (module and k == "isolate")}
    check_settings(slot, where, raw)
    settings = validate(kind.Config, raw, where)
    inner = []
    for key in getattr(kind, "holds", ()):
        held = getattr(settings, key)
        spots = [(f"{where}.{key}", held)]
        if isinstance(held, list):
            spots = [(f"{where}.{key}.{i}", p) for i, p in enumerate(held)]
        inner.append((key, tuple(choose(slot, spot, p) for spot, p in spots)))
    return Chosen(where, part["use"], kind, settings, tuple(inner), apart)


def _isolated(slot: str, asked: Any) -> bool:
    """Return whether a module is to have a process of its own. Raises InputError if it cannot."""
    if not isinstance(asked, bool):
        raise InputError(f"{slot}.isolate: expected true or false, came {asked!r}")
    if asked and slot not in ABLE:
        raise InputError(
            f"{slot}.isolate: expected one of {', '.join(ABLE)}, which only post messages, came"
            f" {slot}, whose functions planner and gate call inside a tick; leave it out"
        )
    return asked
