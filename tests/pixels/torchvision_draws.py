"""Writes `torchvision_draws.safetensors`: what torchvision v2 draws for view parameters.

    pip install -r requirements.txt
    python torchvision_draws.py

`tests/pixel_draws.rs` holds the distributions of `genset::sample::PixelSampler` against these
draws. Parameters come from the transforms' own `make_params`, so that a change in torchvision's
meaning shows as soon as this file is made anew. Seeds are fixed: equal versions write equal bytes.
"""

import json
import struct
from pathlib import Path

import torch
import torchvision
from torchvision.transforms import v2
from torchvision.transforms.functional import _get_inverse_affine_matrix

DRAWS = 3000


def draw(transform, image):
    """`DRAWS` parameter sets for a `[C, H, W]` image."""
    images = [torch.zeros(image)]
    return [transform.make_params(images) for _ in range(DRAWS)]


def boxes(params, names):
    """`[DRAWS, 4]`: top, left, height, width. An erasure that found no box has no height."""
    rows = [[p[name] for name in names] if p.get("v", 0) is not None else [0] * 4 for p in params]
    return torch.tensor(rows, dtype=torch.uint8)


def crops(transform, image):
    return boxes(draw(transform, image), ["top", "left", "height", "width"])


def erasures(transform, image):
    return boxes(draw(transform, image), ["i", "j", "h", "w"])


def distributions():
    torch.manual_seed(7)
    crop = v2.RandomResizedCrop
    yield "crop.default", crops(crop(32), (3, 64, 48))
    yield "crop.simclr", crops(crop(28, scale=(0.2, 1.0)), (1, 28, 28))
    # Wide images of which many tries do not fit: the central crop is drawn too.
    yield "crop.narrow", crops(crop(16, scale=(0.2, 1.0)), (3, 16, 64))
    yield "erase.default", erasures(v2.RandomErasing(), (3, 32, 48))
    # Large boxes of which many do not fit: nothing is erased.
    yield "erase.large", erasures(v2.RandomErasing(scale=(0.6, 1.0)), (3, 24, 24))

    places = draw(v2.RandomCrop(32, padding=4), (3, 32, 40))
    yield "place", torch.tensor([[p["top"], p["left"]] for p in places], dtype=torch.uint8)

    jitters = draw(v2.ColorJitter(0.4, 0.8, (0.5, 3.0), 0.1), (3, 8, 8))
    orders = [p["fn_idx"].tolist() for p in jitters]
    yield "jitter.order", torch.tensor(orders, dtype=torch.uint8)
    names = ["brightness_factor", "contrast_factor", "saturation_factor", "hue_factor"]
    yield "jitter.factors", torch.tensor([[p[name] for name in names] for p in jitters])

    turns = draw(v2.RandomRotation((-30, 60)), (3, 8, 8))
    yield "rotate.degrees", torch.tensor([p["angle"] for p in turns])
    affine = v2.RandomAffine((-20, 40), (0.1, 0.2), (0.8, 1.25), (-10, 10, 5, 15))
    maps = draw(affine, (3, 32, 48))
    shifts = [p["translate"] for p in maps]
    yield "affine.shift", torch.tensor(shifts, dtype=torch.int8)
    rest = [[p["angle"], p["scale"], *p["shear"]] for p in maps]
    yield "affine.rest", torch.tensor(rest)
    sigmas = draw(v2.GaussianBlur(5, (0.1, 2.0)), (3, 8, 8))
    yield "blur.sigma", torch.tensor([p["sigma"][0] for p in sigmas])


def maps():
    """`[n, 10]`: angle, scale, shear x, shear y, then the inverse map row by row."""
    torch.manual_seed(8)
    rows = []
    for unit in torch.rand(32, 4).tolist():
        angle, scale = 360 * unit[0] - 180, 0.5 + 1.5 * unit[1]
        shear = [120 * unit[2] - 60, 120 * unit[3] - 60]
        matrix = _get_inverse_affine_matrix([0.0, 0.0], angle, [0.0, 0.0], scale, shear)
        rows.append([angle, scale, *shear, *matrix])
    return torch.tensor(rows)


def sizes():
    """Rows of height, width, size, then `[height, width]` after `Resize(size)`."""
    rows = []
    for height, width, size in [(30, 41, 20), (41, 30, 20), (7, 300, 5), (64, 64, 28), (3, 7, 100)]:
        resized = v2.functional.resize(torch.zeros(1, height, width), [size])
        rows.append([height, width, size, *resized.shape[1:]])
    return torch.tensor(rows, dtype=torch.int32)


def centers():
    """Rows of side, size, then the first row of `CenterCrop(size)`."""
    rows = []
    for side, size in [(28, 21), (27, 22), (28, 20), (29, 22), (3, 2), (5, 2), (300, 1)]:
        ramp = torch.arange(side, dtype=torch.int32).reshape(1, side, 1).expand(1, side, side)
        rows.append([side, size, int(v2.functional.center_crop(ramp, [size])[0, 0, 0])])
    return torch.tensor(rows, dtype=torch.int32)


def write(path, tensors):
    """A safetensors file, written by hand to need no further package."""
    names = {torch.uint8: "U8", torch.int8: "I8", torch.int32: "I32", torch.float32: "F32"}
    header, data = {"__metadata__": {"torchvision": torchvision.__version__.split("+")[0]}}, b""
    # Wide elements first, so that every tensor is aligned.
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        bytes_ = tensor.contiguous().numpy().tobytes()
        span = [len(data), len(data) + len(bytes_)]
        shape = list(tensor.shape)
        header[name] = {"dtype": names[tensor.dtype], "shape": shape, "data_offsets": span}
        data += bytes_
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    exact = {"maps": maps(), "sizes": sizes(), "centers": centers()}
    path = Path(__file__).with_suffix(".safetensors")
    write(path, {**dict(distributions()), **exact})
    print(f"{path}: {path.stat().st_size} bytes")
