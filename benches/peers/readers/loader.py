"""The DataLoader that most libraries read through, and orders of indices for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from collection import BATCH
from readers import Batch, Source

if TYPE_CHECKING:
    from torch.utils.data import DataLoader


def data_loader(dataset: object, source: Source, **settings: object) -> DataLoader:
    """Workers stay from epoch to epoch, four batches ahead: two, the default, leave workers waiting
    where batches are quick."""
    from torch.utils.data import DataLoader

    if source.workers:
        settings |= {"persistent_workers": True, "prefetch_factor": 4}
    return DataLoader(dataset, num_workers=source.workers, **settings)


def forever(loader: Iterable[Batch]) -> Iterator[Batch]:
    while True:
        yield from loader


def orders(count: int, shuffle: bool) -> Iterator[np.ndarray]:
    """Indices of batch after batch; whole batches only, another order each epoch."""
    random = np.random.default_rng()
    while True:
        order = random.permutation(count) if shuffle else np.arange(count)
        yield from order[: count // BATCH * BATCH].reshape(-1, BATCH)


def same(batch: Batch) -> Batch:
    """What comes out of a dataset as a batch needs no collating."""
    return batch
