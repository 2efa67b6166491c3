"""LitData: chunks of 64 MiB on local disk, its own DataLoader.

Raw pixels are NumPy arrays; JPEG files are what its `JPEGSerializer` makes of Pillow's
images that come from a file, the file's bytes, which torchvision decodes (NCHW).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import litdata
import numpy as np
import torch
from litdata import StreamingDataLoader, StreamingDataset, optimize
from PIL import Image

from collection import BATCH, Originals
from readers import Batch, Source
from readers.loader import forever

CHUNK = "64MB"


class _Make:
    """One sample of an index; workers of `optimize` are processes, which it is sent to."""

    def __init__(self, originals: Originals, jpeg: bool) -> None:
        self.originals, self.jpeg = originals, jpeg

    def __call__(self, index: int) -> dict[str, object]:
        originals = self.originals
        label = int(originals.labels[index])
        if self.jpeg:
            return {"image": Image.open(originals.jpeg_path(index)), "label": label}
        return {"image": np.ascontiguousarray(originals.image(index)), "label": label}


def write_raw(originals: Originals, place: Path) -> None:
    _write(originals, place, jpeg=False)


def write_jpeg(originals: Originals, place: Path) -> None:
    _write(originals, place, jpeg=True)


def _write(originals: Originals, place: Path, jpeg: bool) -> None:
    indices = list(range(originals.collection.count))
    optimize(_Make(originals, jpeg), indices, str(place), chunk_bytes=CHUNK, num_workers=1, verbose=False)


class Raw:
    def __init__(self, source: Source) -> None:
        self.versions = {"litdata": litdata.__version__, "torch": torch.__version__}
        dataset = StreamingDataset(str(source.store), shuffle=source.shuffle, drop_last=True)
        settings = {"persistent_workers": True, "prefetch_factor": 4} if source.workers else {}
        self.loader = StreamingDataLoader(
            dataset, batch_size=BATCH, num_workers=source.workers, collate_fn=self.collate, drop_last=True, **settings
        )

    def __iter__(self) -> Iterator[Batch]:
        return forever(self.loader)

    def collate(self, samples: list[dict]) -> Batch:
        images = torch.from_numpy(np.stack([sample["image"] for sample in samples]))
        return images, torch.tensor([sample["label"] for sample in samples])


class Jpeg(Raw):
    def collate(self, samples: list[dict]) -> Batch:
        images = torch.stack([sample["image"] for sample in samples])
        return images, torch.tensor([sample["label"] for sample in samples])
