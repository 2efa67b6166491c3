"""Contact sheets: placement and a PNG that decodes."""

import struct
import zlib

import numpy as np
import sheet


def test_grid_places_row_by_row():
    images = np.arange(1, 6, dtype=np.uint8)[:, None, None].repeat(3, 1).repeat(4, 2)
    made = sheet.grid(images, columns=2, scale=1)
    gap = sheet.GAP
    assert made.shape == (3 * (3 + gap) + gap, 2 * (4 + gap) + gap)
    assert made[gap, gap] == 1
    assert made[gap, gap + 4 + gap] == 2
    assert made[gap + 3 + gap, gap] == 3
    assert made[0, 0] == made[-1 - gap, -1 - gap] == 255  # the gap, and the place left over


def test_png_holds_the_pixels(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    sheet.write_png(tmp_path / "a.png", image)
    content = (tmp_path / "a.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        body = content[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", content, at + 8 + size)[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + size
    assert struct.unpack(">IIBB", chunks[b"IHDR"][:10]) == (7, 5, 8, 2)
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(5, 1 + 7 * 3)
    assert not lines[:, 0].any()
    assert np.array_equal(lines[:, 1:].reshape(5, 7, 3), image)
