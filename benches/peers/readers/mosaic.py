"""MosaicML Streaming: MDS shards on local disk.

Raw pixels are an `ndarray` whose type and shape the shard's header has, which is the
quickest to decode of its encodings. JPEG files are `bytes`, decoded by OpenCV: its own
`jpeg` gives a Pillow image, which takes twice as long. `batch_size` tells it how samples
are shared among workers. `py1e`, its default, shuffles among all shards. An item comes
in one call each. It lets one process at a time have a folder; as one contender is kept
while another is tried, each has a link of its own to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import streaming
import torch
from streaming import MDSWriter, StreamingDataset

from collection import BATCH, Originals
from readers import Batch, Source
from readers.loader import data_loader, forever


def write_raw(originals: Originals, place: Path) -> None:
    height, width = originals.collection.shape
    with MDSWriter(out=str(place), columns={"image": f"ndarray:uint8:{height},{width},3", "label": "int"}) as writer:
        for image, label in originals.items():
            writer.write({"image": np.ascontiguousarray(image), "label": label})


def write_jpeg(originals: Originals, place: Path) -> None:
    with MDSWriter(out=str(place), columns={"image": "bytes", "label": "int"}) as writer:
        for jpeg, label in originals.jpegs():
            writer.write({"image": jpeg, "label": label})


class Raw:
    def __init__(self, source: Source) -> None:
        cv2.setNumThreads(0)
        self.versions = {"mosaicml-streaming": streaming.__version__, "torch": torch.__version__}
        self.link = TemporaryDirectory()
        local = Path(self.link.name) / "mds"
        local.symlink_to(source.store)
        dataset = StreamingDataset(local=str(local), shuffle=source.shuffle, batch_size=BATCH)
        self.loader = data_loader(dataset, source, batch_size=BATCH, drop_last=True, collate_fn=self.collate)

    def __iter__(self) -> Iterator[Batch]:
        return forever(self.loader)

    def collate(self, samples: list[dict]) -> Batch:
        images = np.stack([self.image(sample["image"]) for sample in samples])
        return torch.from_numpy(images), torch.tensor([sample["label"] for sample in samples])

    def image(self, content: np.ndarray) -> np.ndarray:
        return content


class Jpeg(Raw):
    def image(self, content: bytes) -> np.ndarray:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
