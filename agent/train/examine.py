"""A look at what a trained world model knows: spectrum, probes, a map of its latents, forecasts.

Source: Alain, Bengio (2016), linear probes; van der Maaten, Hinton (2008), t-SNE; Jing, Vincent,
LeCun, Tian (2022) for the covariance spectrum as a sign of collapse.
"""

from __future__ import annotations

import torch
from torch import Tensor

from agent.config.build import Mind
from agent.core.spec import Layout
from agent.report.training import Examination, Strip
from agent.train.dataset import Dataset
from agent.train.progress import Figures
from agent.train.recall import recalling

WINDOWS, MAPPED, STRIPS = 2048, 1000, 3
RIDGE = 1e-3


@torch.no_grad()
def examine(mind: Mind, dataset: Dataset, horizon: int, seed: int = 0) -> Examination:
    """Return what held-out episodes show of a mind's latents and forecasts, `horizon` ticks far."""
    known, held = dataset.split()
    generator = torch.Generator().manual_seed(seed)
    values, commands = held.windows(WINDOWS, horizon, generator)
    start = recalling(mind.perception, mind.site.sensors).encode(values[:, 0])
    mapped = slice(0, min(MAPPED, len(start)))
    sensors = mind.site.sensors.scalars
    return Examination(
        spectrum=spectrum(start).tolist(),
        deviations=start.std(dim=0).tolist(),
        linear_r2=linear_probes(mind, known, held, seed),
        map=tsne(start[mapped], seed).numpy(),
        colours={
            name: column.numpy() for name, column in _scalars(sensors, values[mapped, 0]).items()
        },
        strips=[_strip(mind, values[i : i + 1], commands[i : i + 1]) for i in range(STRIPS)],
    )


def spectrum(latents: Tensor) -> Tensor:
    """Return the eigenvalues [Z] of the covariance of latents [n Z], largest first."""
    variances: Tensor = torch.linalg.eigvalsh(latents.T.cov())
    return variances.flip(0).clamp(min=0.0)


@torch.no_grad()
def linear_probes(mind: Mind, known: Dataset, held: Dataset, seed: int = 0) -> Figures:
    """Return the held-out R² of a ridge regression from the latent to every scalar sensor."""
    generator = torch.Generator().manual_seed(seed)
    learned, _ = known.windows(4 * WINDOWS, 0, generator)
    tested, _ = held.windows(WINDOWS, 0, generator)
    encode, scalars = recalling(mind.perception, mind.site.sensors).encode, mind.readouts.layout
    inputs, outputs = _with_one(encode(learned[:, 0])), learned[:, 0, : scalars.size]
    penalty = RIDGE * len(inputs) * torch.eye(inputs.shape[1])
    weights = torch.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ outputs)
    seen = tested[:, 0]
    read = _with_one(encode(seen)) @ weights
    found: Figures = {}
    for channel, where in scalars.slices():
        truth = seen[:, where]
        error = (read[:, where] - truth).square().sum()
        total = (truth - truth.mean(dim=0)).square().sum().clamp(min=1e-12)
        found[channel.name] = float(1 - error / total)
    return found


def tsne(latents: Tensor, seed: int = 0) -> Tensor:
    """Return a map [n 2] of latents [n Z] in which neighbours stay neighbours.

    If all latents are one point, so is the map.
    """
    from sklearn.manifold import TSNE

    if not bool((latents - latents[0]).any()):
        return torch.zeros(len(latents), 2)
    perplexity = min(30.0, (len(latents) - 1) / 3)
    fitted = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
    return torch.from_numpy(fitted.fit_transform(latents.numpy()))


def _with_one(latents: Tensor) -> Tensor:
    return torch.cat((latents, torch.ones(len(latents), 1)), dim=1)


def _scalars(layout: Layout, packed: Tensor) -> dict[str, Tensor]:
    """Return every scalar [n] of packed sensors [n O], named with its unit."""
    found = {}
    for channel, where in layout.slices():
        block = packed[:, where]
        for i in range(block.shape[1]):
            index = f" {i}" if block.shape[1] > 1 else ""
            found[f"{channel.name}{index} ({channel.unit})"] = block[:, i]
    return found


def _strip(mind: Mind, values: Tensor, commands: Tensor) -> Strip:
    """Return one window [1 L+1 O] as it came and as it was imagined from its first moment."""
    start = recalling(mind.perception, mind.site.sensors).encode(values[:, 0])
    read = mind.objective.imagine(start, commands[:, None]).quantities
    scalars = mind.site.sensors.scalars
    imagined = torch.cat([read[name] for name in scalars.names], dim=-1)[:, 0, 0]
    seen, members = _scalars(scalars, values[0, 1:]), imagined.unbind(dim=0)
    parts = [_scalars(scalars, member) for member in members]
    return Strip(
        seen={name: column.numpy() for name, column in seen.items()},
        imagined={name: torch.stack([p[name] for p in parts]).numpy() for name in seen},
    )
