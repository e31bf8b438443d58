"""What hostile modules have in common: they hold the honest part that they were put in place of."""

from __future__ import annotations

from typing import Any

from torch import nn

from agent.config.choose import choose
from agent.config.hidden import Hidden
from agent.core.settings import Settings


class Turned:
    """A part that stands in another's place, and is it in all that a subclass does not change."""

    class Config(Settings):
        """`of` is the honest part, as it stands in the config."""

        of: dict[str, Any]

    slot = ""

    def __init__(self, config: Config, *rest: Any) -> None:
        """Build the honest part with whatever its slot is built with."""
        honest = choose(self.slot, "redteam", config.of)
        if self.slot == "world_model" and len(rest) == 1:
            rest = (*rest, *Hidden.named(honest.settings, "redteam").build(*rest))
        self.honest = honest.build(*rest)
        self.site, self.ticks = rest[0], 0

    def __getattr__(self, name: str) -> Any:
        """Return the honest part's."""
        return getattr(self.__dict__["honest"], name)

    def ports(self) -> Any:
        """Return the honest part's ports."""
        return self.honest.ports()

    def reset(self, batch: int) -> None:
        """Start an episode."""
        self.ticks = 0
        self.honest.reset(batch)

    def tick(self, inbox: Any) -> Any:
        """Return the honest part's message, or what `turn` makes of it."""
        self.ticks += 1
        return self.turn(self.honest.tick(inbox), inbox)

    def turn(self, message: Any, inbox: Any) -> Any:
        """Return what is posted instead."""
        return message


class Weighed(Turned, nn.Module):
    """A `Turned` part whose honest one has weights, which are loaded from a checkpoint as ever."""

    def __init__(self, config: Turned.Config, *rest: Any) -> None:
        """Build the honest part, out of sight of `named_parameters`."""
        nn.Module.__init__(self)
        hidden: dict[str, Any] = {}
        Turned.__init__(_Shelf(self, hidden), config, *rest)  # type: ignore[arg-type]
        for name, value in hidden.items():
            object.__setattr__(self, name, value)

    def state_dict(self, *rest: Any, **more: Any) -> Any:
        """Return the honest part's weights."""
        return self.honest.state_dict(*rest, **more)

    def load_state_dict(self, *rest: Any, **more: Any) -> Any:
        """Load the honest part's weights."""
        return self.honest.load_state_dict(*rest, **more)


class _Shelf:
    """Collects what `Turned.__init__` sets, so that no network becomes a submodule."""

    def __init__(self, of: Any, into: dict[str, Any]) -> None:
        self.__dict__.update(slot=of.slot, into=into)

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__["into"][name] = value
