"""What perceptions that fill in missing sensors have in common: an encoder and a decoder.

Source: LeCun (2022) sec. 3 and 4, completing what is not observed.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from agent.core.messages import Directive, Observation
from agent.core.protocols import Ports, Site
from agent.core.settings import Settings
from modules.perception.state import StatePerception


class Completion(nn.Module):
    """Encodes as `state` does; its decoder says what sensors would show in the state of a latent.

    What is decoded, and how far it is believed, is the subclass's `tick`.
    """

    class Config(Settings):
        """`width` and `compressed` as in `state`; hidden layer of the decoder."""

        width: int = Field(default=128, ge=1)
        compressed: tuple[str, ...] = ()
        decoder_width: int = Field(default=128, ge=1)

    reads: ClassVar[tuple[type, ...]] = (Observation, Directive)

    def __init__(self, config: Config, site: Site) -> None:
        """Build an untrained encoder and decoder. Raises ValueError for an unknown sensor."""
        super().__init__()
        encoder = StatePerception.Config(width=config.width, compressed=config.compressed)
        self.state = StatePerception(encoder, site)
        self.decoder = Decoder(site.latent, config.decoder_width, site.sensors.size)

    def ports(self) -> Ports:
        """Insist on the body's sensor layout and promise a latent of the site's size."""
        return self.state.ports()

    def fit_normaliser(self, values: Tensor) -> None:
        """Take mean and deviation of sensor values [..., O], as `state` does."""
        self.state.fit_normaliser(values)

    def encode(self, values: Tensor) -> Tensor:
        """Return latents [..., Z] of packed sensor values [..., O]; differentiable."""
        return self.state.encode(values)

    def completion_loss(self, latents: Tensor, values: Tensor) -> Tensor:
        """Return the decoder's mean squared error from latents [..., Z] to sensors [..., O].

        In units of the sensors' deviations: 1 is what always saying the mean would cost.
        """
        return F.mse_loss(self.decoder(latents), self.state.normalise(values))


class Decoder(nn.Module):
    """Says what the sensors would show, normalised [..., O], in the state of a latent [..., Z]."""

    def __init__(self, latent: int, width: int, size: int) -> None:
        """Build an untrained linear map plus a network of one hidden layer."""
        super().__init__()
        self.linear = nn.Linear(latent, size)
        self.network = nn.Sequential(nn.Linear(latent, width), nn.SiLU(), nn.Linear(width, size))

    def forward(self, latents: Tensor) -> Tensor:
        """Return normalised sensors."""
        shown: Tensor = self.linear(latents) + self.network(latents)
        return shown
