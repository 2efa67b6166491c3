"""A folder by class, read with OpenCV: in a DataLoader, and with threads by hand.

The dataset makes a whole batch in one call (`__getitems__`), into one array: no
collating, and one tensor goes through shared memory instead of 256. OpenCV decodes
to RGB by itself (libjpeg-turbo, libpng) and lets other threads run, which is why
threads do; its own are off. `imread` is quicker than reading a file in Python and
`imdecode`. Photographs are resized with `INTER_AREA`, which antialiases; half the
size, which libjpeg could decode to, would be less than what is asked.
PNG is written at zlib's level 3, which is quick, and lossless.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from collection import BATCH, CLASSES, QUALITY, Collection, Originals
from readers import Batch, Source
from readers.loader import data_loader, forever, orders, same
from readers.threads import batches


def write_jpeg(originals: Originals, place: Path) -> None:
    _write(originals, place, "jpg", [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def write_png(originals: Originals, place: Path) -> None:
    _write(originals, place, "png", [cv2.IMWRITE_PNG_COMPRESSION, 3])


def _write(originals: Originals, place: Path, ending: str, settings: list[int]) -> None:
    for label in range(CLASSES):
        (place / str(label)).mkdir()
    for index, (image, label) in enumerate(originals.items()):
        cv2.imwrite(str(place / str(label) / f"{index:06}.{ending}"), image[..., ::-1], settings)


class Pictures:
    """The files of a folder, in order of their classes."""

    def __init__(self, folder: Path, collection: Collection) -> None:
        cv2.setNumThreads(0)
        paths = sorted(path for path in folder.glob("*/*"))
        self.paths = [str(path) for path in paths]
        self.labels = np.array([int(path.parent.name) for path in paths])
        self.shape = (collection.size, collection.size, 3)
        self.resized = collection.resized

    def __len__(self) -> int:
        return len(self.paths)

    def fill(self, indices: np.ndarray, out: np.ndarray) -> np.ndarray:
        height, width, _ = self.shape
        for index, place in zip(indices, out, strict=True):
            image = cv2.imread(self.paths[index], cv2.IMREAD_COLOR_RGB)
            if self.resized:
                cv2.resize(image, (width, height), dst=place, interpolation=cv2.INTER_AREA)
            else:
                place[:] = image
        return self.labels[indices]


class Loaded(Pictures):
    """As a dataset for a DataLoader."""

    def __getitems__(self, indices: list[int]) -> Batch:
        import torch

        images = torch.empty((len(indices), *self.shape), dtype=torch.uint8)
        labels = self.fill(np.array(indices), images.numpy())
        return images, torch.from_numpy(labels)


class InLoader:
    def __init__(self, source: Source) -> None:
        import torch

        self.versions = {"opencv-python-headless": cv2.__version__, "torch": torch.__version__}
        pictures = Loaded(source.store, source.collection)
        self.loader = data_loader(
            pictures, source, batch_size=BATCH, shuffle=source.shuffle, drop_last=True, collate_fn=same
        )

    def __iter__(self) -> Iterator[Batch]:
        return forever(self.loader)


class InThreads:
    def __init__(self, source: Source) -> None:
        self.versions = {"opencv-python-headless": cv2.__version__, "numpy": np.__version__}
        self.source, self.pictures = source, Pictures(source.store, source.collection)

    def __iter__(self) -> Iterator[Batch]:
        pictures = self.pictures
        order = orders(len(pictures), self.source.shuffle)
        return batches(order, pictures.fill, pictures.shape, self.source.workers)
