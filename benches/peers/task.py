"""What every contender has to do: the two-view SimCLR pipeline (Chen et al., 2020), in numbers.

One channel has no colour: such images get brightness and contrast, and neither
saturation, hue nor greyscale.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

IMAGES = 256  # kept in memory and gone through again and again
BATCH = 64  # samples
VIEWS = 2  # of each sample

SCALE = (0.2, 1.0)  # share of the image's area that a crop keeps
RATIO = (3 / 4, 4 / 3)  # width over height
FLIP = 0.5
JITTER = 0.8  # probability of the four below, which come in random order
BRIGHTNESS = CONTRAST = SATURATION = 0.4
HUE = 0.1
GREY = 0.2
BLUR = 0.5
SIGMA = (0.1, 2.0)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
MNIST = ((0.1307,), (0.3081,))
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Task:
    """The pipeline at one size."""

    size: int

    @property
    def channels(self) -> int:
        """28 is the size of handwritten digits, which are grey."""
        return 1 if self.size == 28 else 3

    @property
    def kernel(self) -> int:
        """Width of the blur in pixels: a tenth of the image, odd."""
        return max(3, self.size // 10 | 1)

    @property
    def mean(self) -> tuple[float, ...]:
        return (MNIST if self.channels == 1 else IMAGENET)[0]

    @property
    def std(self) -> tuple[float, ...]:
        return (MNIST if self.channels == 1 else IMAGENET)[1]

    def new_batch(self) -> np.ndarray:
        """The array that a batch is written to."""
        return np.zeros((BATCH, VIEWS, self.channels, self.size, self.size), np.float32)


class Contender(Protocol):
    """A library at work. Made from a task, u8 images `[N, H, W, C]` and a seed."""

    versions: dict[str, str]

    def batch(self, first: int) -> np.ndarray:
        """The views of images `first .. first + BATCH`, f32 `[BATCH, VIEWS, C, H, W]`, contiguous.

        The next call may write to the same memory.
        """
        ...


def draw_crop(size: int, uniform: Callable[[], float]) -> tuple[int, int, int, int]:
    """`top, left, height, width` as torchvision draws them, for contenders that bring no crop of
    their own. `uniform` draws from `[0, 1)`."""
    low, high = math.log(RATIO[0]), math.log(RATIO[1])
    for _ in range(10):
        area = size * size * (SCALE[0] + (SCALE[1] - SCALE[0]) * uniform())
        ratio = math.exp(low + (high - low) * uniform())
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if width <= size and height <= size:
            return int((size - height + 1) * uniform()), int((size - width + 1) * uniform()), height, width
    return 0, 0, size, size
