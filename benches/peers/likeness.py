"""That everyone delivers the images of the collection, with their labels.

Readers go through files in orders of their own, so each image of a batch is first
looked for among the originals, by its mean colours on a grid of 4 × 4; then it is
compared pixel by pixel.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from collection import BATCH, Originals
from readers import JPEG

if TYPE_CHECKING:
    from reading_teams import Course, Ready

GRID = 4
# In 255ths, on average over a batch: decoders round and interpolate colours differently (FFCV takes
# the quick ways of libjpeg-turbo, 1.2 off at 32 × 32), and filters that resize differ more.
DECODED, RESIZED = 2.5, 4.0
# Of a shuffled batch: pairs that also follow one another in the files.
FOLLOW = 0.1


class Likeness:
    def __init__(self, originals: Originals) -> None:
        self.originals = originals

    def check(self, course: Course, one: Ready) -> float:
        """How far the pixels of a batch are from the collection's on average, in 255ths.

        Raises `SystemExit` if they are further than decoders explain, if a label is wrong, or if a
        shuffled batch is not."""
        images, labels = self._batch(course, one)
        found = self._find(images)
        wanted = np.stack([self._reference(index, one.contender.group) for index in found])
        apart = np.abs(images.astype(np.int16) - wanted).mean()
        exact = one.contender.group != JPEG
        limit = 0.0 if exact else RESIZED if course.collection.resized else DECODED
        where = f"{course.collection.title}, {course.order}: {one.contender.title}"
        if apart > limit:
            raise SystemExit(f"{where} delivers other images: {apart:.2f}/255 apart on average")
        if (labels != self.originals.labels[found]).any():
            raise SystemExit(f"{where} delivers other labels: {labels[:8]}, not {self.originals.labels[found][:8]}")
        if course.shuffle and self._following(found) > FOLLOW:
            raise SystemExit(f"{where} is not shuffled: samples {found[:8]}")
        return float(apart)

    def _batch(self, course: Course, one: Ready) -> tuple[np.ndarray, np.ndarray]:
        """Its next one: `[B, H, W, 3]` and `[B]`."""
        place = course.scratch / "batch"
        place.mkdir(exist_ok=True)
        shape = one.ask({"write": str(place)})["images"]
        side = course.collection.size
        # A reader of views has one of each sample.
        shape = [shape[0], *shape[-3:]]
        images = np.fromfile(place / "images", np.uint8).reshape(shape)
        if shape == [BATCH, 3, side, side]:
            images = images.transpose(0, 2, 3, 1)
        elif shape != [BATCH, side, side, 3]:
            raise SystemExit(f"{one.contender.title} delivers a batch of {shape}")
        return images, np.fromfile(place / "label", np.int64)

    def _find(self, images: np.ndarray) -> np.ndarray:
        """Indices of the originals that are most like them."""
        seen, known = _colours(images), self._known
        # |a - b|² less |a|², which is the same for all.
        return ((known**2).sum(1) - 2 * seen @ known.T).argmin(1)

    @cached_property
    def _known(self) -> np.ndarray:
        images = self.originals.images
        parts = [_colours(images[first : first + BATCH]) for first in range(0, len(images), BATCH)]
        known = np.concatenate(parts)
        if self.originals.collection.resized:
            grid = known[1::2].reshape(-1, GRID, GRID, 3)
            known[1::2] = grid.transpose(0, 2, 1, 3).reshape(len(grid), -1)
        return known

    def _reference(self, index: int, group: str) -> np.ndarray:
        if group != JPEG:
            return self.originals.image(index)
        return _decode(self.originals.jpeg_path(index), self.originals.collection.size)

    def _following(self, found: np.ndarray) -> float:
        """The part of the pairs that follow one another in the collection, or by class."""
        by_class = np.argsort(np.argsort(self.originals.labels, kind="stable"))[found]
        return max((np.diff(places) == 1).mean() for places in (found, by_class))


def _colours(images: np.ndarray) -> np.ndarray:
    """f32 `[N, GRID * GRID * 3]`: means over parts of `[N, H, W, 3]`."""
    count, height, width, _ = images.shape
    images = images[:, : height // GRID * GRID, : width // GRID * GRID]
    parts = images.reshape(count, GRID, height // GRID, GRID, width // GRID, 3)
    return parts.mean((2, 4), dtype=np.float32).reshape(count, -1)


def _decode(path: Path, size: int) -> np.ndarray:
    image = Image.open(path)
    return np.asarray(image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BILINEAR))
