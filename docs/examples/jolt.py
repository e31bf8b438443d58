from torch.nn import functional as F

from agent.core.settings import Settings


class Jolt:
    """Mean squared change of the command from one imagined step to the next."""

    class Config(Settings):
        name: str = "jolt"
        weight: float = 0.02

    kind = "intrinsic"

    def __init__(self, config, site):
        self.name, self.weight = config.name, config.weight

    def energy(self, rollout, directive):
        change = rollout.actions.diff(dim=2).square().mean(dim=-1)
        return F.pad(change, (1, 0))[None]
