"""A stream of batches."""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _genset
from ._arrays import converter
from ._batch import Batch

if TYPE_CHECKING:
    from ._dataset import Dataset

_alive: weakref.WeakSet[Loader] = weakref.WeakSet()
"""Loaders whose threads may be at work."""


class _Settings(NamedTuple):
    """What the native loader is told, by these names."""

    batch: int
    workers: int | None
    prefetch: int
    memory: int
    view_threads: int
    rank: tuple[int, int] | None
    part: tuple[int, int]
    range: tuple[int, int] | None
    shuffle: int | None
    drop_last: bool
    latents: bool
    zero_copy: bool


_ending = False
"""The process ends: nothing is started any more."""


@atexit.register
def _end_all() -> None:
    # A thread in a generator call while the libraries under it are being taken down would crash.
    global _ending
    _ending = True
    for loader in list(_alive):
        loader.close()


class Loader:
    """Batches of a dataset, made ahead by threads of its own, in order, the same bytes every time.

    ``for batch in loader`` is one pass over the dataset. The next ``for`` is the next pass: the same
    samples, with views drawn anew. A pass that is broken off is not gone on with: the next ``for`` is the
    next pass. Where there is no end, there is one pass, and ``for`` goes on where the last one stopped.

    Nothing here but ``rank``, ``part``, ``range``, ``shuffle`` and ``drop_last`` changes what is delivered.

    Args:
        dataset: What to stream.
        batch: Samples a batch.
        workers: Generator sessions, each on a thread of its own, or threads that read stored images.
            Default: as tuned, or one a core.
        prefetch: Batches made ahead of the consumer.
        memory: Bytes that batches under way may take.
        view_threads: Threads that share the making of views beside the workers; for generators on a
            device.
        rank: ``(rank, world_size)``: deliver this rank's part only. Default: from the environment
            variables ``RANK`` and ``WORLD_SIZE``, as torchrun sets them, or else everything.
        part: ``(number, of)``: deliver this part of the rank's batches only, for processes that share the
            loading of one rank. Together they deliver as many batches as one alone.
        range: ``(first, end)``: the samples of a pass. Default: all.
        shuffle: A seed: deliver stored samples in an order that is drawn anew for each pass. Generated
            samples are in random order as they are, and cannot be shuffled.
        drop_last: Leave out the last, shorter step, so that every batch of every rank is full.
        latents: Deliver the latents of every view too.
        zero_copy: Deliver stored samples as they lie in their file, without a copy, where they can be.
            Such arrays may not be written to.
        format: What arrays are: ``"numpy"``, ``"torch"``, ``"jax"``, or ``"dlpack"`` for any other
            library. Default: that of the dataset.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        batch: int = 256,
        workers: int | None = None,
        prefetch: int = 4,
        memory: int = 512 << 20,
        view_threads: int = 0,
        rank: tuple[int, int] | None = None,
        part: tuple[int, int] = (0, 1),
        range: tuple[int, int] | None = None,
        shuffle: int | None = None,
        drop_last: bool = False,
        latents: bool = False,
        zero_copy: bool = False,
        format: str | None = None,
    ) -> None:
        self._convert = converter(format or dataset.format)
        self._dataset = dataset
        self._settings = _Settings(
            batch,
            workers,
            prefetch,
            memory,
            view_threads,
            rank,
            part,
            range,
            shuffle,
            drop_last,
            latents,
            zero_copy,
        )
        self._format = format
        self._native = dataset._native.loader(self._settings)
        _alive.add(self)

    @property
    def dataset(self) -> Dataset:
        """What it streams."""
        return self._dataset

    def __iter__(self) -> Iterator[Batch]:
        self._native.begin()
        _alive.add(self)
        native, convert = self._native, self._convert
        while not _ending and (batch := native.next()) is not None:
            yield Batch(batch, convert)

    def __len__(self) -> int:
        """Batches of a pass, for this rank."""
        own = self._settings
        if self._dataset.is_endless and own.range is None:
            raise TypeError("a loader without end has no length")
        return self._dataset._native.count(own.batch, own.drop_last, own.rank, own.part, own.range)[0]

    def state_dict(self) -> dict[str, Any]:
        """Where it is: counts what was delivered, not what was made ahead.

        Batch size, workers and ranks may all be others when a run goes on.
        """
        digest, epoch, following = self._native.state()
        return {"digest": digest, "epoch": epoch, "next": following}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where another loader was.

        Raises:
            StateError: It was a loader over another dataset.
        """
        self._native.resume(state["digest"], state["epoch"], state["next"])
        _alive.add(self)

    def set_epoch(self, epoch: int) -> None:
        """The next pass is pass ``epoch``: its views are those of that epoch."""
        self._native.set_epoch(epoch)

    def statistics(self) -> dict[str, Any] | None:
        """What it has done since its threads were started, and what limits it; ``None`` without threads."""
        return self._native.statistics()

    def close(self) -> None:
        """Ends its threads and gives back their memory. Who iterates again starts others."""
        self._native.close()

    def __enter__(self) -> Loader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self._dataset, self._settings._asdict(), self._format, self.state_dict())

    def __repr__(self) -> str:
        return f"genset.Loader({self._dataset!r}, batch={self._settings.batch})"


def _unpickled(dataset: Dataset, settings: dict[str, Any], form: str | None, state: dict[str, Any]) -> Loader:
    loader = Loader(dataset, format=form, **settings)
    loader.load_state_dict(state)
    return loader
