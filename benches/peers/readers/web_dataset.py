"""WebDataset: tar files, one for each worker at least, read in a stream.

Members are decoded by functions of our own, as its users may: OpenCV takes half the
time of Pillow, which `.decode("rgb8")` would use, and an array's bytes are looked at
where they lie, which `.decode()` would copy twice. Batches are made in the workers
(`batched`), so that a tensor for each batch goes through shared memory. Shuffled,
shards come in random order and samples go through a buffer of 5,000, as it has no random
access. The buffer is filled before the first sample comes: by itself it would read two
for each one that it gives until it is full, which a short round would take for the rule.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
import webdataset

from collection import BATCH, Originals
from readers import Batch, Source
from readers.loader import data_loader, forever

SHARDS = 16
BUFFER = 5_000


def write_raw(originals: Originals, place: Path) -> None:
    _write(originals, place, (({"npy": image}, label) for image, label in originals.items()))


def write_jpeg(originals: Originals, place: Path) -> None:
    _write(originals, place, (({"jpg": jpeg}, label) for jpeg, label in originals.jpegs()))


def _write(originals: Originals, place: Path, members: Iterator[tuple[dict[str, object], int]]) -> None:
    largest = -(-originals.collection.count // SHARDS)
    with webdataset.ShardWriter(f"{place}/%06d.tar", maxcount=largest, maxsize=1 << 40, verbose=0) as writer:
        for index, (member, label) in enumerate(members):
            writer.write({"__key__": f"{index:06}", **member, "cls": label})


class _Tar:
    member: str

    def __init__(self, source: Source) -> None:
        cv2.setNumThreads(0)
        self.versions = {
            "webdataset": webdataset.__version__,
            "opencv-python-headless": cv2.__version__,
            "torch": torch.__version__,
        }
        shards = sorted(map(str, source.store.glob("*.tar")))
        dataset = webdataset.WebDataset(shards, shardshuffle=SHARDS if source.shuffle else False, empty_check=False)
        if source.shuffle:
            dataset = dataset.shuffle(BUFFER, initial=BUFFER)
        dataset = dataset.to_tuple(self.member, "cls").map_tuple(self.image, int)
        dataset = dataset.batched(BATCH, collation_fn=_collate, partial=False)
        self.loader = data_loader(dataset, source, batch_size=None)

    def image(self, content: bytes) -> np.ndarray:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Batch]:
        return forever(self.loader)


class Raw(_Tar):
    member = "npy"

    def image(self, content: bytes) -> np.ndarray:
        file = io.BytesIO(content)
        version = np.lib.format.read_magic(file)
        assert version == (1, 0)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return np.frombuffer(content, dtype, offset=file.tell()).reshape(shape)


class Jpeg(_Tar):
    member = "jpg"

    def image(self, content: bytes) -> np.ndarray:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)


def _collate(samples: list[tuple[np.ndarray, int]]) -> Batch:
    images, labels = zip(*samples, strict=True)
    return torch.from_numpy(np.stack(images)), torch.tensor(labels)
