"""NVIDIA DALI on the CPU: its reader of folders, its decoder, threads of its own.

`read_ahead` and `dont_use_mmap=False` are what is quickest for small files in memory.
Shuffled, an epoch's files are put in random order first (`shuffle_after_epoch`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from nvidia import dali
from nvidia.dali import fn, pipeline_def, types

from collection import BATCH
from readers import Batch, Source


class Dali:
    def __init__(self, source: Source) -> None:
        self.versions = {"nvidia-dali": dali.__version__}
        self.pipeline = _pipeline(source, batch_size=BATCH, num_threads=source.workers, device_id=None)
        self.pipeline.build()

    def __iter__(self) -> Iterator[Batch]:
        while True:
            images, labels = self.pipeline.run()
            yield np.asarray(images.as_tensor()), np.asarray(labels.as_tensor()).reshape(BATCH)


@pipeline_def(prefetch_queue_depth=2)
def _pipeline(source: Source) -> tuple[dali.data_node.DataNode, ...]:
    files, labels = fn.readers.file(
        file_root=str(source.store), shuffle_after_epoch=source.shuffle, read_ahead=True, name="files"
    )
    images = fn.decoders.image(files, device="cpu", output_type=types.RGB)
    if source.collection.resized:
        size = source.collection.size
        images = fn.resize(images, size=(size, size), interp_type=types.INTERP_LINEAR, antialias=True)
    return images, labels
