"""Stages of training: explore, learn percepts and world model, critic.

Each is a function of its arguments, reports to a ledger, and goes on where it was interrupted.
Source: LeCun (2022) sec. 3.3 and 4.5.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agent.config.build import Mind
from agent.core.errors import InputError
from agent.core.messages import Observation
from agent.core.protocols import Encoder, World
from agent.train.acting import Acts
from agent.train.asking import directives
from agent.train.calibrate import witnessed
from agent.train.curiosity import Curious
from agent.train.dataset import Dataset
from agent.train.explore import Explorer
from agent.train.images import checksum, open_images, reuse_memory
from agent.train.progress import Figures, Ledger, descend
from agent.train.rounds import Choice, Rounds


def explore(
    config: Explorer.Config,
    world: World,
    seed: int,
    ledger: Ledger,
    hold: Callable[[Observation], Tensor] | None = None,
    learn: Callable[[Dataset, int], Any] | None = None,
) -> Dataset:
    """Return the episodes that `config.policy` tries, collected once and kept as `explore`.

    Images lie beside the state in a file of their own, which is mapped into memory. `hold` says
    what to remember of an observation that misses something (`Holding`);
    `learn` is asked for by the policies that explore in rounds, and by scalar sensors only.
    Raises InputError if they cannot.
    """
    seen = world.sensors != world.sensors.scalars
    path = ledger.folder / "explore.npy" if seen and ledger.folder else None
    if not seen or (path and path.exists()):
        kept = ledger.load("explore")
        images = open_images(path) if path else None
        if kept is not None and (images is None or checksum(images) == kept[1]["crc32"]):
            return Dataset(**kept[0], images=images)
    dataset = _tried(config, world, seed, ledger, path, hold, learn)
    figures = {"transitions": float(dataset.transitions)}
    if dataset.images is not None:
        figures["crc32"] = float(checksum(dataset.images))
    ledger.save("explore", dataset.tensors(), figures)
    return dataset


def _tried(
    config: Explorer.Config,
    world: World,
    seed: int,
    ledger: Ledger,
    images: Path | None,
    hold: Callable[[Observation], Tensor] | None,
    learn: Callable[[Dataset, int], Any] | None,
) -> Dataset:
    def log(done: int, total: int) -> None:
        ledger.log("explore", done, total, {})

    choices: dict[str, Callable[..., Choice]] = {"curiosity": Curious, "acting": Acts}
    if config.policy not in choices:
        return Explorer(config, world, seed, hold).collect(log, images)
    if learn is None or hold is not None or world.sensors != world.sensors.scalars:
        raise InputError(
            "train.explore.policy: expected 'ou', 'coloured' or 'random' for a world with a camera"
            f" or with sensors that come and go, came '{config.policy}'; it looks at all sensors,"
            f" always"
        )
    return Rounds(config, world, learn, choices[config.policy](config, world), seed).collect(ledger)


def expect_device(name: str) -> None:
    """Raise InputError unless training can compute on the device `name`."""
    kind = name.partition(":")[0]
    able = {"cpu": True, "cuda": torch.cuda.is_available()}.get(kind)
    if able is None:
        raise InputError(f"train.learner.device: expected cpu or cuda, came '{name}'; name one")
    if not able:
        raise InputError(
            f"train.learner.device: expected a device that is here, came '{name}';"
            f" `python run_agent.py doctor` says what there is, cpu always works"
        )


def learn_world(
    learner: Any,
    dataset: Any,
    horizon: int,
    ledger: Ledger,
    view: Callable[[Dataset], Any] = lambda dataset: dataset,
    stage: str = "world_model",
) -> Figures:
    """Train perception and world model through `learner` (`modules.world_model.learn.Learner`).

    `dataset` offers what `Dataset` does. Returns held-out figures over `horizon` ticks, and says so
    if the latents have collapsed. The normaliser of perception is fitted first. `view` is how the
    learner sees experience.
    """
    expect_device(learner.config.device)
    if getattr(dataset, "images", None) is not None:
        reuse_memory()
    learner.perception.fit_normaliser(dataset.sample())
    known, held = (view(part) for part in dataset.split())
    learner.to(learner.config.device)
    descend(
        stage,
        learner.config.steps,
        lambda index: learner.step(index, known),
        learner,
        learner.optimiser,
        ledger,
    )
    learner.to("cpu")
    return judged(learner, held, horizon, ledger, stage)


def judged(learner: Any, held: Any, horizon: int, ledger: Ledger, stage: str) -> Figures:
    """Return a learner's held-out figures, over `horizon`; say so if its latents collapsed."""
    figures: Figures = learner.evaluate(held, horizon)
    if figures["collapsed"]:
        ledger.say(
            f"  warning: {stage}: the latents collapsed (effective_rank"
            f" {figures['effective_rank']:.2g}, deviation_mean {figures['deviation_mean']:.2g});"
            f" add or weigh up vicreg or sigreg in train.learner.objectives"
        )
    return figures


def fit_critic(
    critic: Any,
    memory: Any,
    perception: Encoder,
    dataset: Dataset,
    intrinsic: Callable[[Tensor, Tensor], Tensor],
    ledger: Ledger,
    seed: int = 0,
) -> Figures:
    """Train the critic from memory, on the intrinsic energy that episodes really cost.

    The dataset's episodes are lived through `memory` side by side, as many of their last ticks as
    it holds. `intrinsic(values, commands)` returns the energy [N T] of sensors [N T O] after
    commands [N T A]. Episodes are cut off by time, not ended, so something follows the last tick;
    one that the world ended stays where it did, at what that costs, and of that no more ticks
    are learned of than were lived.
    Raises InputError if memory does not hold such an episode whole.
    """
    kept = ledger.load("critic")
    if kept is not None:
        critic.load_state_dict(kept[0])
        return kept[1]
    energy = intrinsic(dataset.values[:, 1:], dataset.commands)
    memory.reset(len(dataset))
    with torch.no_grad():
        for tick in range(dataset.ticks):
            latent = perception.encode(dataset.values[:, tick + 1])
            memory.store(latent, energy[:, tick], dataset.commands[:, tick])
    latents, energies, _ = memory.sequences()
    paid = energies[:, 1:]
    memory.reset(1)
    never, counted = torch.zeros_like(paid, dtype=torch.bool), None
    if dataset.lived is not None:
        if len(latents[0]) < dataset.ticks:
            raise InputError(
                f"memory.capacity: expected {dataset.ticks} or more, the length of episodes that"
                f" end before time, came {len(latents[0])}; raise it, or lower train.explore.ticks"
            )
        counted = torch.arange(dataset.ticks)[-paid.shape[1] :] <= 2 * dataset.lived[:, None]
    figures: Figures = critic.fit(latents, paid, never, seed, counted=counted)
    ledger.log("critic", 1, 1, figures)
    ledger.save("critic", critic.state_dict(), figures)
    return figures


def intrinsic(mind: Mind) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the weighted intrinsic energy [N T] of sensors [N T O] after commands [N T A]."""
    terms = [t for t in mind.terms if t.kind == "intrinsic"]
    directive = directives(mind)(torch.zeros(1, mind.site.goal.size))

    def energy(values: Tensor, commands: Tensor) -> Tensor:
        rollout = witnessed(values[:, 0], commands, values, mind.site.sensors.scalars)
        parts = [t.weight * t.energy(rollout, directive)[0, :, 0] for t in terms]
        return torch.stack(parts).sum(dim=0)

    return energy
