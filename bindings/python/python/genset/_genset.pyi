"""
The native part of `genset`.
"""

from _typeshed import Incomplete, SupportsGetItem
from os import PathLike
from pathlib import Path
from typing import Any, SupportsFloat, SupportsIndex, final

@final
class Batch:
    """
    Samples of a dataset with all their views, in the memory of genset.

    `genset.Batch` holds one and gives its arrays in the form that was asked for.
    """
    @property
    def epoch(self, /) -> int:
        """
        The pass over the dataset.
        """
    @property
    def groups(self, /) -> list[tuple[str, Tensor]]:
        """
        The name and the images of each group of views: `[B, V, C, H, W]`, or `[B, V, H, W, C]` if the
        recipe delivers that layout.
        """
    @property
    def index(self, /) -> Tensor:
        """
        The index of each sample, `[B]`.
        """
    @property
    def labels(self, /) -> Tensor | None:
        """
        The classes, `[B]`; `None` if the dataset has none.
        """
    @property
    def latents(self, /) -> Tensor | None:
        """
        The latent of each view, `[B, V, Z]`, if they were asked for.
        """

@final
class Dataset:
    """
    A dataset in the memory of this process: what `genset.Dataset` is made of.
    """
    def __new__(cls, /, recipe: Any, settings: dict, folder: str | PathLike[str], engine: Incomplete) -> Dataset: ...
    def block(self, /) -> tuple[int, list[int]]:
        """
        Samples of a block, and bytes of a sample in each group of views.
        """
    @property
    def classes(self, /) -> list[str]:
        """
        Names of the classes, in the order of labels; empty if they have none.
        """
    def count(self, /, batch: SupportsIndex, drop_last: bool, rank: tuple[SupportsIndex, SupportsIndex] | None, part: tuple[SupportsIndex, SupportsIndex], range: tuple[SupportsIndex, SupportsIndex] | None) -> tuple[int, int]:
        """
        Batches, and samples in all, of a whole pass of a loader, for its part of its rank.
        """
    @property
    def digest(self, /) -> str:
        """
        Its identity: BLAKE3 of recipe and model, as 64 hexadecimal digits.
        """
    @property
    def first(self, /) -> int:
        """
        The first index. 0 unless shards of a part were opened.
        """
    def gather(self, /, indices: SupportsGetItem[int, SupportsIndex], epoch: SupportsIndex, shared: Incomplete | None = None) -> Batch:
        """
        The samples `indices` in `epoch`, as one batch, out of memory that processes share if there is any.
        """
    @property
    def has_labels(self, /) -> bool:
        """
        Whether samples have labels.
        """
    @property
    def is_stored(self, /) -> bool:
        """
        Whether its images are read, not generated.
        """
    def loader(self, /, settings: Incomplete) -> Loader:
        """
        A loader over it.
        """
    @property
    def name(self, /) -> str:
        """
        Its name, for people.
        """
    def plan(self, /, index: SupportsIndex, epoch: SupportsIndex) -> Any:
        """
        Everything that is drawn for sample `index` in `epoch`, without making its images.
        """
    @property
    def recipe(self, /) -> str | None:
        """
        The recipe as TOML, with everything filled in; `None` for stored images.
        """
    @property
    def samples(self, /) -> int | None:
        """
        How many samples it has; `None` if there is no end.
        """
    @property
    def shapes(self, /) -> list[tuple[str, list[int]]]:
        """
        The name and shape of the images of a sample, for each group of views: `[V, C, H, W]`, or
        `[V, H, W, C]` if the recipe delivers that layout.
        """

