"""Samples one by one: taken, skipped, shared out, mapped and filtered, as Hugging Face's datasets are."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ._arrays import converter
from .errors import ArgumentError

if TYPE_CHECKING:
    from ._batch import Batch
    from ._dataset import Dataset

Sample = dict[str, Any]
_Step = Callable[[Iterator[Sample]], Iterator[Sample]]

_CHUNK = 256
"""Samples that are made at once."""
_END = (1 << 63) - 1
"""Samples are numbered up to this, exclusive."""


class Stream:
    """Samples of a dataset, each a ``dict``: ``index``, ``images`` (or the name of each group of views),
    ``label`` where there are classes.

    Nothing is made before it is iterated; each method gives another stream. ``take``, ``skip``,
    ``shard`` and ``select`` choose indices, which costs nothing, as long as they come before
    ``map`` and ``filter``; after those they count what is left.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        first = dataset.first
        self._indices: Sequence[int] = range(first, _END if dataset.is_endless else first + len(dataset))
        self._steps: tuple[_Step, ...] = ()

    @property
    def dataset(self) -> Dataset:
        """What its samples are of."""
        return self._dataset

    @property
    def _is_endless(self) -> bool:
        return self._indices[-1:] == range(_END - 1, _END)

    def _with(self, **changes: Any) -> Stream:
        other = object.__new__(Stream)
        other.__dict__.update(self.__dict__, **changes)
        return other

    def _then(self, step: _Step) -> Stream:
        return self._with(_steps=(*self._steps, step))

    def take(self, samples: int) -> Stream:
        """The first ``samples`` samples."""
        if self._steps:
            return self._then(_Slice(0, _count(samples)))
        return self._with(_indices=self._indices[: _count(samples)])

    def skip(self, samples: int) -> Stream:
        """All but the first ``samples`` samples."""
        if self._steps:
            return self._then(_Slice(_count(samples), None))
        return self._with(_indices=self._indices[_count(samples) :])

    def shard(self, num_shards: int, index: int) -> Stream:
        """Part ``index`` of ``num_shards`` nearly equal, contiguous parts."""
        if not 0 <= index < num_shards:
            raise ArgumentError(f"there is no shard {index} of {num_shards}")
        if self._steps:
            raise ArgumentError("what was mapped or filtered has no known length\n  help: shard it before")
        if self._is_endless:
            raise ArgumentError("what has no end has no parts\n  help: take(n) first")
        samples = len(self._indices)
        begin, end = samples * index // num_shards, samples * (index + 1) // num_shards
        return self._with(_indices=self._indices[begin:end])

    def select(self, indices: Iterable[int]) -> Stream:
        """The samples at these places of the stream, in this order."""
        if self._steps:
            raise ArgumentError("what was mapped or filtered has no places\n  help: select before")
        places = indices if isinstance(indices, range) else [operator.index(one) for one in indices]
        if isinstance(places, range):
            ends = (places[0], places[-1]) if len(places) else (0,)
            if len(places) and not 0 <= min(ends) <= max(ends) < len(self._indices):
                raise IndexError(f"{places} is not within the {len(self._indices)} samples there are")
            if isinstance(self._indices, range) and places.step > 0:
                return self._with(_indices=self._indices[places.start : places.stop : places.step])
        return self._with(_indices=[self._indices[place] for place in places])

    def map(self, function: Callable[[Sample], Sample]) -> Stream:
        """Each sample as ``function`` gives it."""
        return self._then(_Map(function))

    def filter(self, keep: Callable[[Sample], bool]) -> Stream:
        """The samples for which ``keep`` is true."""
        return self._then(_Filter(keep))

    def with_format(self, format: str) -> Stream:
        """The same samples, with arrays of another kind: see ``genset.Dataset``."""
        return self._with(_dataset=self._dataset.with_format(format))

    def __len__(self) -> int:
        if self._steps:
            raise TypeError("what was mapped or filtered has no known length")
        if self._is_endless:
            raise TypeError("an endless stream has no length\n  help: take(n)")
        return len(self._indices)

    def __iter__(self) -> Iterator[Sample]:
        samples = itertools.chain.from_iterable(map(_samples, self._batches()))
        for step in self._steps:
            samples = step(samples)
        return samples

    def _batches(self) -> Iterator[Batch]:
        indices = self._indices
        if not len(indices):
            return
        if isinstance(indices, range) and indices.step == 1:
            part = indices.start, indices.stop
            with self._dataset.loader(batch=_CHUNK, rank=(0, 1), range=part) as loader:
                yield from loader
            return
        for begin in range(0, len(indices), _CHUNK):
            yield self._dataset.gather(indices[begin : begin + _CHUNK])

    def to_hf(self, shards: int = 16) -> Any:
        """A ``datasets.IterableDataset`` of Hugging Face over these samples, as numpy arrays.

        Args:
            shards: Parts that its workers share; 1 for what has no end.
        """
        import datasets

        parts = [self] if self._steps or self._is_endless else [self.shard(shards, i) for i in range(shards)]
        parts = [part.with_format("numpy") for part in parts]
        return datasets.IterableDataset.from_generator(_all_of, gen_kwargs={"parts": parts})

    def __repr__(self) -> str:
        steps = "".join(f".{step}" for step in self._steps)
        return f"genset.Stream({self._dataset!r}, {len(self._indices):,} indices){steps}"


def _all_of(parts: list[Stream]) -> Iterator[Sample]:
    for part in parts:
        yield from part


def _samples(batch: Batch) -> Iterator[Sample]:
    groups = {name or "images": images for name, images in batch.groups.items()}
    index, labels = batch.index, batch.labels
    for at in range(len(batch)):
        sample = {"index": int(index[at])}
        sample.update((name, images[at]) for name, images in groups.items())
        if labels is not None:
            sample["label"] = int(labels[at])
        yield sample


def _count(samples: int) -> int:
    if samples < 0:
        raise ArgumentError(f"{samples} samples cannot be counted")
    return operator.index(samples)


class _Map:
    def __init__(self, function: Callable[[Sample], Sample]) -> None:
        self._function = function

    def __call__(self, samples: Iterator[Sample]) -> Iterator[Sample]:
        return map(self._function, samples)

    def __repr__(self) -> str:
        return f"map({getattr(self._function, '__name__', self._function)})"


class _Filter:
    def __init__(self, keep: Callable[[Sample], bool]) -> None:
        self._keep = keep

    def __call__(self, samples: Iterator[Sample]) -> Iterator[Sample]:
        return filter(self._keep, samples)

    def __repr__(self) -> str:
        return f"filter({getattr(self._keep, '__name__', self._keep)})"


class _Slice:
    def __init__(self, begin: int, end: int | None) -> None:
        self._bounds = begin, end

    def __call__(self, samples: Iterator[Sample]) -> Iterator[Sample]:
        return itertools.islice(samples, *self._bounds)

    def __repr__(self) -> str:
        begin, end = self._bounds
        return f"skip({begin})" if end is None else f"take({end})"
