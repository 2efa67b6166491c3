"""The 28x28 generator that is shipped, and the two networks that train it.

The generator is a flow (see there) that turns latent and class into a code, and a
small DCGAN (Radford, Metz, Chintala, 2016) that decodes it. The discriminator scores
image and class by projection (Miyato and Koyama, "cGANs with Projection
Discriminator", 2018). The encoder is only there while training: see `losses`.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional as F

from flow import Flow

LATENT = 64
CLASSES = 10


class Generator(nn.Module):
    """Latent `[N, 64]` (unit normal) and one-hot class `[N, 10]` -> image `[N, 1, 28, 28]` in [-1, 1]."""

    def __init__(self, hidden: int = 96, wide: int = 48, narrow: int = 48) -> None:
        super().__init__()
        self.wide = wide
        self.flow = Flow(LATENT, CLASSES)
        self.mix = nn.Linear(LATENT + CLASSES, hidden)
        self.spread = nn.Linear(hidden, wide * 7 * 7)
        self.norm7 = nn.BatchNorm2d(wide)
        self.up14 = nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False)
        self.norm14 = nn.BatchNorm2d(narrow)
        self.up28 = nn.ConvTranspose2d(narrow, 1, 4, 2, 1)

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.decode(self.flow(z, y), y)

    def decode(self, code: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Code `[N, 64]` as the flow or the encoder gives it -> image."""
        hidden = F.relu(self.mix(torch.cat([code, y], 1)))
        seven = self.spread(hidden).unflatten(1, (self.wide, 7, 7))
        if self.training:  # the fast layout for convolutions; inference has its own
            seven = seven.contiguous(memory_format=torch.channels_last)
        seven = F.relu(self.norm7(seven))
        fourteen = F.relu(self.norm14(self.up14(seven)))
        return torch.tanh(self.up28(fourteen))


class Folded(nn.Module):
    """A trained generator with its batch normalisation folded into the layers before."""

    def __init__(self, trained: Generator) -> None:
        super().__init__()
        self.wide = trained.wide
        self.flow = copy.deepcopy(trained.flow)
        self.mix, self.up28 = copy.deepcopy(trained.mix), copy.deepcopy(trained.up28)
        self.spread = copy.deepcopy(trained.spread)
        scale, shift = _affine(trained.norm7)
        pixels = 7 * 7  # outputs of `spread` that share a channel
        self.spread.weight.data *= scale.repeat_interleave(pixels)[:, None]
        self.spread.bias.data = self.spread.bias * scale.repeat_interleave(pixels) + shift.repeat_interleave(pixels)
        narrow = trained.up14.out_channels
        self.up14 = nn.ConvTranspose2d(self.wide, narrow, 4, 2, 1)
        scale, shift = _affine(trained.norm14)
        self.up14.weight.data = trained.up14.weight * scale[None, :, None, None]
        self.up14.bias.data = shift
        self.requires_grad_(False).eval()

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        hidden = F.relu(self.mix(torch.cat([self.flow(z, y), y], 1)))
        seven = F.relu(self.spread(hidden)).reshape(-1, self.wide, 7, 7)
        return torch.tanh(self.up28(F.relu(self.up14(seven))))


def _affine(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and shift `[C]` that the normalisation comes to at inference."""
    scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias.detach() - norm.running_mean * scale


def trunk(widths: tuple[int, int, int]) -> nn.Sequential:
    """Image `[N, 1, 28, 28]` -> features `[N, widths[2], 3, 3]` by strided convolutions."""
    first, second, third = widths
    return nn.Sequential(
        nn.Conv2d(1, first, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(first, second, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(second, third, 4, 2, 1), nn.LeakyReLU(0.2),
    )  # fmt: skip


class Discriminator(nn.Module):
    """Image `[N, 1, 28, 28]` and class index `[N]` -> score `[N]`, real is high."""

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 128), group: int = 8) -> None:
        super().__init__()
        self.group = group
        self.trunk = trunk(widths)
        self.dense = nn.Linear((widths[2] + 1) * 9, 128)
        self.score = nn.Linear(128, 1)
        self.classes = nn.Embedding(CLASSES, 128)
        nn.init.zeros_(self.classes.weight)

    def forward(self, image: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        features = self.trunk(image)
        spread = minibatch_deviation(features, self.group)
        judged = F.leaky_relu(self.dense(torch.cat([features, spread], 1).flatten(1)), 0.2)
        return self.score(judged).squeeze(1) + (self.classes(label) * judged).sum(1)


def minibatch_deviation(features: torch.Tensor, group: int) -> torch.Tensor:
    """Mean standard deviation within each group of `group` images, as one more channel.

    `[N, C, H, W]` -> `[N, 1, H, W]`; N is a multiple of `group`. Lets the
    discriminator see a generator that repeats itself (Karras et al.,
    "Progressive Growing of GANs", 2018).
    """
    count, channels, height, width = features.shape
    groups = features.float().reshape(group, -1, channels, height, width)
    variance = (groups - groups.mean(0)).square().mean(0)  # several times faster than var(0)
    deviation = (variance + 1e-8).sqrt().mean((1, 2, 3))
    spread = deviation.repeat(group).reshape(count, 1, 1, 1)
    return spread.expand(count, 1, height, width).to(features.dtype)


class Encoder(nn.Module):
    """Image `[N, 1, 28, 28]` and one-hot class `[N, 10]` -> mean and log variance, each `[N, 64]`."""

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 96)) -> None:
        super().__init__()
        self.trunk = trunk(widths)
        self.dense = nn.Linear(widths[2] * 9 + CLASSES, 2 * LATENT)

    def forward(self, image: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.trunk(image).flatten(1)
        mean, log_variance = self.dense(torch.cat([features, y.to(features.dtype)], 1)).float().chunk(2, 1)
        return mean, log_variance.clamp(-10, 2)
