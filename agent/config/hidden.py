"""The latent variables that a config names: the world model's, and those of levels above it.

Part of the composition root (`agent.config.build`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agent.config.choose import Chosen, choose
from agent.config.schema import Part
from agent.core.protocols import Site


@dataclass(frozen=True, slots=True)
class Hidden:
    """Of the `lowest` level, and of each level above, the nearest first; None where there is none.

    Source: LeCun (2022) sec. 4.8, a latent variable at every level of a hierarchy.
    """

    lowest: Chosen | None = None
    above: tuple[Chosen | None, ...] = ()

    @classmethod
    def named(cls, model: Any, where: str) -> Hidden:
        """Return those that settings of a world model name, which stand in the config at `where`.

        Raises InputError for a part that does not exist, or settings that it does not know.
        """
        levels = getattr(model, "levels", ())
        places = {where: model}
        if isinstance(levels, list | tuple):
            places |= {f"{where}.levels.{i}": level for i, level in enumerate(levels)}
        found = [_named(settings, f"{at}.latent_variable") for at, settings in places.items()]
        return cls(found[0], tuple(found[1:]))

    def build(self, site: Site) -> tuple[Any, ...]:
        """Return what a world model of `site` is built with besides; nothing if none is named.

        First its own, built; then, if there are any, what builds those of the levels above, which
        alone know the sites that they are at.
        """
        own = None if self.lowest is None else self.lowest.build(site)
        if any(c is not None for c in self.above):
            return own, tuple(None if c is None else c.build for c in self.above)
        return () if own is None else (own,)

    def resolved(self, model: Part) -> Part:
        """Return a world model as it would stand in a config, defaults of these written out."""
        whole = dict(model)
        if self.lowest is not None:
            whole["latent_variable"] = self.lowest.resolved()
        if self.above:
            whole["levels"] = [
                level if c is None else {**level, "latent_variable": c.resolved()}
                for level, c in zip(model["levels"], self.above, strict=True)
            ]
        return whole


def _named(settings: Any, where: str) -> Chosen | None:
    part = getattr(settings, "latent_variable", None)
    return None if part is None else choose("latent_variable", where, part)


__all__ = ["Hidden"]
