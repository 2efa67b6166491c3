"""FFCV: one file, read through the page cache, decoded by threads of compiled code.

`os_cache` maps the file, which is quickest where it fits memory. `SimpleRGBImageDecoder`
copies or decodes a batch to buffers that are used again; images stay as they are
decoded, pixel by pixel (`ToTorchImage` would give another view of the same). Shuffled is
`RANDOM`, over all images.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ffcv.fields import IntField, RGBImageField
from ffcv.fields.decoders import IntDecoder, SimpleRGBImageDecoder
from ffcv.loader import Loader, OrderOption
from ffcv.transforms import Squeeze, ToTensor
from ffcv.writer import DatasetWriter

from collection import BATCH, QUALITY, Originals
from readers import Batch, Source
from readers.loader import forever


class _Indexed:
    """The originals as FFCV's writer asks for them, from several processes."""

    def __init__(self, originals: Originals) -> None:
        self.originals = originals

    def __len__(self) -> int:
        return self.originals.collection.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return np.ascontiguousarray(self.originals.image(index)), int(self.originals.labels[index])


def write_raw(originals: Originals, place: Path) -> None:
    _write(originals, place, "raw")


def write_jpeg(originals: Originals, place: Path) -> None:
    _write(originals, place, "jpg")


def _write(originals: Originals, place: Path, mode: str) -> None:
    fields = {"image": RGBImageField(write_mode=mode, jpeg_quality=QUALITY), "label": IntField()}
    DatasetWriter(str(place / "images.beton"), fields, num_workers=2).from_indexed_dataset(_Indexed(originals))


class Ffcv:
    def __init__(self, source: Source) -> None:
        self.versions = {package: version(package) for package in ("ffcv", "numba", "torch")}
        self.loader = Loader(
            str(source.store / "images.beton"),
            batch_size=BATCH,
            num_workers=source.workers,
            os_cache=True,
            order=OrderOption.RANDOM if source.shuffle else OrderOption.SEQUENTIAL,
            drop_last=True,
            pipelines={
                "image": [SimpleRGBImageDecoder(), ToTensor()],
                "label": [IntDecoder(), ToTensor(), Squeeze()],
            },
        )

    def __iter__(self) -> Iterator[Batch]:
        return forever(self.loader)