@final
class Loader:
    """
    Batches in order, pass after pass: what `genset.Loader` is made of.

    Where it is, is known apart from what runs, so that a forked child, or whoever goes on after an error,
    begins there with threads of its own.
    """
    def begin(self, /) -> None:
        """
        Begins a pass: what is left of one that it was put into, or else the next whole one.
        """
    def close(self, /) -> None:
        """
        Ends its threads. It goes on where it was when it is asked for a batch.
        """
    def next(self, /) -> Batch | None:
        """
        The next batch of the pass; `None` after the last, and when it is closed meanwhile.
        """
    def resume(self, /, digest: str, epoch: SupportsIndex, next: SupportsIndex) -> None:
        """
        Goes on where another loader was.
        """
    def set_epoch(self, /, epoch: SupportsIndex) -> None:
        """
        Goes to the beginning of a pass. What is there already goes on running.
        """
    def state(self, /) -> tuple[str, int, int]:
        """
        Where it is: the dataset's digest, the pass, and the sample that comes next.
        """
    def statistics(self, /) -> dict | None:
        """
        What it has done since its threads were started; `None` if they are not.
        """

@final
class Tensor:
    """
    An array in the memory of genset, on the CPU, contiguous.

    Any library that speaks DLPack takes it without a copy: `numpy.from_dlpack(tensor)`,
    `torch.from_dlpack(tensor)`, `jax.dlpack.from_dlpack(tensor)`. The memory lives as long as the array
    made of it.
    """
    def __dlpack__(self, /, *, stream: Any | None = None, max_version: tuple[SupportsIndex, SupportsIndex] | None = None, dl_device: tuple[SupportsIndex, SupportsIndex] | None = None, copy: bool | None = None) -> Any:
        """
        The DLPack capsule.
        """
    def __dlpack_device__(self, /) -> tuple[int, int]:
        """
        The device type and number, as DLPack numbers them.
        """
    def __repr__(self, /) -> str: ...
    @property
    def data_ptr(self, /) -> int:
        """
        The address of the first element.
        """
    @property
    def shape(self, /) -> tuple:
        """
        The size of each dimension.
        """

def audit(generated: Dataset, real: Dataset, held_out: Dataset | None, encoder: str | PathLike[str] | None, settings: Incomplete, progress: Any | None) -> Any:
    """
    Whether a generated dataset copies the real images, and has their variety.
    """

def audit_attributes(dataset: Dataset, encoder: str | PathLike[str] | None, settings: Incomplete, progress: Any | None) -> Any:
    """
    What a recipe's edits do to attributes of its images.
    """

def benchmark(dataset: Dataset, settings: Incomplete, reading: Incomplete, progress: Any | None) -> Any:
    """
    Images a second, against the bare generator and what is stored, in one run.
    """

def export(dataset: Dataset, folder: str | PathLike[str], settings: Incomplete, reading: Incomplete, progress: Any | None) -> Any:
    """
    Writes samples to disk as shards.
    """

def inspect(target: Any, settings: dict, folder: str | PathLike[str], engine: Incomplete, output: str | PathLike[str] | None) -> Any:
    """
    What a generator is: a path, or a recipe's table, with settings over it.
    """

def inspect_precision(dataset: Dataset, images: SupportsIndex) -> Any:
    """
    How far a dataset's precision is from f32.
    """

def inspect_providers(dataset: Dataset) -> Any:
    """
    What runs where, node by node.
    """

def inspect_rewrites(dataset: Dataset, seconds: SupportsFloat | SupportsIndex, progress: Any | None) -> Any:
    """
    Which edits of the generator's graph pay on this machine.
    """

def install(name: str) -> Path:
    """
    Fetches ONNX Runtime or a provider, pinned by version and hash; gives the path of its library.
    """

def make_encoder(architecture: str, file: str | PathLike[str], channels: SupportsIndex, size: SupportsIndex, seed: SupportsIndex) -> int:
    """
    Writes an untrained encoder; gives how many parameters it has.
    """

def probe(encoder: str | PathLike[str], train: Dataset, test: Dataset, settings: Incomplete, progress: Any | None) -> Any:
    """
    What an encoder is worth.
    """

def train(dataset: Dataset, encoder: str | PathLike[str], folder: str | PathLike[str], settings: Incomplete, progress: Any | None) -> Any:
    """
    Trains an encoder on the views of a dataset.
    """

def verify(folder: str | PathLike[str], dataset: Dataset | None, regenerate: SupportsIndex, seed: SupportsIndex, progress: Any | None) -> Any:
    """
    Checks shards.
    """

def __getattr__(name: str) -> Incomplete: ...
