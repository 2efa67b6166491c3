"""kornia-rs by hand. Its own `ColorJitter` fuses the four changes in random order in one pass,
but its brightness adds to the image where the others scale it; and colour operations take three
channels only, so that it sits out at one.

It resizes whole images alone, so crops are copied first; a flip is part of that
copy. NumPy normalises, as it can write straight to the batch.
"""

from __future__ import annotations

import math
import random

import kornia_rs
import numpy as np
from kornia_rs import augmentations, imgproc
from kornia_rs.image import Image

from task import (
    BATCH,
    BLUR,
    BRIGHTNESS,
    CONTRAST,
    FLIP,
    GREY,
    HUE,
    JITTER,
    SATURATION,
    SIGMA,
    VIEWS,
    Task,
    draw_crop,
)


class Kornia:
    def __init__(self, task: Task, images: np.ndarray, seed: int) -> None:
        self.versions = {"kornia-rs": kornia_rs.__version__, "numpy": np.__version__}
        if task.channels != 3:
            raise ValueError("kornia-rs changes the brightness of three channels only")
        self.task, self.images, self.out = task, images, task.new_batch()
        self.uniform = random.Random(seed).random
        augmentations.set_seed(seed)
        self.jitter = augmentations.ColorJitter(BRIGHTNESS, CONTRAST, SATURATION, HUE)
        self.gain = (1 / (255 * np.array(task.std))).astype(np.float32).reshape(3, 1, 1)
        self.offset = (np.array(task.mean) / np.array(task.std)).astype(np.float32).reshape(3, 1, 1)

    def batch(self, first: int) -> np.ndarray:
        for place in range(BATCH):
            image = self.images[(first + place) % len(self.images)]
            for view in range(VIEWS):
                self._view(image, self.out[place, view])
        return self.out

    def _view(self, image: np.ndarray, out: np.ndarray) -> None:
        size, uniform = self.task.size, self.uniform
        top, left, height, width = draw_crop(size, uniform)
        step = -1 if uniform() < FLIP else 1
        crop = np.ascontiguousarray(image[top : top + height, left : left + width][:, ::step])
        pixels = imgproc.resize(crop, (size, size), "bilinear")
        if uniform() < JITTER:
            pixels = self.jitter(Image.from_numpy(pixels)).numpy()
        if uniform() < GREY:
            pixels = imgproc.gray_from_rgb(pixels)
        if uniform() < BLUR:
            sigma = SIGMA[0] + (SIGMA[1] - SIGMA[0]) * uniform()
            # Taps beyond four deviations show in no byte.
            taps = min(self.task.kernel, 2 * math.ceil(4 * sigma) + 1)
            pixels = imgproc.gaussian_blur(pixels, (taps, taps), (sigma, sigma))
        np.multiply(pixels.transpose(2, 0, 1), self.gain, out=out)
        np.subtract(out, self.offset, out=out)
