"""The images that reading.py reads, and the files that each library keeps them in.

    python benches/peers/collection.py COLLECTION STORE -o DIR

makes the originals of COLLECTION in DIR, unless they are there, and STORE out of
them. Stores are written by the library that reads them (`readers/`), in a process
of its own; one that is not whole has no name yet.

The images are dead leaves (`pictures.py`), an eighth of them drawn and all eight
turned and mirrored forms of each kept: no two are equal, and all cost the same to
decode as if they had been drawn. There are so many that raw pixels are several
times the largest cache, and few enough to stay in memory.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pictures import dead_leaves

BATCH = 256
CLASSES = 10
QUALITY = 90  # of JPEG, with the 4:2:0 that is usual for photographs
SYMMETRIES = 8
CHUNK = 64  # drawn at a time


@dataclass(frozen=True)
class Collection:
    """A set of images. Photographs lie in a larger size than they are delivered in."""

    name: str
    size: int
    """Rows and columns of what is delivered."""
    count: int
    shape: tuple[int, int]
    """Rows and columns of what lies in files; every second photograph is upright."""

    @property
    def resized(self) -> bool:
        return self.shape != (self.size, self.size)

    @property
    def title(self) -> str:
        if self.resized:
            height, width = self.shape
            return f"{height}×{width}, resized to {self.size}×{self.size}"
        return f"{self.size}×{self.size}×3"


COLLECTIONS = {
    "32": Collection("32", 32, 100_000, (32, 32)),
    "128": Collection("128", 128, 12_000, (128, 128)),
    "photos": Collection("photos", 224, 2_000, (375, 500)),
}


class Originals:
    """What all stores of a collection are made of, under `folder`."""

    def __init__(self, collection: Collection, folder: Path) -> None:
        self.collection, self.folder = collection, folder / collection.name

    @cached_property
    def images(self) -> np.ndarray:
        """u8 `[N, H, W, 3]`, mapped; photographs all lie on their side here."""
        return np.load(self.folder / "raw" / "images.npy", mmap_mode="r")

    @cached_property
    def labels(self) -> np.ndarray:
        """i64 `[N]`."""
        return np.load(self.folder / "raw" / "labels.npy")

    def image(self, index: int) -> np.ndarray:
        """u8 `[H, W, 3]`, as it lies in files."""
        image = self.images[index]
        return np.ascontiguousarray(image.transpose(1, 0, 2)) if self.collection.resized and index % 2 else image

    def jpeg_path(self, index: int) -> Path:
        return self.folder / "jpeg" / str(self.labels[index]) / f"{index:06}.jpg"

    def items(self) -> Iterator[tuple[np.ndarray, int]]:
        for index, label in enumerate(self.labels):
            yield self.image(index), int(label)

    def jpegs(self) -> Iterator[tuple[bytes, int]]:
        """The files of the folder, in order, so that all stores hold the same ones."""
        for index, label in enumerate(self.labels):
            yield self.jpeg_path(index).read_bytes(), int(label)

    def make(self) -> None:
        """Draws them, unless they are there."""
        if not (self.folder / "raw").exists():
            with new(self.folder / "raw") as place:
                self._draw(place)

    def _draw(self, place: Path) -> None:
        count, (height, width) = self.collection.count, self.collection.shape
        out = np.lib.format.open_memmap(place / "images.npy", "w+", np.uint8, (count, height, width, 3))
        drawn = count // SYMMETRIES
        side = max(height, width)
        chunks = [(min(CHUNK, drawn - first), side, 3, first) for first in range(0, drawn, CHUNK)]
        with multiprocessing.Pool() as pool:
            for (size, _, _, first), images in zip(chunks, pool.imap(_leaves, chunks), strict=True):
                for turn in range(SYMMETRIES):
                    turned = np.rot90(images if turn < 4 else images[:, :, ::-1], turn, (1, 2))
                    out[turn * drawn + first :][:size] = turned[:, :height, :width]
        out.flush()
        np.save(place / "labels.npy", np.random.default_rng(0).integers(CLASSES, size=count))


def _leaves(arguments: tuple[int, int, int, int]) -> np.ndarray:
    return dead_leaves(*arguments)


class new:
    """A folder that gets its name when it is whole."""

    def __init__(self, path: Path) -> None:
        self.path, self.place = path, path.with_name(f".{path.name}.part")

    def __enter__(self) -> Path:
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        return self.place

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.place.rename(self.path)


def main() -> int:
    from readers import STORES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", choices=COLLECTIONS)
    parser.add_argument("store", choices=["raw", *STORES])
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    arguments = parser.parse_args()
    originals = Originals(COLLECTIONS[arguments.collection], arguments.output.resolve())
    originals.make()
    path = originals.folder / arguments.store
    if not path.exists():
        with new(path) as place:
            STORES[arguments.store].write(originals, place)
        os.sync()
    return 0


if __name__ == "__main__":
    sys.exit(main())
