"""Finding the nearest of many stored latents: exactly while they are few, by an index beyond that.

Source: Johnson, Douze, Jegou (2019), "Billion-scale similarity search with GPUs" (faiss); the
inverted file: Sivic, Zisserman (2003).
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

LISTS_PER_ROOT, MOST_LISTS = 2.0, 4096
"""An index of n latents has so many lists per sqrt(n), but never more than the second."""
LEARNED_PER_LIST, ROUNDS = 40, 8
"""Latents per list that the centres of lists are fitted to, and rounds of k-means."""


class Nearest:
    """Stored latents [n Z] with an energy each, more and more, and the nearest of them to a query.

    Up to `exact` of them every one is compared. Beyond, latents lie in lists around centres, and
    only the `probes` lists whose centres are nearest are searched, so that a near one may be missed
    (docs/guides/memory.md measures how often). Centres are fitted anew whenever there are twice
    as many latents; all is a function of what was added, in that order.
    """

    def __init__(self, latent: int, exact: int = 20_000, probes: int = 16) -> None:
        """Store nothing yet, of `latent` dimensions."""
        self._exact, self._probes = exact, probes
        self._keys, self._energies, self._count = torch.zeros(0, latent), torch.zeros(0), 0
        self._index: Any = None
        self._fitted = 0

    def __len__(self) -> int:
        """Return how many latents are stored."""
        return self._count

    @property
    def keys(self) -> Tensor:
        """What is stored, [n Z], in the order in which it was added."""
        return self._keys[: self._count]

    @property
    def energies(self) -> Tensor:
        """Their energies, [n]."""
        return self._energies[: self._count]

    def add(self, keys: Tensor, energies: Tensor) -> None:
        """Store latents [n Z] and energies [n] behind those that are there, if all are finite."""
        sound = keys.isfinite().all(dim=1) & energies.isfinite()
        keys, energies = keys[sound], energies[sound]
        wanted = self._count + len(keys)
        self._keys = _grown(self._keys, self._count, keys)
        self._energies = _grown(self._energies, self._count, energies)
        self._count = wanted
        if wanted <= self._exact:
            return
        if self._index is None or wanted >= 2 * self._fitted:
            self._index, self._fitted = self._built(), wanted
        else:
            self._index.add(keys.contiguous().numpy())

    def search(self, query: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return distances and numbers [B k] of the nearest to `query` [B Z], nearest first.

        Where fewer were found, distances are infinite and numbers 0.
        """
        if self._index is None:
            return self.search_all(query, k)
        squared, found = self._index.search(query.contiguous().numpy(), k)
        near, which = torch.from_numpy(squared), torch.from_numpy(found)
        missing = which < 0
        return near.clamp(min=0.0).sqrt().masked_fill(missing, torch.inf), which.clamp(min=0)

    def search_all(self, query: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return what `search` does, by comparing with every stored latent."""
        near = torch.cdist(query, self.keys, compute_mode="donot_use_mm_for_euclid_dist")
        distances, which = near.topk(min(k, self._count), dim=1, largest=False)
        lack = k - distances.shape[1]
        return (
            torch.nn.functional.pad(distances, (0, lack), value=torch.inf),
            torch.nn.functional.pad(which, (0, lack)),
        )

    def _built(self) -> Any:
        """Return an index of all that is stored."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # SWIG's, from Python 3.12 on
            import faiss
        faiss.omp_set_num_threads(1)
        keys = self.keys.numpy()
        size = keys.shape[1]
        lists = min(int(LISTS_PER_ROOT * len(keys) ** 0.5), MOST_LISTS, len(keys))
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(size), size, lists)
        index.cp.niter, index.cp.max_points_per_centroid = ROUNDS, LEARNED_PER_LIST
        index.cp.min_points_per_centroid = 1
        index.nprobe = self._probes
        index.train(keys[:: max(1, len(keys) // (LEARNED_PER_LIST * lists))])
        index.add(keys)
        return index


def _grown(room: Tensor, count: int, more: Tensor) -> Tensor:
    """Return `room` with `more` behind its first `count` rows; twice as large where it is full."""
    wanted = count + len(more)
    if wanted > len(room):
        fresh = room.new_zeros(max(wanted, 2 * len(room)), *room.shape[1:])
        fresh[:count] = room[:count]
        room = fresh
    room[count:wanted] = more
    return room
