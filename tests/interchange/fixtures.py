"""Writes the files in fixtures/ with the real writers of WebDataset and MosaicML Streaming.

`tests/interchange.rs` reads them. Every pixel follows from its place, so nothing else is kept.
Run it to make them anew: python tests/interchange/fixtures.py
"""

import shutil
from pathlib import Path

import numpy as np
import streaming
import webdataset
from PIL import Image

FIXTURES = Path(__file__).parent / "fixtures"
SAMPLES = 5
HEIGHT, WIDTH = 6, 7


def pixels(index: int, channels: int) -> np.ndarray:
    """The image of a sample, [H, W, C]."""
    axes = np.ogrid[:HEIGHT, :WIDTH, :channels]
    y, x, c = (axis.astype(np.int64) for axis in axes)
    return ((index * 31 + c * 17 + y * 7 + x * 3) % 256).astype(np.uint8)


def label(index: int) -> int:
    return index * 2 - 1


def write_webdataset() -> None:
    folder = FIXTURES / "webdataset"
    folder.mkdir(parents=True)
    pattern = str(folder / "shard-%02d.tar")
    with webdataset.ShardWriter(pattern, maxcount=3, mtime=0.0, verbose=0) as writer:
        for index in range(SAMPLES):
            # A key longer than a header has room for, as names of photographs are.
            key = f"{'photographs/' * 9}sample-{index:03d}"
            image = Image.fromarray(pixels(index, 3))
            writer.write({"__key__": key, "png": image, "cls": label(index), "txt": "a sample"})


def write_arrays() -> None:
    folder = FIXTURES / "webdataset-npy"
    folder.mkdir(parents=True)
    with webdataset.TarWriter(str(folder / "shard.tar"), mtime=0.0) as writer:
        for index in range(SAMPLES):
            image = pixels(index, 1).transpose(2, 0, 1)
            views = np.stack([image, 255 - image])
            writer.write({"__key__": f"{index}", "npy": views, "json": {"label": label(index)}})


def write_mds(name: str, encoding: str, make) -> None:
    folder = FIXTURES / name
    columns = {"image": encoding, "label": "int", "name": "str"}
    with streaming.MDSWriter(out=str(folder), columns=columns, size_limit=900) as writer:
        for index in range(SAMPLES):
            writer.write({"image": make(index), "label": label(index), "name": f"sample {index}"})


if __name__ == "__main__":
    shutil.rmtree(FIXTURES, ignore_errors=True)
    write_webdataset()
    write_arrays()
    write_mds("mds-png", "png", lambda index: Image.fromarray(pixels(index, 3)))
    write_mds("mds-pil", "pil", lambda index: Image.fromarray(pixels(index, 3)))
    write_mds("mds-ndarray", "ndarray", lambda index: pixels(index, 3))
    write_mds("mds-static", f"ndarray:uint8:{HEIGHT},{WIDTH},3", lambda index: pixels(index, 3))
