"""What memory allows: a bare copy, and NumPy's memory map of raw pixels.

The map copies a batch in one call where it lies in one piece, and by `take` where it
is shuffled, `mode="clip"` because it else goes through a buffer. NumPy lets other
threads run meanwhile. The copy does the same from memory that no file is behind: the
ceiling for whoever hands out a copy.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from collection import BATCH
from readers import Batch, Source
from readers.loader import orders
from readers.threads import batches


class Mapped:
    def __init__(self, source: Source) -> None:
        self.versions = {"numpy": np.__version__}
        self.source = source
        self.images = np.load(source.store / "images.npy", mmap_mode="r").view(np.ndarray)
        self.labels = np.load(source.store / "labels.npy")

    def __iter__(self) -> Iterator[Batch]:
        fill = self.scattered if self.source.shuffle else self.together
        order = orders(len(self.labels), self.source.shuffle)
        return batches(order, fill, self.images.shape[1:], self.source.workers)

    def together(self, order: np.ndarray, out: np.ndarray) -> np.ndarray:
        part = slice(order[0], order[0] + BATCH)
        np.copyto(out, self.images[part])
        return self.labels[part]

    def scattered(self, order: np.ndarray, out: np.ndarray) -> np.ndarray:
        self.images.take(order, axis=0, out=out, mode="clip")
        return self.labels[order]


class Copies(Mapped):
    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.images = self.images.copy()
