"""Writes torchvision.safetensors: what torchvision makes of small images.

Every tensor `N.out` is the result of the steps that entry `N` of the metadata's `cases` lists, in
the words of genset's `Step`, on the image that it names.
"""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import _get_inverse_affine_matrix
from torchvision.transforms.v2 import functional as F

FILTERS = {
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
    "nearest": InterpolationMode.NEAREST,
}


def image(channels, height, width, seed):
    """Smooth colour, hard edges, flat and gray areas, noise."""
    draw = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    planes = []
    for c in range(channels):
        wave = 0.5 + 0.5 * torch.sin(5 * x * (c + 1) + 3 * y * (3 - c) + c)
        planes.append(wave)
    picture = torch.stack(planes)
    picture = picture + 0.25 * (torch.rand(picture.shape, generator=draw) - 0.5)
    picture[:, : height // 3, : width // 3] = 0.0
    picture[:, -height // 4 :, : width // 4] = 1.0
    picture[:, : height // 4, -width // 4 :] = 0.5
    return picture.clamp(0, 1)


# Steps: the words of genset, and the same in torchvision. `top` is 255 for bytes, 1 for floats.


def resized_crop(picture, top, step):
    box = [step[key] for key in ("top", "left", "height", "width")]
    (height, width), filter = step["out"], FILTERS[step["filter"]]
    if step["filter"] == "bicubic" and picture.dtype != torch.uint8:
        # A cubic overshoots. Bytes are clamped after each of the two passes, floats never: genset
        # clamps as for bytes.
        along = F.resized_crop(picture, *box, [box[2], width], filter, antialias=True).clamp(0, 1)
        return F.resize(along, [height, width], filter, antialias=True).clamp(0, 1)
    return F.resized_crop(picture, *box, [height, width], filter, antialias=True)


def crop(picture, top, step):
    padding = step["padding"]
    mode, fill = (padding, 0) if isinstance(padding, str) else ("constant", padding["constant"])
    pad = 8
    picture = F.pad(picture, [pad] * 4, fill=fill * top, padding_mode=mode)
    return F.crop(picture, step["top"] + pad, step["left"] + pad, *step["out"])


def flip(picture, top, step):
    return {"horizontal": F.horizontal_flip, "vertical": F.vertical_flip}[step["axis"]](picture)


def affine(picture, top, step):
    return F.affine(
        picture,
        angle=step["torchvision"]["angle"],
        translate=step["torchvision"]["translate"],
        scale=step["torchvision"]["scale"],
        shear=step["torchvision"]["shear"],
        interpolation=FILTERS[step["filter"]],
        fill=step["fill"] * top,
    )


def blur(picture, top, step):
    height, width = step["kernel"]
    return F.gaussian_blur(picture, [width, height], [step["sigma"]] * 2)


def erase(picture, top, step):
    box = [step[key] for key in ("top", "left", "height", "width")]
    values = torch.tensor(step["fill"]["constant"][: picture.shape[0]]) * top
    values = values.round() if picture.dtype == torch.uint8 else values
    return F.erase(picture, *box, values.to(picture.dtype)[:, None, None])


def grayscale(picture, top, step):
    return F.rgb_to_grayscale(picture, num_output_channels=picture.shape[0])


OPS = {
    "resized-crop": resized_crop,
    "crop": crop,
    "flip": flip,
    "affine": affine,
    "brightness": lambda x, top, step: F.adjust_brightness(x, step["factor"]),
    "contrast": lambda x, top, step: F.adjust_contrast(x, step["factor"]),
    "saturation": lambda x, top, step: F.adjust_saturation(x, step["factor"]),
    "hue": lambda x, top, step: F.adjust_hue(x, step["shift"]),
    "grayscale": grayscale,
    "blur": blur,
    "solarize": lambda x, top, step: F.solarize(x, step["threshold"] * top),
    "posterize": lambda x, top, step: F.posterize(x, step["bits"]),
    "erase": erase,
}


def affine_step(filter, fill, angle, translate=(0, 0), scale=1.0, shear=(0.0, 0.0)):
    matrix = _get_inverse_affine_matrix([0.0, 0.0], angle, list(translate), scale, list(shear))
    words = {"angle": angle, "translate": list(translate), "scale": scale, "shear": list(shear)}
    return {
        "op": "affine",
        "matrix": matrix,
        "filter": filter,
        "fill": fill,
        "torchvision": words,
    }


def single_steps(height, width):
    def box(top, left, height, width, out, filter):
        return dict(
            op="resized-crop", top=top, left=left, height=height, width=width, out=out, filter=filter
        )

    for filter in FILTERS:
        yield box(0, 0, height, width, [height, width], filter)
        yield box(1, 2, height - 3, width - 5, [height, width], filter)
        yield box(0, 0, height, width, [7, 5], filter)
        yield box(2, 1, 4, 5, [9, 21], filter)
    yield box(3, 3, 1, 1, [4, 18], "bilinear")
    yield box(0, 0, height, width, [1, 2], "bilinear")
    yield box(0, 4, height, 6, [height, 3], "bicubic")
    for padding in ("reflect", "edge", {"constant": 0.2}):
        yield dict(op="crop", top=-4, left=-3, out=[height, width], padding=padding)
    yield dict(op="crop", top=5, left=4, out=[height - 1, width], padding={"constant": 1.0})
    yield dict(op="crop", top=2, left=3, out=[5, 6], padding="edge")
    for axis in ("horizontal", "vertical"):
        yield dict(op="flip", axis=axis)
    for filter in ("nearest", "bilinear"):
        yield affine_step(filter, 0.0, 25.3)
        yield affine_step(filter, 0.6, -77.7, (2, -1), 0.83, (11.0, -7.0))
    yield affine_step("bilinear", 0.4, 3.1, (-3, 2), 1.37)
    for factor in (0.0, 0.6, 1.0, 1.37):
        yield dict(op="brightness", factor=factor)
        yield dict(op="contrast", factor=factor)
        yield dict(op="saturation", factor=factor)
    for shift in (-0.5, -0.1, 0.07, 0.33):
        yield dict(op="hue", shift=shift)
    yield dict(op="grayscale")
    for kernel, sigma in (([3, 3], 0.1), ([3, 5], 0.7), ([5, 5], 2.0), ([9, 7], 1.3)):
        yield dict(op="blur", kernel=kernel, sigma=sigma)
    yield dict(op="solarize", threshold=0.5)
    yield dict(op="solarize", threshold=0.1)
    for bits in (1, 3, 8):
        yield dict(op="posterize", bits=bits)
    yield dict(
        op="erase", top=2, left=3, height=4, width=5, fill={"constant": [0.2, 0.4, 0.6, 0.0]}
    )


def simclr(side, seed):
    """One draw of the augmentations of Chen et al. (2020)."""
    draw = torch.Generator().manual_seed(seed)

    def between(low, high):
        return float(torch.empty(()).uniform_(low, high, generator=draw))

    area, aspect = between(0.2, 1) * side * side, math.exp(between(-0.287, 0.287))
    width = min(round(math.sqrt(area * aspect)), side)
    height = min(round(math.sqrt(area / aspect)), side)
    yield dict(
        op="resized-crop",
        top=int(between(0, side - height)),
        left=int(between(0, side - width)),
        height=height,
        width=width,
        out=[side, side],
        filter="bilinear",
    )
    if between(0, 1) < 0.5:
        yield dict(op="flip", axis="horizontal")
    jitter = [
        dict(op="brightness", factor=between(0.6, 1.4)),
        dict(op="contrast", factor=between(0.6, 1.4)),
        dict(op="saturation", factor=between(0.6, 1.4)),
        dict(op="hue", shift=between(-0.1, 0.1)),
    ]
    for i in torch.randperm(4, generator=draw):
        yield jitter[i]
    if between(0, 1) < 0.2:
        yield dict(op="grayscale")
    if between(0, 1) < 0.7:
        kernel = max(side // 10 | 1, 3)
        yield dict(op="blur", kernel=[kernel, kernel], sigma=between(0.1, 2))


def main():
    tensors, cases = {}, {}
    rgb, gray = image(3, 13, 17, 1), image(1, 11, 18, 2)
    square, larger = image(3, 32, 32, 3), image(3, 64, 64, 4)

    def case(name, picture, steps, quantise=False):
        out, top = picture, 255 if picture.dtype == torch.uint8 else 1
        for step in steps:
            out = OPS[step["op"]](out, top, step)
        if quantise:
            out = (out * 255 + 0.5).floor().to(torch.uint8)
        number = f"{len(cases):03}"
        tensors[f"{number}.out"] = out.clone().contiguous()
        steps = [{k: v for k, v in step.items() if k != "torchvision"} for step in steps]
        cases[number] = {"image": name, "steps": steps}

    pictures = {
        "rgb-bytes": (rgb * 255).round().to(torch.uint8),
        "rgb-floats": rgb,
        "gray-bytes": (gray * 255).round().to(torch.uint8),
        "gray-floats": gray,
    }
    for name, picture in pictures.items():
        for step in single_steps(*picture.shape[1:]):
            coloured = step["op"] in ("saturation", "hue", "grayscale")
            # Posterizing is about bytes: torchvision's for floats keeps other levels.
            skip = step["op"] == "posterize" and picture.dtype != torch.uint8
            if not skip and not (coloured and picture.shape[0] == 1):
                case(name, picture, [step])
    pictures |= {"square": square, "larger": larger}
    for seed in range(8):
        case("square", square, list(simclr(32, seed)), quantise=True)
    for seed in range(8, 11):
        case("larger", larger, list(simclr(64, seed)), quantise=True)
    for seed in (20, 21):
        case("square", square, list(simclr(32, seed)))
    tensors |= pictures
    file = Path(__file__).with_name("torchvision.safetensors")
    # One entry: several would be written in any order.
    file.write_bytes(save(tensors, metadata={"cases": json.dumps(cases)}))
    print(f"{file.name}: {len(cases)} cases, {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
