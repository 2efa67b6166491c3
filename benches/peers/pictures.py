"""Images with the statistics of photographs: dead leaves (Lee, Mumford, Huang, 2001).

Discs of all sizes cover one another, each shaded and with a little grain, which
gives the edges, smooth areas and spectrum that resizing and blurring meet in
practice. Noise alone would be unfair to no one but look like nothing.
"""

from __future__ import annotations

import numpy as np

LEAVES = 120


def dead_leaves(count: int, size: int, channels: int, seed: int) -> np.ndarray:
    """u8 `[count, size, size, channels]`; equal arguments give equal images."""
    random = np.random.default_rng([seed, size, channels])
    images = np.empty((count, size, size, channels), np.uint8)
    for image in images:
        canvas = np.empty((size, size, channels))
        canvas[:] = _colour(channels, random)
        for _ in range(LEAVES):
            _leaf(canvas, random)
        canvas += random.normal(0, 4, canvas.shape)
        image[:] = canvas.clip(0, 255)
    return images


def _leaf(canvas: np.ndarray, random: np.random.Generator) -> None:
    size = canvas.shape[0]
    # A density of radius^-3 makes the images alike at every scale.
    radius = size * 0.5 * (1 + random.uniform() * (0.5 / 0.03) ** 2) ** -0.5
    y, x = random.uniform(0, size, 2)
    top, left = (max(0, int(at - radius)) for at in (y, x))
    bottom, right = (min(size, int(at + radius) + 1) for at in (y, x))
    rows, columns = np.ogrid[top:bottom, left:right]
    inside = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
    colour = _colour(canvas.shape[2], random)
    # Lit from somewhere.
    shade = (rows - y) * random.normal(0, 20 / radius) + (columns - x) * random.normal(0, 20 / radius)
    canvas[top:bottom, left:right][inside] = (colour + shade[..., None])[inside]


def _colour(channels: int, random: np.random.Generator) -> np.ndarray:
    """Grey on the whole, with some colour."""
    return random.uniform(20, 235) + random.normal(0, 30, channels)
