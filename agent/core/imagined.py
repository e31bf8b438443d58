"""What the two faculties answer, for hundreds of plans within a tick: imagined futures, their bill.

Axes as in `agent.core.messages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Rollout:
    """Imagined futures: what the world model says candidate actions lead to.

    Shapes: `start` [B Z], `actions` [B K H A], `latents` [E B K H Z]. Step h is the state
    *after* action h. `quantities` maps a
    readout name to [E B K H n], in the sensor's unit. A model with a latent variable draws M
    futures from each of its networks; E counts them all, so that costs, attitudes to risk and
    guardrails see every one.

    `networks` says how many of them there are, the slowest part of E, so that what the model does
    not know can be told from what nobody can (`agent.core.disagreement`). 1: there is nothing to
    disagree about, as in what was seen; 0: the model does not say. `spread_scale` is the calibrated
    factor from their deviation to the error to be expected.

    `past` maps a guardrail that remembers to what it kept, [B m], of the episode up to and with
    `start`; the runtime puts it there. Empty: nothing came before the first step.
    """

    start: Tensor
    actions: Tensor
    latents: Tensor
    quantities: Mapping[str, Tensor]
    networks: int = 0
    spread_scale: float | Tensor = 1.0
    past: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bill:
    """What imagined futures cost.

    Shapes: `energy` [B K], already weighted and aggregated over members; `terms`
    [B K T H], weighted; `guardrails` [B K R H], positive where violated, margin included;
    `violation` [B K], the sum of the positive parts.
    """

    energy: Tensor
    terms: Tensor
    guardrails: Tensor
    violation: Tensor
