"""NVIDIA DALI on the CPU: one pipeline without a device, one thread, nothing prefetched.

It has no jitter in random order: brightness, contrast, saturation and hue are
one colour matrix (`color_twist`), which greyscale joins at no cost, contrast is
about mid-grey, and hue turns in YIQ. It therefore does less than is asked.
Flipping and normalising are one operation, which writes the batch in place.
Images are fed twice, so that a batch has both views and none is copied.
"""

from __future__ import annotations

import numpy as np
from nvidia import dali
from nvidia.dali import fn, pipeline_def, types

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


class Dali:
    def __init__(self, task: Task, images: np.ndarray, seed: int) -> None:
        self.versions = {"nvidia-dali": dali.__version__}
        self.task = task
        # Twice, and once more from the start for batches that go past the end.
        self.images = np.repeat(np.concatenate([images, images[:BATCH]]), VIEWS, axis=0)
        self.count = len(images)
        self.pipeline = _pipeline(task, batch_size=BATCH * VIEWS, num_threads=1, device_id=None, seed=seed)
        self.pipeline.build()

    def batch(self, first: int) -> np.ndarray:
        first = first % self.count * VIEWS
        self.pipeline.feed_input("images", self.images[first : first + BATCH * VIEWS])
        (views,) = self.pipeline.run()
        return np.asarray(views.as_tensor()).reshape(BATCH, VIEWS, *views.shape()[0])


@pipeline_def(enable_conditionals=True, exec_async=False, exec_pipelined=False, prefetch_queue_depth=1)
def _pipeline(task: Task) -> dali.data_node.DataNode:
    images = fn.external_source(name="images", layout="HWC", no_copy=True)
    images = fn.random_resized_crop(
        images,
        size=task.size,
        random_area=SCALE,
        random_aspect_ratio=RATIO,
        interp_type=types.INTERP_LINEAR,
        antialias=True,
    )
    jitter = fn.random.coin_flip(probability=JITTER)
    brightness = 1 + jitter * fn.random.uniform(range=(-BRIGHTNESS, BRIGHTNESS))
    contrast = 1 + jitter * fn.random.uniform(range=(-CONTRAST, CONTRAST))
    if task.channels == 3:
        colour = fn.random.coin_flip(probability=1 - GREY)
        images = fn.color_twist(
            images,
            brightness=brightness,
            contrast=contrast,
            saturation=colour * (1 + jitter * fn.random.uniform(range=(-SATURATION, SATURATION))),
            hue=jitter * fn.random.uniform(range=(-360 * HUE, 360 * HUE)),
        )
    else:
        images = fn.brightness_contrast(images, brightness=brightness, contrast=contrast)
    if fn.random.coin_flip(probability=BLUR, dtype=types.BOOL):
        sigma = fn.random.uniform(range=SIGMA)
        # Taps beyond four deviations show in no byte.
        taps = fn.cast(dali.math.min(task.kernel, 2 * dali.math.ceil(4 * sigma) + 1), dtype=types.INT32)
        images = fn.gaussian_blur(images, window_size=taps, sigma=sigma)
    return fn.crop_mirror_normalize(
        images,
        mirror=fn.random.coin_flip(probability=FLIP),
        mean=[255 * mean for mean in task.mean],
        std=[255 * std for std in task.std],
        dtype=types.FLOAT,
        output_layout="CHW",
    )
