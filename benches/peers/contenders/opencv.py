"""OpenCV written by hand for speed: the strongest version that does what is asked.

Choices, each the fastest of those tried: flips before the resize, as a crop has
fewer pixels; crops never exceed the image, so a resize only ever enlarges and
`INTER_LINEAR` is the antialiased filter; contrast takes its mean from the
channel means; saturation is one colour matrix; hue turns in 8-bit HSV with 256
steps, where bytes wrap as hues do; `sepFilter2D` with the normal density beats
`GaussianBlur` and leaves out taps beyond four deviations, which no byte shows;
grey views stay one plane until they are normalised; every call writes to memory
that is there already. Random numbers come from `random`, which is quicker for
one number than NumPy.
"""

from __future__ import annotations

import itertools
import math
import random

import cv2
import numpy as np

from task import (
    BATCH,
    BLUR,
    BRIGHTNESS,
    CONTRAST,
    FLIP,
    GREY,
    HUE,
    JITTER,
    LUMA,
    SATURATION,
    SIGMA,
    VIEWS,
    Task,
    draw_crop,
)


class OpenCv:
    def __init__(self, task: Task, images: np.ndarray, seed: int) -> None:
        self.versions = {"opencv-python-headless": cv2.__version__, "numpy": np.__version__}
        cv2.setNumThreads(1)
        self.task, self.images, self.out = task, images, task.new_batch()
        self.uniform = random.Random(seed).random
        size, channels = task.size, task.channels
        self.here, self.there = (np.empty((size, size, channels), np.uint8) for _ in range(2))
        self.planes = np.empty((channels, size, size), np.uint8)
        self.grey, self.grey_blurred = (np.empty((size, size), np.uint8) for _ in range(2))
        self.orders = list(itertools.permutations([self._brightness, self._contrast, self._saturation, self._hue]))
        if channels == 1:
            self.orders = list(itertools.permutations([self._brightness, self._contrast]))
        self.identity = np.eye(3, dtype=np.float32)
        self.luma = np.tile(np.array(LUMA, np.float32), (3, 1))
        # What is added to a row of HSV pixels to turn their hue, for each shift that can be drawn.
        top = round(HUE * 256)
        self.turns = {by: np.tile(np.array([by % 256, 0, 0], np.uint8), size) for by in range(-top, top + 1)}
        column = (channels, 1, 1)
        self.gain = (1 / (255 * np.array(task.std))).astype(np.float32).reshape(column)
        self.offset = (np.array(task.mean) / np.array(task.std)).astype(np.float32).reshape(column)

    def batch(self, first: int) -> np.ndarray:
        for place in range(BATCH):
            image = self.images[(first + place) % len(self.images)]
            for view in range(VIEWS):
                self._view(image, self.out[place, view])
        return self.out

    def _view(self, image: np.ndarray, out: np.ndarray) -> None:
        size, uniform = self.task.size, self.uniform
        top, left, height, width = draw_crop(size, uniform)
        crop = image[top : top + height, left : left + width]
        if uniform() < FLIP:
            crop = cv2.flip(crop, 1)
        cv2.resize(crop, (size, size), dst=self.here, interpolation=cv2.INTER_LINEAR)
        if uniform() < JITTER:
            for change in self.orders[int(len(self.orders) * uniform())]:
                change()
        if self.task.channels == 3 and uniform() >= GREY:
            if uniform() < BLUR:
                self._blur(self.here, self.there)
                self.here, self.there = self.there, self.here
            planes = self.planes
            cv2.split(self.here, [planes[0], planes[1], planes[2]])
        else:
            planes = self.here[..., 0]
            if self.task.channels == 3:
                planes = cv2.cvtColor(self.here, cv2.COLOR_RGB2GRAY, dst=self.grey)
            if uniform() < BLUR:
                self._blur(planes, self.grey_blurred)
                planes = self.grey_blurred
        np.multiply(planes, self.gain, out=out)
        np.subtract(out, self.offset, out=out)

    def _factor(self, spread: float) -> float:
        return 1 + spread * (2 * self.uniform() - 1)

    def _brightness(self) -> None:
        cv2.convertScaleAbs(self.here, dst=self.here, alpha=self._factor(BRIGHTNESS))

    def _contrast(self) -> None:
        factor, means = self._factor(CONTRAST), cv2.mean(self.here)
        mean = means[0]
        if self.task.channels == 3:
            mean = LUMA[0] * means[0] + LUMA[1] * means[1] + LUMA[2] * means[2]
        cv2.addWeighted(self.here, factor, self.here, 0, (1 - factor) * mean, dst=self.here)

    def _saturation(self) -> None:
        factor = self._factor(SATURATION)
        matrix = cv2.addWeighted(self.identity, factor, self.luma, 1 - factor, 0)
        cv2.transform(self.here, matrix, dst=self.there)
        self.here, self.there = self.there, self.here

    def _hue(self) -> None:
        turn = self.turns[round(HUE * 256 * (2 * self.uniform() - 1))]
        cv2.cvtColor(self.here, cv2.COLOR_RGB2HSV_FULL, dst=self.there)
        rows = self.there.reshape(len(self.there), -1)
        np.add(rows, turn, out=rows)
        cv2.cvtColor(self.there, cv2.COLOR_HSV2RGB_FULL, dst=self.here)

    def _blur(self, image: np.ndarray, out: np.ndarray) -> None:
        sigma = SIGMA[0] + (SIGMA[1] - SIGMA[0]) * self.uniform()
        taps = cv2.getGaussianKernel(min(self.task.kernel, 2 * math.ceil(4 * sigma) + 1), sigma, cv2.CV_32F)
        cv2.sepFilter2D(image, -1, taps, taps, dst=out)
