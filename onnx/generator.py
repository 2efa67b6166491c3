"""A shipped generator as its users run it: the ONNX file in ONNX Runtime.

Labels and a seed go in, u8 images come out. PyTorch is not needed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from data import CLASSES

CHUNK = 500  # images a call


class OnnxGenerator:
    """A generator of 28x28 grey images in [-1, 1] with inputs `z [N, Z]` and one-hot `y [N, 10]`."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        shapes = {value.name: value.shape for value in self.session.get_inputs()}
        if set(shapes) != {"z", "y"} or shapes["y"][1:] != [CLASSES]:
            raise SystemExit(f"{path}: inputs {shapes}; expected z [N, Z] and y [N, {CLASSES}]")
        self.latent = shapes["z"][1]

    def images(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """One u8 image `[N, 28, 28]` for each of `labels [N]`, latents drawn untruncated."""
        random = np.random.default_rng(seed)
        made = []
        for part in np.split(labels, range(CHUNK, len(labels), CHUNK)):
            z = random.standard_normal((len(part), self.latent), dtype=np.float32)
            y = np.eye(CLASSES, dtype=np.float32)[part]
            made.append(self.session.run(None, {"z": z, "y": y})[0][:, 0])
        return to_u8(np.concatenate(made))


def to_u8(images: np.ndarray) -> np.ndarray:
    """[-1, 1] -> 0..255, rounded to the nearest."""
    return np.clip(np.rint((images + 1) * 127.5), 0, 255).astype(np.uint8)


def equal_shares(count: int) -> np.ndarray:
    """`count` labels, every class equally often."""
    return np.arange(count, dtype=np.int64) % CLASSES
