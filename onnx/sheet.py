"""Contact sheets: many images in one PNG, written without further libraries."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

GAP = 2  # pixels between images, before scaling


def grid(images: np.ndarray, columns: int, scale: int = 1) -> np.ndarray:
    """u8 images `[N, H, W]` or `[N, H, W, 3]`, row by row -> one image, white between them."""
    count, height, width, *colour = images.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, *colour), 255, np.uint8)
    for place, image in enumerate(images):
        top, left = (GAP + at * (size + GAP) for at, size in zip(divmod(place, columns), (height, width), strict=True))
        sheet[top : top + height, left : left + width] = image
    return sheet.repeat(scale, 0).repeat(scale, 1)


def write_png(path: Path, image: np.ndarray) -> None:
    """Writes u8 `[H, W]` (grey) or `[H, W, 3]` (RGB) as PNG (ISO/IEC 15948)."""
    height, width = image.shape[:2]
    colour_type = 0 if image.ndim == 2 else 2
    lines = image.reshape(height, -1)
    unfiltered = np.concatenate([np.zeros((height, 1), np.uint8), lines], 1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(unfiltered, 9)), (b"IEND", b"")]
    content = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
