"""Who reads images from disk: each library as those who know it run it.

Every one delivers batches of 256 u8 images with their labels, either pixel by pixel
(NHWC) or channel by channel (NCHW), whichever it does by itself. A contender is
tried with every number of workers in `workers` and measured with the fastest.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from collection import Collection, Originals

Batch = tuple[np.ndarray, np.ndarray]
"""Images, u8, and labels `[B]`; the next batch may lie in the same memory.

Tensors of PyTorch do as well, as everyone who uses them shares their memory with NumPy."""

CEILING, MAPPED, RAW, JPEG, PNG = "ceiling", "mapped", "raw", "JPEG", "PNG"


@dataclass(frozen=True)
class Source:
    """What a contender reads, and how."""

    collection: Collection
    store: Path
    workers: int
    """0: in the process that asks for batches."""
    shuffle: bool


class Batches(Protocol):
    """A library at work."""

    versions: dict[str, str]

    def __iter__(self) -> Iterator[Batch]:
        """Batches of epoch after epoch, without end."""
        ...


@dataclass(frozen=True)
class Store:
    """Files that some library wrote."""

    module: str
    function: str
    after: tuple[str, ...] = ()
    """Stores that must be there first."""

    def write(self, originals: Originals, place: Path) -> None:
        getattr(importlib.import_module(f"readers.{self.module}"), self.function)(originals, place)


@dataclass(frozen=True)
class Reader:
    """A contender as the table shows it."""

    title: str
    module: str
    factory: str
    store: str
    group: str
    """What it reads: genset is compared with the best of each."""
    channels_first: bool = False
    workers: tuple[int | None, ...] = (None, 1, 0)
    """None: as many as there are cores."""
    resizes: bool = False
    """Whether photographs are read too."""

    def make(self, source: Source) -> Batches:
        """Imports the library, so that a process holds no other."""
        return getattr(importlib.import_module(f"readers.{self.module}"), self.factory)(source)


STORES = {
    "jpeg": Store("opencv_folder", "write_jpeg"),
    "png": Store("opencv_folder", "write_png"),
    "webdataset-raw": Store("web_dataset", "write_raw"),
    "webdataset-jpeg": Store("web_dataset", "write_jpeg", ("jpeg",)),
    "mds-raw": Store("mosaic", "write_raw"),
    "mds-jpeg": Store("mosaic", "write_jpeg", ("jpeg",)),
    "litdata-raw": Store("lit_data", "write_raw"),
    "litdata-jpeg": Store("lit_data", "write_jpeg", ("jpeg",)),
    "ffcv-raw": Store("ffcv_loader", "write_raw"),
    "ffcv-jpeg": Store("ffcv_loader", "write_jpeg"),
    "parquet": Store("hugging_face", "write_parquet", ("jpeg",)),
}

READERS = {
    "memcpy": Reader("memory copy", "memory", "Copies", "raw", CEILING),
    "memmap": Reader("NumPy memory map", "memory", "Mapped", "raw", RAW),
    "ffcv-raw": Reader("FFCV, raw", "ffcv_loader", "Ffcv", "ffcv-raw", RAW, workers=(None, 1)),
    "litdata-raw": Reader("LitData, raw", "lit_data", "Raw", "litdata-raw", RAW),
    "mds-raw": Reader("MosaicML Streaming, raw", "mosaic", "Raw", "mds-raw", RAW),
    "webdataset-raw": Reader("WebDataset, npy", "web_dataset", "Raw", "webdataset-raw", RAW),
    "ffcv-jpeg": Reader("FFCV, JPEG", "ffcv_loader", "Ffcv", "ffcv-jpeg", JPEG, workers=(None, 1)),
    "litdata-jpeg": Reader("LitData, JPEG", "lit_data", "Jpeg", "litdata-jpeg", JPEG, channels_first=True),
    "mds-jpeg": Reader("MosaicML Streaming, JPEG", "mosaic", "Jpeg", "mds-jpeg", JPEG),
    "webdataset-jpeg": Reader("WebDataset, JPEG", "web_dataset", "Jpeg", "webdataset-jpeg", JPEG),
    "hf-parquet": Reader("HF datasets, parquet", "hugging_face", "Parquet", "parquet", JPEG, channels_first=True),
    "hf-folder": Reader("HF datasets, imagefolder", "hugging_face", "Folder", "jpeg", JPEG, channels_first=True),
    "dali": Reader("NVIDIA DALI, CPU, JPEG folder", "dali", "Dali", "jpeg", JPEG, workers=(None, 1), resizes=True),
    "imagefolder": Reader(
        "DataLoader, ImageFolder", "image_folder", "Images", "jpeg", JPEG, channels_first=True, resizes=True
    ),
    "opencv": Reader("DataLoader, OpenCV, JPEG folder", "opencv_folder", "InLoader", "jpeg", JPEG, resizes=True),
    "opencv-threads": Reader(
        "threads, OpenCV, JPEG folder", "opencv_folder", "InThreads", "jpeg", JPEG, workers=(None, 1), resizes=True
    ),
    "opencv-png": Reader("DataLoader, OpenCV, PNG folder", "opencv_folder", "InLoader", "png", PNG),
    "opencv-png-threads": Reader(
        "threads, OpenCV, PNG folder", "opencv_folder", "InThreads", "png", PNG, workers=(None, 1)
    ),
}
