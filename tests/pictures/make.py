"""Draws small pictures, writes them in every form that is read, and beside each what Pillow and
torchvision's Resize and CenterCrop (which are Pillow's resize and a crop) make of it."""

from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
HEIGHT, WIDTH, SIDE = 45, 61, 16


def picture() -> Image.Image:
    """Gradients, an edge, and a little noise."""
    noise = np.random.default_rng(5).integers(0, 12, (HEIGHT, WIDTH, 3))
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    planes = [x * 4, y * 5, (x + y) * 2 + 40 * (x > 30)]
    return Image.fromarray(np.clip(np.stack(planes, -1) + noise, 0, 255).astype(np.uint8))


def cover(image: Image.Image) -> Image.Image:
    """`Resize(SIDE)` and `CenterCrop(SIDE)`, as torchvision computes their sizes."""
    width, height = image.size
    short, long = sorted((width, height))
    size = (SIDE, SIDE * long // short)
    new_width, new_height = size if width <= height else size[::-1]
    resized = image.resize((new_width, new_height), Image.Resampling.BILINEAR)
    left, top = int(round((new_width - SIDE) / 2.0)), int(round((new_height - SIDE) / 2.0))
    return resized.crop((left, top, left + SIDE, top + SIDE))


def save(name: str, image: Image.Image, **options) -> None:
    path = HERE / name
    image.save(path, **options)
    with Image.open(path) as opened:
        rgb, gray = opened.convert("RGB"), opened.convert("L")
    for kind, made in (("rgb", rgb), ("gray", gray), ("cover", cover(rgb))):
        pixels = np.asarray(made)
        np.save(HERE / f"{name}.{kind}.npy", pixels.reshape(1, *pixels.shape[:2], -1))


colour = picture()
alpha = colour.copy()
alpha.putalpha(Image.fromarray(np.tile(np.arange(WIDTH, dtype=np.uint8) * 4, (HEIGHT, 1))))
save("plain.png", colour)
save("gray.png", colour.convert("L"))
save("alpha.png", alpha)
save("gray-alpha.png", alpha.convert("LA"))
save("palette.png", colour.quantize(40))
save("bits.png", colour.convert("1"))
save("lossless.webp", colour, lossless=True)
save("alpha.webp", alpha, lossless=True, exact=True)
save("lossy.webp", colour, quality=80)
save("420.jpg", colour, quality=90)
save("444.jpg", colour, quality=90, subsampling=0)
save("gray.jpg", colour.convert("L"), quality=90)
save("progressive.jpg", colour, quality=90, progressive=True)
save("cmyk.jpg", colour.convert("CMYK"), quality=90)
