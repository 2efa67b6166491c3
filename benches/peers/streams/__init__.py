"""What streams images out of a generator today: each in a DataLoader, as its users would have it.

A contender is tried in several settings, and measured in the one that was fastest:
how it runs a batch (`variants`) and how many worker processes and threads share the
cores (`layouts`).
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
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
    group: str
    """Genset is compared with the best of each."""
    variants: tuple[Variant, ...]
    exact: bool
    """Whether it computes in f32."""
    follows: str = ""
    """Runs in the layout in which this one is fastest, as starting takes long."""

    def make(self, generator: str, folder: Path, variant: Variant, threads: int) -> IterableDataset:
        """Imports the library, so that a process holds no other."""
        module = importlib.import_module(f"streams.{self.module}")
        return getattr(module, self.factory)(generator, folder, variant, threads)


ORT, F32, BF16 = "ONNX Runtime", "PyTorch f32", "PyTorch bf16"
FORMATS = tuple(Variant(chunk, last) for chunk in (0, 32) for last in (False, True))

STREAMS = {
    "onnxruntime": Stream(
        "ONNX Runtime, Python", "onnx_runtime", "OnnxStream", ORT, (Variant(0), Variant(32)), exact=True
    ),
    "torch": Stream("PyTorch eager, f32", "pytorch", "eager", F32, FORMATS, exact=True),
    "torch-bf16": Stream("PyTorch eager, bf16", "pytorch", "bfloat16", BF16, FORMATS, exact=False),
    "torch-compile": Stream(
        "torch.compile, bf16", "pytorch", "compiled", BF16, (Variant(0, True),), exact=False, follows="torch-bf16"
    ),
}
