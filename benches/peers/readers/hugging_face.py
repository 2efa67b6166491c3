"""Hugging Face datasets: the files in parquet, and an image folder, mapped as Arrow.

`with_format("torch")` decodes with Pillow and gives NCHW; a batch of indices is
one call (`__getitems__`), whose tensors are stacked in the worker. The folder is
what `imagefolder` makes of one, a column of paths and one of classes, made here in a
second: `load_dataset` would look at 100,000 files for minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import datasets
import torch
from datasets import ClassLabel, Dataset, Features
from datasets import Image as ImageFeature

from collection import BATCH, CLASSES, Originals
from readers import Batch, Source
from readers.loader import data_loader, forever

FEATURES = Features({"image": ImageFeature(), "label": ClassLabel(names=[str(at) for at in range(CLASSES)])})


def write_parquet(originals: Originals, place: Path) -> None:
    def rows() -> Iterator[dict[str, object]]:
        for jpeg, label in originals.jpegs():
            yield {"image": {"bytes": jpeg, "path": None}, "label": label}

    cache = place / "cache"
    made = Dataset.from_generator(rows, features=FEATURES, cache_dir=str(cache))
    made.to_parquet(place / "train.parquet")


class _Mapped:
    def __init__(self, source: Source) -> None:
        datasets.disable_progress_bars()
        self.versions = {"datasets": datasets.__version__, "torch": torch.__version__}
        dataset = self.open(source).with_format("torch")
        self.loader = data_loader(
            dataset, source, batch_size=BATCH, shuffle=source.shuffle, drop_last=True, collate_fn=_collate
        )

    def open(self, source: Source) -> Dataset:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Batch]:
        return forever(self.loader)


class Parquet(_Mapped):
    def open(self, source: Source) -> Dataset:
        cache = str(source.store / "cache")
        return Dataset.from_parquet(str(source.store / "train.parquet"), cache_dir=cache)


class Folder(_Mapped):
    def open(self, source: Source) -> Dataset:
        paths = sorted(source.store.glob("*/*"))
        columns = {"image": [str(path) for path in paths], "label": [int(path.parent.name) for path in paths]}
        return Dataset.from_dict(columns, features=FEATURES)


def _collate(samples: list[dict]) -> Batch:
    images = torch.stack([sample["image"] for sample in samples])
    return images, torch.stack([sample["label"] for sample in samples])
