"""Perception that completes what its sensors miss from memory: what is hidden is still there.

Source: LeCun (2022) sec. 3, "short-term memory", which is queried to complete the state of the
world; object permanence: Baillargeon, Spelke, Wasserman (1985).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from agent.core.messages import Directive, Forecast, Observation, Percept, Recollection
from agent.core.protocols import Inbox
from modules.perception.completion import Completion
from modules.perception.surprise import percept


class RecallPerception(Completion):
    """As `state`, but a sensor that is not valid shows what memory last saw there.

    Memory is asked for the latent of the last moment in which that sensor was valid
    (`Recollection.seen`, of the last tick); a decoder reads the sensor's values from it, each time
    from that same latent, so that no error adds up. Where memory has nothing, a sensor reads its
    training mean, as in `state`; each such scalar adds 1 to the squared uncertainty.
    """

    class Config(Completion.Config):
        """`width` and `compressed` as in `state`; hidden layer of the decoder."""

    recalls: ClassVar[tuple[type, ...]] = (Forecast, Recollection)
    posts: ClassVar[type] = Percept

    def reset(self, batch: int) -> None:
        """Nothing to forget: memory is a module of its own."""

    @torch.no_grad()
    def tick(self, inbox: Inbox) -> Percept:
        """Return the percept of what is shown and recollected, and the last forecast's surprise."""
        observation, attention = inbox[Observation], inbox[Directive].attention
        sensor = self.state.sensor
        shown = observation.valid[:, sensor] & observation.values.isfinite()
        values, known = self._completed(inbox.last(Recollection), shown)
        values = self.state.normalise(observation.values).where(shown, values)
        latent = self.state.embed(values * attention[:, sensor])
        missing = (~(shown | known)).sum(dim=1, dtype=latent.dtype)
        return percept(latent, missing, inbox.last(Forecast))

    def _completed(self, past: Recollection | None, shown: Tensor) -> tuple[Tensor, Tensor]:
        """Return normalised values [B O] as memory has them, and where it has any, [B O].

        The decoder is asked only if a sensor is missing (`shown` [B O]).
        """
        nothing = torch.zeros_like(shown, dtype=torch.float32), torch.zeros_like(shown)
        if past is None or past.seen is None or past.unseen is None or bool(shown.all()):
            return nothing
        sensor = self.state.sensor
        scalars = torch.arange(len(sensor))
        values = self.decoder(past.seen)[:, sensor, scalars]
        known = (past.unseen >= 0)[:, sensor] & values.isfinite()
        return values.where(known, nothing[0]), known
