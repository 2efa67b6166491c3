"""ONNX Runtime's Python session, a session in each process of the DataLoader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import torch

from generators import model
from streams import Variant
from streams.base import Batches


class OnnxStream(Batches):
    def __init__(self, generator: str, folder: Path, variant: Variant, threads: int) -> None:
        super().__init__(generator)
        self.path, self.threads, self.chunk = model(generator, folder), threads, variant.chunk

    def vary(self, variant: Variant) -> None:
        """Goes on with another variant."""
        self.chunk = variant.chunk

    def start(self) -> None:
        # PyTorch only draws the latents here; threads of both would take cores from each other.
        torch.set_num_threads(1)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        self.names = [value.name for value in self.session.get_inputs()]

    def images(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        feeds = [value.numpy() for value in inputs]
        count = len(feeds[0])
        out = np.empty((count, *self.generator.image), np.uint8)
        chunk = self.chunk or count
        for first in range(0, count, chunk):
            part = slice(first, first + chunk)
            names = zip(self.names, feeds, strict=True)
            (images,) = self.session.run(None, {name: feed[part] for name, feed in names})
            # In place, and truncation after a half was added.
            images *= 127.5
            images += 128
            np.clip(images, 0, 255, out=images)
            out[part] = images
        return torch.from_numpy(out)

    def versions(self) -> dict[str, str]:
        return {"onnxruntime": onnxruntime.__version__, "torch": torch.__version__}
