"""A dataset: random access, and what streams are made of."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from . import _genset
from ._arrays import converter
from ._batch import Batch
from ._loader import Loader
from ._recipe import Engine, Recipe, native, onnxruntime
from .errors import ArgumentError

if TYPE_CHECKING:
    from ._stream import Stream


class Dataset:
    """What ``ImageFolder`` is to a folder: a generator's images, or stored ones, by index or as a stream.

    ``dataset[5]``, ``dataset[10:20]`` and ``dataset[[3, 1, 4]]`` are batches: the same bytes that any
    loader delivers at those indices. ``for sample in dataset`` gives every sample as a batch of one;
    ``loader`` is faster.

    Args:
        recipe: A recipe's file, ``"builtin:digits"``, ``"builtin:fashion"``, a folder of shards, real
            images, or a recipe as a table. May be left out if keys are given.
        provider: Execution providers in order of preference: ``"cpu"``, ``"openvino"``, ``"cuda"``, …
        provider_options: What is set on them, such as ``{"cuda.device_id": 1}``.
        threads: Threads inside one generator call. Default: as tuned, or 1.
        rewrites: Exact edits of the generator's graph: ``"auto"``, ``"none"``, or a list of names.
        ort: An ONNX Runtime library, or the folder that holds it. Default: ``GENSET_ORT``, the
            ``onnxruntime`` package of this Python, genset's cache; where there is none, the pinned one is
            fetched with pip.
        random_access: Bytes of images that are kept of blocks that random access has made, beside the
            last.
        format: What arrays are: ``"numpy"``, ``"torch"``, ``"jax"`` or ``"dlpack"``.
        keys: Keys of a recipe, put over it: ``samples=10_000``, ``views={"count": 4}``. Tables are
            merged, other values replaced.

    Raises:
        RecipeError, ModelError, FileError: Files that cannot be read or do not fit each other.
        OnnxRuntimeError, ProviderError: What it should run on is not there.
    """

    def __init__(
        self,
        recipe: Recipe | None = None,
        *,
        provider: str | Sequence[str] = (),
        provider_options: dict[str, Any] | None = None,
        threads: int | None = None,
        rewrites: str | Sequence[str] = "auto",
        ort: str | os.PathLike[str] | None = None,
        random_access: int = 0,
        format: str = "numpy",
        **keys: Any,
    ) -> None:
        if recipe is None:
            if not keys:
                raise ArgumentError("no recipe\n  help: give a path, a table, or its keys")
            recipe = {}
        providers = [provider] if isinstance(provider, str) else list(provider)
        options = {name: str(value) for name, value in (provider_options or {}).items()}
        edits = rewrites if isinstance(rewrites, str) else ",".join(rewrites)
        converter(format)
        self._format = format
        self._open(
            *native(recipe, keys),
            os.getcwd(),
            Engine(
                providers,
                [f"{name}={value}" for name, value in options.items()],
                threads,
                edits,
                None if ort is None else os.fspath(ort),
                None,
                random_access,
            ),
        )

    def _open(self, recipe: Any, keys: dict[str, Any], folder: str, engine: Engine) -> None:
        self._arguments = (recipe, keys, folder, engine)
        # Where this Python has the package is found out anew in each process.
        engine = engine._replace(package=onnxruntime())
        self._native = _genset.Dataset(recipe, keys, folder, engine)

    @property
    def format(self) -> str:
        """What arrays are: ``"numpy"``, ``"torch"``, ``"jax"`` or ``"dlpack"``."""
        return self._format

    @property
    def name(self) -> str:
        """Its name, for people."""
        return self._native.name

    @property
    def digest(self) -> str:
        """Its identity: BLAKE3 of model and recipe, as 64 hexadecimal digits."""
        return self._native.digest

    @property
    def recipe(self) -> str | None:
        """The recipe as TOML, with everything filled in; ``None`` for stored images."""
        return self._native.recipe

    @property
    def is_endless(self) -> bool:
        """Whether there is no last sample."""
        return self._native.samples is None

    @property
    def is_stored(self) -> bool:
        """Whether its images are read, all of them, not generated."""
        return self._native.is_stored

    @property
    def has_labels(self) -> bool:
        """Whether samples have labels."""
        return self._native.has_labels

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of labels; empty if they have none."""
        return self._native.classes

    @property
    def first(self) -> int:
        """The first index: 0 unless shards of a part were opened."""
        return self._native.first

    @property
    def shapes(self) -> dict[str, tuple[int, int, int, int]]:
        """The shape of the images of a sample, for each group of views: ``[V, C, H, W]``."""
        return {name: tuple(shape) for name, shape in self._native.shapes}

    @property
    def block(self) -> int:
        """Samples that one generator call makes; 1 where nothing is generated."""
        return self._native.block()[0]

    @property
    def sample_bytes(self) -> int:
        """Bytes of the images of a sample, all views of all groups together."""
        return sum(self._native.block()[1])

    def __len__(self) -> int:
        samples = self._native.samples
        if samples is None:
            raise TypeError('an endless dataset has no length\n  help: give it one: samples=60_000')
        return samples

    @overload
    def __getitem__(self, index: int | slice) -> Batch: ...
    @overload
    def __getitem__(self, index: Sequence[int]) -> Batch: ...
    def __getitem__(self, index: Any) -> Batch:
        return self.gather(self._indices(index))

    def gather(self, indices: Sequence[int], epoch: int = 0) -> Batch:
        """The samples ``indices`` in that order, with the views that they have in ``epoch``."""
        return self._gather(list(indices), epoch)

    def _gather(self, indices: list[int], epoch: int, shared: Any = None) -> Batch:
        return Batch(self._native.gather(indices, epoch, shared), converter(self._format))

    def _indices(self, index: Any) -> list[int]:
        if isinstance(index, slice):
            end = None if self.is_endless else len(self)
            if end is None and (index.stop is None or index.stop < 0 or (index.start or 0) < 0):
                raise IndexError("an endless dataset has no end to count from")
            places = range(*index.indices(index.stop if end is None else end))
        elif hasattr(index, "__index__") and getattr(index, "ndim", 0) == 0:
            places = [operator.index(index)]
        else:
            places = [operator.index(one) for one in index]
        return [self._place(place) for place in places]

    def _place(self, place: int) -> int:
        samples = self._native.samples
        if place < 0 and samples is not None:
            place += samples
        if place < 0 or (samples is not None and place >= samples):
            raise IndexError(f"there is no sample {place}: the dataset has {samples}")
        return self.first + place

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.loader(batch=1, rank=(0, 1)))

    def plan(self, index: int, epoch: int = 0) -> dict[str, Any]:
        """Everything that is drawn for a sample, without making its images: label, latents, views."""
        return self._native.plan(self._place(operator.index(index)), epoch)

    def loader(self, **settings: Any) -> Loader:
        """A ``Loader`` over it: batches made ahead, in order."""
        return Loader(self, **settings)

    def stream(self) -> Stream:
        """Its samples one by one, to take, skip, shard, select, map and filter."""
        from ._stream import Stream

        return Stream(self)

    def with_format(self, format: str) -> Dataset:
        """The same dataset, with arrays of another kind. Shares everything."""
        converter(format)
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._format = format
        return other

    def take(self, samples: int) -> Stream:
        """The first ``samples`` samples."""
        return self.stream().take(samples)

    def skip(self, samples: int) -> Stream:
        """All but the first ``samples`` samples. Costs nothing, however many."""
        return self.stream().skip(samples)

    def shard(self, num_shards: int, index: int) -> Stream:
        """Part ``index`` of ``num_shards`` nearly equal, contiguous parts."""
        return self.stream().shard(num_shards, index)

    def select(self, indices: Sequence[int]) -> Stream:
        """The samples ``indices``, in that order."""
        return self.stream().select(indices)

    def map(self, function: Any) -> Stream:
        """Samples with ``function`` applied to each."""
        return self.stream().map(function)

    def filter(self, keep: Any) -> Stream:
        """The samples for which ``keep`` is true."""
        return self.stream().filter(keep)

    def to_hf(self) -> Any:
        """A ``datasets.IterableDataset`` of Hugging Face over its samples."""
        return self.stream().to_hf()

    def __getstate__(self) -> dict[str, Any]:
        # Sessions stay where they are. Who gets it need not be in this folder.
        recipe, keys, folder, engine = self._arguments
        if isinstance(recipe, str) and not recipe.startswith("builtin:"):
            recipe = os.path.join(folder, recipe)
        return {"arguments": (recipe, keys, folder, engine), "format": self._format}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._format = state["format"]
        recipe, keys, folder, engine = state["arguments"]
        self._open(recipe, keys, folder, engine)

    def __repr__(self) -> str:
        samples = "endless" if self.is_endless else f"{len(self):,} samples"
        views = ", ".join(f"{name} {list(shape)}".strip() for name, shape in self.shapes.items())
        return f"genset.{type(self).__name__}({self.name!r}, {samples}, {views})"
