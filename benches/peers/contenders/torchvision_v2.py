"""torchvision's v2 transforms: on u8 tensors, which its documentation calls the fastest way, on
f32 tensors, and on PIL images, which most training scripts still use.

Tensors keep the channels-last memory of the images, for which resizing u8 has
kernels of its own; contiguous planes made no difference that could be measured.
"""

from __future__ import annotations

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from torchvision.transforms import v2

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


class Torchvision:
    def __init__(self, task: Task, images: np.ndarray, seed: int, kind: str) -> None:
        self.versions = {"torchvision": torchvision.__version__, "torch": torch.__version__}
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        grey = task.channels == 1
        jitter = v2.ColorJitter(BRIGHTNESS, CONTRAST, 0 if grey else SATURATION, 0 if grey else HUE)
        first = {"u8": [], "f32": [v2.ToDtype(torch.float32, scale=True)], "pil": []}[kind]
        last = {
            "u8": [v2.ToDtype(torch.float32, scale=True)],
            "f32": [],
            "pil": [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)],
        }[kind]
        self.transform = v2.Compose(
            [
                *first,
                v2.RandomResizedCrop(task.size, SCALE, RATIO, antialias=True),
                v2.RandomHorizontalFlip(FLIP),
                v2.RandomApply([jitter], JITTER),
                *([] if grey else [v2.RandomGrayscale(GREY)]),
                v2.RandomApply([v2.GaussianBlur(task.kernel, SIGMA)], BLUR),
                *last,
                v2.Normalize(list(task.mean), list(task.std)),
            ]
        )
        if kind == "pil":
            self.versions = {**self.versions, "pillow": PIL.__version__}
            self.images = [Image.fromarray(image[..., 0] if grey else image) for image in images]
        else:
            self.images = list(torch.from_numpy(images).permute(0, 3, 1, 2))
        self.out = torch.from_numpy(task.new_batch())

    def batch(self, first: int) -> np.ndarray:
        for place in range(BATCH):
            image = self.images[(first + place) % len(self.images)]
            for view in range(VIEWS):
                self.out[place, view] = self.transform(image)
        return self.out.numpy()


def tensors(task: Task, images: np.ndarray, seed: int) -> Torchvision:
    return Torchvision(task, images, seed, "u8")


def floats(task: Task, images: np.ndarray, seed: int) -> Torchvision:
    return Torchvision(task, images, seed, "f32")


def pil(task: Task, images: np.ndarray, seed: int) -> Torchvision:
    return Torchvision(task, images, seed, "pil")
