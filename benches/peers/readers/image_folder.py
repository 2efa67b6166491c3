"""What the tutorials do: torchvision's `ImageFolder`, Pillow, a DataLoader.

`PILToTensor` keeps bytes; `ToTensor` would make floats four times the size. Photographs
are resized by Pillow, whose bilinear filter antialiases. Collating 256 tensors is what
the DataLoader does by default, straight into shared memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torchvision
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from collection import BATCH
from readers import Batch, Source
from readers.loader import data_loader, forever


class Images:
    def __init__(self, source: Source) -> None:
        self.versions = {"torchvision": torchvision.__version__, "torch": torch.__version__}
        size = [source.collection.size] * 2
        steps = [v2.Resize(size)] if source.collection.resized else []
        dataset = ImageFolder(source.store, v2.Compose([*steps, v2.PILToTensor()]))
        self.loader = data_loader(dataset, source, batch_size=BATCH, shuffle=source.shuffle, drop_last=True)

    def __iter__(self) -> Iterator[Batch]:
        return forever(self.loader)
