"""What a memory gives back of a life, when it is asked to play it again."""

from __future__ import annotations

from dataclasses import dataclass, fields

from torch import Tensor

STRETCH, EVERY = 24, 4
"""Of every `EVERY` stretches of so many ticks the last is held out."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Pieces of life, of `L` ticks each that followed one another; they may overlap.

    Shapes: `latents` [n L+1 Z]; `commands` [n L A], of which command t led from latent t to t+1;
    `energies` and `surprises` [n L], the intrinsic energy paid, and the surprise felt, on arriving
    in latent t+1; `first` [n], the number of the first tick in the agent's life.
    """

    latents: Tensor
    commands: Tensor
    energies: Tensor
    surprises: Tensor
    first: Tensor

    def __len__(self) -> int:
        """Return how many pieces there are."""
        return len(self.first)

    def rows(self, which: Tensor) -> Replay:
        """Return some of the pieces."""
        return Replay(*(getattr(self, field.name)[which] for field in fields(self)))

    def split(self) -> tuple[Replay, Replay]:
        """Return the pieces to learn from and those to judge by, which share no tick.

        Neighbouring ticks are alike, so whole stretches are held out; a piece that lies in both
        kinds belongs to neither. Pieces must be shorter than a stretch for any to be held out.
        """
        ends = self.first, self.first + self.commands.shape[1]
        held = [end // STRETCH % EVERY == EVERY - 1 for end in ends]
        return self.rows(~held[0] & ~held[1]), self.rows(held[0] & held[1])
