"""StyleGAN2-like generators with random weights: to measure speed with, not to look at.

    python onnx/stylegan.py 64 128 256 -o DIR

writes `stylegan-64.onnx` and so on, each with its recipe. The architecture is the
synthesis of Karras et al., "Analyzing and Improving the Image Quality of StyleGAN"
(2020): a mapping network of eight layers, modulated convolutions with demodulation,
a noise image for each layer, upsampling with a [1, 3, 3, 1] blur, and RGB by skip
connections, with fewer channels, so that two CPU cores make 20 images of 256 pixels
a second and more. Noise images are fixed, as the authors' own exports have them
(`noise_mode="const"`). The weights come from a seed: the same file every time.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

import contract
import export

LATENT = 512
STYLE = 512
SMALLEST = 4
SIZES = (64, 128, 256)
# Channels at a resolution are MANY / resolution, at most MOST.
MANY, MOST = 4096, 256
GAIN = math.sqrt(2)  # keeps the variance behind a leaky ReLU


def channels(resolution: int) -> int:
    return min(MOST, MANY // resolution)


def blur(count: int, gain: float) -> torch.Tensor:
    """The kernel [1, 3, 3, 1] squared, for each of `count` channels on its own: `[count, 1, 4, 4]`."""
    row = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(row, row)
    return (gain * kernel / kernel.sum()).expand(count, 1, 4, 4).contiguous()


def activate(x: torch.Tensor) -> torch.Tensor:
    return F.leaky_relu(x, 0.2) * GAIN


class Mapping(nn.Module):
    """Latent `[N, LATENT]` -> style `[N, STYLE]`."""

    def __init__(self, layers: int = 8) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(LATENT if i == 0 else STYLE, STYLE) for i in range(layers))
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        z = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.layers:
            z = activate(layer(z))
        return z


class Modulated(nn.Module):
    """A convolution whose input channels the style scales, and perhaps its outputs back to unit variance.

    Scaling what goes in and what comes out is the same as scaling the weights of each
    image (equations 1 and 3 of the paper), without a convolution for each.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, up: bool = False, demodulate: bool = True) -> None:
        super().__init__()
        self.up, self.padding = up, kernel // 2
        self.style = nn.Linear(STYLE, inputs)
        nn.init.normal_(self.style.weight, std=STYLE**-0.5)
        nn.init.ones_(self.style.bias)
        std = 1 / math.sqrt(inputs * kernel * kernel)
        weight = torch.randn(outputs, inputs, kernel, kernel) * std
        if demodulate:
            # What each input channel adds to the variance of each output channel.
            self.register_buffer("energy", weight.square().sum((2, 3)).T.contiguous())
        self.demodulate = demodulate
        self.weight = nn.Parameter(weight.transpose(0, 1).contiguous() if up else weight)
        if up:
            self.register_buffer("blur", blur(outputs, gain=4))

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        style = self.style(w)
        x = x * style[:, :, None, None]
        if self.up:
            x = F.conv_transpose2d(x, self.weight, stride=2)
            x = F.conv2d(x, self.blur, padding=1, groups=len(self.blur))
        else:
            x = F.conv2d(x, self.weight, padding=self.padding)
        if self.demodulate:
            x = x * torch.rsqrt(style.square() @ self.energy + 1e-8)[:, :, None, None]
        return x


class Layer(nn.Module):
    """Modulated 3x3 convolution, noise, bias, activation."""

    def __init__(self, inputs: int, outputs: int, resolution: int, up: bool = False) -> None:
        super().__init__()
        self.convolution = Modulated(inputs, outputs, 3, up)
        self.register_buffer("noise", torch.randn(1, 1, resolution, resolution))
        self.strength = nn.Parameter(torch.full((1,), 0.1))
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return activate(self.convolution(x, w) + self.noise * self.strength + self.bias)


class Generator(nn.Module):
    """Latent `[N, 512]`, unit normal -> image `[N, 3, size, size]` in [-1, 1]."""

    def __init__(self, size: int, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.mapping = Mapping()
            self.constant = nn.Parameter(torch.randn(1, channels(SMALLEST), SMALLEST, SMALLEST))
            self.layers, self.rgb = nn.ModuleList(), nn.ModuleList()
            self.register_buffer("blur", blur(3, gain=4))
            before, resolution = channels(SMALLEST), SMALLEST
            while resolution <= size:
                now = channels(resolution)
                up = resolution > SMALLEST
                first = [Layer(before, now, resolution, up=True)] if up else []
                self.layers.append(nn.ModuleList([*first, Layer(now, now, resolution)]))
                self.rgb.append(Modulated(now, 3, 1, demodulate=False))
                before, resolution = now, 2 * resolution
        # All resolutions add to the image; this keeps most of it within the range.
        self.contrast = 0.4 / math.sqrt(len(self.rgb))
        self.requires_grad_(False).eval()

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        w = self.mapping(z)
        x, image = self.constant, None
        for layers, rgb in zip(self.layers, self.rgb, strict=True):
            for layer in layers:
                x = layer(x, w)
            added = rgb(x, w)
            if image is not None:
                added = added + F.conv_transpose2d(image, self.blur, stride=2, padding=1, groups=3)
            image = added
        return (image * self.contrast).clamp(-1, 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="+", choices=SIZES)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    for size in options.sizes:
        done = write(size, options.output)
        print(f"{done.model}: {list(done.shape)}, differs from PyTorch by at most {done.difference:.1e}; {done.recipe}")
    return 0


def write(size: int, folder: Path) -> export.Exported:
    """`stylegan-SIZE.onnx` and its recipe."""
    meaning = contract.Contract({"z": contract.Latent(LATENT)})
    description = f"StyleGAN2-like synthesis at {size} pixels, random weights, for benchmarks"
    target = folder / f"stylegan-{size}.onnx"
    return export.export(Generator(size), meaning, target, block=4, facts={"description": description})


if __name__ == "__main__":
    sys.exit(main())
