"""AlbumentationsX, the maintained successor of Albumentations (which ended at 2.0.8).

`Normalize` and a copy into the batch were quicker than `ToTensorV2`, which makes
a tensor of its own that must be copied as well.
"""

from __future__ import annotations

import albumentations as A
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
    RATIO,
    SATURATION,
    SCALE,
    SIGMA,
    VIEWS,
    Task,
)


def _around_one(spread: float) -> tuple[float, float]:
    return 1 - spread, 1 + spread


class Albumentations:
    def __init__(self, task: Task, images: np.ndarray, seed: int) -> None:
        self.versions = {"albumentationsx": A.__version__, "opencv-python-headless": cv2.__version__}
        cv2.setNumThreads(1)
        self.task, self.images, self.out = task, images, task.new_batch()
        grey = task.channels == 1
        jitter = A.ColorJitter(
            brightness_range=_around_one(BRIGHTNESS),
            contrast_range=_around_one(CONTRAST),
            saturation_range=(1, 1) if grey else _around_one(SATURATION),
            hue_range=(0, 0) if grey else (-HUE, HUE),
            p=JITTER,
        )
        self.transform = A.Compose(
            [
                A.RandomResizedCrop(size=(task.size, task.size), scale=SCALE, ratio=RATIO),
                A.HorizontalFlip(p=FLIP),
                jitter,
                *([] if grey else [A.ToGray(p=GREY)]),
                A.GaussianBlur(blur_range=(task.kernel, task.kernel), sigma_range=SIGMA, p=BLUR),
                A.Normalize(mean=task.mean, std=task.std),
            ],
            seed=seed,
            telemetry=False,
        )

    def batch(self, first: int) -> np.ndarray:
        for place in range(BATCH):
            image = self.images[(first + place) % len(self.images)]
            for view in range(VIEWS):
                self.out[place, view] = self.transform(image=image)["image"].transpose(2, 0, 1)
        return self.out
