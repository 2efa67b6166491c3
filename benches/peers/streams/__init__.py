"""What streams images out of a generator today: each in a DataLoader, as its users would have it.

A contender is tried in several settings, and measured in the one that was fastest:
how it runs a batch (`variants`) and how many worker processes and threads share the
cores (`layouts`).
"""

from __future__ import annotations

import importlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.utils.data import IterableDataset


@dataclass(frozen=True)
class Layout:
    """How the cores are shared. 0 workers: the DataLoader runs in the process that trains."""

    workers: int
    threads: int

    def __str__(self) -> str:
        workers = "in the process" if self.workers == 0 else f"{self.workers} worker{'s'[: self.workers > 1]}"
        return f"{workers}, {self.threads} thread{'s'[: self.threads > 1]}"


@dataclass(frozen=True)
class Variant:
    """How a batch is made."""

    chunk: int
    """Images that the network is given at a time; 0 is all of a batch."""
    channels_last: bool = False
    """The memory format of weights and activations, where there is a choice."""

    def __str__(self) -> str:
        chunk = f"{self.chunk} images a call" if self.chunk else "a batch a call"
        return f"channels last, {chunk}" if self.channels_last else chunk


@dataclass(frozen=True)
class Stream:
    """A contender as the table shows it."""

    title: str
    module: str
    factory: str
    family: str
    """Whose best is compared with genset's best."""
    variants: tuple[Variant, ...]
    tolerance: float
    """How far its pixels may be from f32, on average, in 255ths."""

    def make(self, generator: str, folder: Path, variant: Variant, threads: int) -> IterableDataset:
        """Imports the library, so that a process holds no other."""
        module = importlib.import_module(f"streams.{self.module}")
        return getattr(module, self.factory)(generator, folder, variant, threads)


def layouts(cores: int) -> list[Layout]:
    """Those that use all cores. Fewer threads than cores never won, more share cores they have."""
    found = [Layout(0, cores), Layout(1, cores), Layout(cores, 1)]
    return list(dict.fromkeys(found))


FORMATS = tuple(Variant(chunk, last) for chunk in (0, 32) for last in (False, True))

STREAMS = {
    "onnxruntime": Stream(
        "ONNX Runtime, Python", "onnx_runtime", "OnnxStream", "onnxruntime", (Variant(0), Variant(32)), 0.01
    ),
    "torch": Stream("PyTorch eager, f32", "pytorch", "eager", "torch-f32", FORMATS, 0.01),
    "torch-bf16": Stream("PyTorch eager, bf16", "pytorch", "bfloat16", "torch-bf16", FORMATS, 3),
    "torch-compile": Stream(
        "torch.compile, bf16", "pytorch", "compiled", "torch-bf16", (Variant(0, channels_last=True),), 3
    ),
}


def as_words(layout: Layout, variant: Variant) -> list[str]:
    """For the command line of stream_worker.py."""
    words = ["--workers", str(layout.workers), "--threads", str(layout.threads), "--chunk", str(variant.chunk)]
    return [*words, "--channels-last"] if asdict(variant)["channels_last"] else words
