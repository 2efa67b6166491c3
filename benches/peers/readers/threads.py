"""Threads that fill batches in advance, for code that holds no lock of Python's while it works.

Thread k makes batches k, k + W, … in buffers of its own and hands them over in a
queue of its own, so that nobody waits for anybody but the consumer for its next batch,
and batches come in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Thread

import numpy as np

from collection import BATCH
from readers import Batch

AHEAD = 3  # batches of each thread

Fill = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Writes the images of some indices to `[B, …]`; gives the labels."""


def batches(orders: Iterator[np.ndarray], fill: Fill, shape: tuple[int, ...], threads: int) -> Iterator[Batch]:
    """Batch after batch, each valid until the next is asked for. No threads: made when asked for."""
    if threads == 0:
        out = np.empty((BATCH, *shape), np.uint8)
        for order in orders:
            yield out, fill(order, out)
        return
    crew = [_Crew(fill, shape) for _ in range(threads)]
    for _ in range(AHEAD):
        for one in crew:
            one.wanted.put(next(orders))
    while True:
        for one in crew:
            images, labels = one.ready.get()
            if isinstance(labels, BaseException):
                raise labels
            yield images, labels
            one.free.put(images)
            one.wanted.put(next(orders))


class _Crew:
    """One thread."""

    def __init__(self, fill: Fill, shape: tuple[int, ...]) -> None:
        self.fill = fill
        self.wanted, self.ready, self.free = SimpleQueue(), SimpleQueue(), SimpleQueue()
        for _ in range(AHEAD):
            self.free.put(np.empty((BATCH, *shape), np.uint8))
        Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            order, images = self.wanted.get(), self.free.get()
            try:
                labels = self.fill(order, images)
            except Exception as error:
                labels = error
            self.ready.put((images, labels))
