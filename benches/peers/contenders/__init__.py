"""The libraries, each in the best configuration that was found for it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from task import Contender, Task


@dataclass(frozen=True)
class Peer:
    """A contender as the table shows it."""

    title: str
    module: str
    factory: str
    whole: bool
    """Whether it does every operation as `task.py` words it."""
    note: str = ""

    def make(self, task: Task, images: np.ndarray, seed: int) -> Contender:
        """Imports the library, so that a process holds no other."""
        return getattr(importlib.import_module(f"contenders.{self.module}"), self.factory)(task, images, seed)


PEERS = {
    "torchvision": Peer("torchvision v2, u8 tensors", "torchvision_v2", "tensors", True),
    "torchvision-float": Peer("torchvision v2, f32 tensors", "torchvision_v2", "floats", True),
    "torchvision-pil": Peer("torchvision v2, PIL images", "torchvision_v2", "pil", True),
    "albumentations": Peer("AlbumentationsX", "albumentations_x", "Albumentations", True),
    "opencv": Peer("OpenCV, by hand", "opencv", "OpenCv", True),
    "dali": Peer(
        "NVIDIA DALI, CPU",
        "dali",
        "Dali",
        False,
        "jitter as one matrix in a fixed order, contrast about mid-grey, hue in YIQ",
    ),
    "kornia": Peer("kornia-rs, by hand", "kornia", "Kornia", False, "brightness adds, where the others scale"),
}
