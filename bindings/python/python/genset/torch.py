"""Datasets for PyTorch's ``DataLoader``.

``Dataset`` replaces ``ImageFolder(...)`` in one line: any sampler, shuffled or not, any number of
workers. ``IterableDataset`` is the faster one: it streams. Both take what ``genset.Dataset``
takes, deliver every sample once a pass, and draw views anew for each pass.

Generated samples are in random order as they are: ``shuffle=True`` gains nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.utils import data

from ._dataset import Dataset as _Dataset
from .errors import ArgumentError

if TYPE_CHECKING:
    from ._batch import Batch

_MAX_WORKERS = 1024
"""Of one DataLoader."""
_BATCH = 128
"""Samples that are made at once where single ones are asked for."""


class _OfRecipe:
    """What both kinds share: a dataset whose arrays are tensors."""

    _dataset: _Dataset

    @property
    def dataset(self) -> _Dataset:
        """The ``genset.Dataset`` behind it."""
        return self._dataset

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of labels."""
        return self._dataset.classes

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class, by its name."""
        return {name: label for label, name in enumerate(self.classes)}


class _Memory(NamedTuple):
    """Where shared memory is, by the names of the native part."""

    tags: tuple[int, int]
    groups: list[tuple[int, int]]


class _SharedBlocks:
    """Memory for all blocks of a pass, which workers share: forked, or sent to them as PyTorch does."""

    def __init__(self, tags: torch.Tensor, groups: list[torch.Tensor]) -> None:
        self._tags = tags
        self._groups = groups

    @classmethod
    def of(cls, dataset: _Dataset, limit: int) -> _SharedBlocks | None:
        """``None`` where it would take more than ``limit`` bytes, or more than half of what is free; and for
        stored images, which are read one by one."""
        if dataset.is_stored:
            return None
        block, sizes = dataset._native.block()
        blocks = -(-len(dataset) // block)
        wanted = blocks * block * sum(sizes)
        try:
            system = os.statvfs("/dev/shm")
            limit = min(limit, system.f_bavail * system.f_frsize // 2)
        except (AttributeError, OSError):
            pass
        if wanted > limit:
            return None
        tags = torch.zeros(blocks, dtype=torch.int64).share_memory_()
        groups = [torch.empty(blocks * block * size, dtype=torch.uint8).share_memory_() for size in sizes]
        return cls(tags, groups)

    def memory(self) -> _Memory:
        groups = [(images.data_ptr(), images.numel()) for images in self._groups]
        return _Memory((self._tags.data_ptr(), self._tags.numel()), groups)


class Dataset(_OfRecipe, data.Dataset[tuple[Any, Any]]):
    """A map-style dataset: ``dataset[i]`` is ``(image, label)``, as ``ImageFolder`` gives it.

    ``image`` is a tensor ``[C, H, W]`` if a sample has one view, and otherwise a tuple of them, one a view,
    which ``DataLoader`` collates to a list of ``[B, C, H, W]``. Values are as the recipe delivers them;
    ``output={"dtype": "f32"}`` gives floats in ``[0, 1]``. ``label`` is -1 where there is no class.

    The n-th time that an index is asked for, by whatever worker, it has the views of epoch n, as a folder's
    images are augmented anew each time; ``set_epoch`` fixes the epoch instead.

    Args:
        recipe: As for ``genset.Dataset``, with its options and a recipe's keys.
        transform: Applied to each view.
        target_transform: Applied to the label.
        random_access: Bytes of images that are kept of blocks that were made. A sample is made with its
            whole block. Where all of a pass fit in here, and in what the system has of shared memory, each
            block is made once a pass by all workers together; else those made last are kept, by each worker.
    """

    def __init__(
        self,
        recipe: Any = None,
        *,
        transform: Callable[[torch.Tensor], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
        random_access: int = 512 << 20,
        **options: Any,
    ) -> None:
        self._dataset = _Dataset(recipe, random_access=random_access, format="torch", **options)
        if self._dataset.is_endless:
            raise ArgumentError("a map-style dataset needs an end\n  help: samples=60_000, or IterableDataset")
        self._blocks = _SharedBlocks.of(self._dataset, random_access)
        self._transform = transform
        self._target_transform = target_transform
        # Shared, so that workers see what others delivered, and what the main process sets.
        self._delivered = torch.zeros(len(self._dataset), dtype=torch.int32).share_memory_()
        self._epoch = torch.full((1,), -1, dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int | None) -> None:
        """Every index has the views of ``epoch`` from now on; ``None`` to count again."""
        self._epoch[0] = -1 if epoch is None else epoch

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Any, Any]]:
        places = self._dataset._indices(indices)
        items: list[Any] = [None] * len(places)
        shared = None if self._blocks is None else self._blocks.memory()
        for epoch, at in self._epochs(places).items():
            batch = self._dataset._gather([places[i] for i in at], epoch, shared)
            for i, item in zip(at, self._items(batch), strict=True):
                items[i] = item
        return items

    def _epochs(self, places: list[int]) -> dict[int, list[int]]:
        """The epoch that each sample has its views of."""
        if (fixed := int(self._epoch[0])) >= 0:
            return {fixed: list(range(len(places)))}
        at = torch.tensor(places) - self._dataset.first
        if len(set(places)) == len(places):
            counts = self._delivered[at].tolist()
            self._delivered[at] += 1
        else:
            counts = []
            for place in at.tolist():
                counts.append(int(self._delivered[place]))
                self._delivered[place] += 1
        epochs: dict[int, list[int]] = {}
        for number, epoch in enumerate(counts):
            epochs.setdefault(epoch, []).append(number)
        return epochs

    def _items(self, batch: Batch) -> Iterator[tuple[Any, Any]]:
        for images, label in _samples(batch):
            if self._transform is not None:
                images = tuple(map(self._transform, images))
            if self._target_transform is not None:
                label = self._target_transform(label)
            yield _one_or_all(images), label


class IterableDataset(_OfRecipe, data.IterableDataset[tuple[Any, Any]]):
    """A stream, shared out among ranks and workers: every sample once a pass.

    Without ``batch_size`` it gives samples, as ``Dataset`` does, for ``DataLoader(dataset,
    batch_size=256)``. With it, whole batches, which need not be collated: ``DataLoader(dataset,
    batch_size=None)``, or no ``DataLoader`` at all: its threads work ahead as they are. Those are
    ``(images, labels)`` with ``images`` ``[B, C, H, W]`` for one view, or a tuple of such, one a view, all
    without a copy.

    Ranks come from ``rank``, or else from ``torch.distributed`` if it is initialised, or else from torchrun's
    environment. It has ``state_dict`` and ``load_state_dict`` for torchdata's ``StatefulDataLoader``.

    Args:
        recipe: As for ``genset.Dataset``, with its options and a recipe's keys.
        batch_size: Samples a batch; ``None`` for samples.
        rank: ``(rank, world_size)``.
        loader: Settings of ``genset.Loader``: ``{"workers": 4, "prefetch": 8}``. Ranks that must go in
            step, as those of DistributedDataParallel, want ``{"drop_last": True}``: else the last step may
            have a batch for some of them only.
    """

    def __init__(
        self,
        recipe: Any = None,
        *,
        batch_size: int | None = None,
        rank: tuple[int, int] | None = None,
        loader: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise ArgumentError("a batch must have at least one sample")
        self._dataset = _Dataset(recipe, format="torch", **options)
        self._batch_size = batch_size
        self._rank = rank
        self._settings = dict(loader or {})
        # Shared with workers: the pass that the next one is counted from, where in it to begin (-1: at its
        # beginning), and how many passes each worker has begun since.
        self._pass = torch.tensor([0, -1], dtype=torch.int64).share_memory_()
        self._begun = torch.zeros(_MAX_WORKERS, dtype=torch.int64).share_memory_()
        self._resumed: dict[str, Any] | None = None
        self._now: dict[str, Any] | None = None

    def set_epoch(self, epoch: int, next: int | None = None) -> None:
        """The next pass is pass ``epoch``, from sample ``next`` on. Later ones are counted from there.

        Reaches workers that persist, at their next pass. After any number of steps, all ranks and workers
        together have delivered a prefix of the dataset: its length is what ``next`` goes on from.
        """
        self._pass[0], self._pass[1] = epoch, -1 if next is None else next
        self._begun.zero_()

    def _of_world(self) -> tuple[int, int]:
        if self._rank is not None:
            return self._rank
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))

    def __getstate__(self) -> dict[str, Any]:
        # A spawned worker knows nothing of torch.distributed.
        return {**self.__dict__, "_rank": self._of_world()}

    def __len__(self) -> int:
        """Samples, or batches, of this rank, however many workers share them."""
        if self._dataset.is_endless:
            raise TypeError("an endless dataset has no length\n  help: give it one: samples=60_000")
        own, whole = {"drop_last": False, "range": None, **self._loader_settings()}, (0, 1)
        batches, samples = self._dataset._native.count(
            own["batch"], own["drop_last"], self._of_world(), whole, own["range"]
        )
        return samples if self._batch_size is None else batches

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        worker = data.get_worker_info()
        number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        settings = self._loader_settings()
        if workers > 1:
            settings.setdefault("workers", max(1, (os.cpu_count() or 1) // workers))
        part = number, workers
        with self._dataset.loader(rank=self._of_world(), part=part, **settings) as loader:
            before, skip = self._begin(loader, number)
            for batch in loader:
                after = loader.state_dict()
                yield from self._of_batch(batch, before, after, skip)
                before, skip = after, 0

    def _loader_settings(self) -> dict[str, Any]:
        return {"batch": self._batch_size or _BATCH, **self._settings}

    def _begin(self, loader: Any, number: int) -> tuple[dict[str, Any], int]:
        """Puts a loader where this pass begins; gives where, and how many samples to leave out there."""
        if (state := self._resumed) is not None:
            self._resumed = None
            self._pass[0], self._begun[number] = state["loader"]["epoch"], 1
            loader.load_state_dict(state["loader"])
            return state["loader"], state["delivered"]
        begun = int(self._begun[number])
        self._begun[number] += 1
        state = loader.state_dict()
        state["epoch"] = int(self._pass[0]) + begun
        if begun == 0 and int(self._pass[1]) >= 0:
            state["next"] = int(self._pass[1])
        loader.load_state_dict(state)
        return state, 0

    def _of_batch(
        self, batch: Batch, before: dict[str, Any], after: dict[str, Any], skip: int
    ) -> Iterator[tuple[Any, Any]]:
        """The batch, or its samples but the first ``skip``; it lies between two states of its loader."""
        if self._batch_size is not None:
            self._now = {"loader": after, "delivered": 0}
            yield _one_or_all(_views(batch)), _labels(batch)
            return
        for at, (images, label) in enumerate(_samples(batch)):
            if at < skip:
                continue
            is_last = at + 1 == len(batch)
            self._now = {"loader": after if is_last else before, "delivered": 0 if is_last else at + 1}
            yield _one_or_all(images), label

    def state_dict(self) -> dict[str, Any]:
        """Where this worker's stream is."""
        return {} if self._now is None else dict(self._now)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where a stream with the same ranks and workers was."""
        self._resumed = dict(state) if state else None


def _views(batch: Batch) -> list[torch.Tensor]:
    """Each view of a batch, ``[B, C, H, W]``, of all groups after each other."""
    return [view for images in batch.groups.values() for view in images.unbind(1)]


def _labels(batch: Batch) -> torch.Tensor:
    """The class of each sample, -1 where there is none."""
    return torch.full((len(batch),), -1) if batch.labels is None else batch.labels


def _samples(batch: Batch) -> Iterator[tuple[tuple[Any, ...], int]]:
    """The views of each sample, and its label."""
    return zip(zip(*_views(batch), strict=True), _labels(batch).tolist(), strict=True)


def _one_or_all(views: Sequence[Any]) -> Any:
    """A view, if there is one, and otherwise a tuple of them."""
    return views[0] if len(views) == 1 else tuple(views)
