"""Encoders as people write them in PyTorch, of any width: what `encoders.py` exports."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_norm(inside: int, out: int, kernel: int, stride: int = 1, groups: int = 1, act: type[nn.Module] | None = None):
    """A convolution without offset, its normalisation, and an activation."""
    layers = [nn.Conv2d(inside, out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(out)]
    return nn.Sequential(*layers, *([act()] if act else []))


class ConvSmall(nn.Module):
    """Convolutions with batch normalisation, all but the first of stride 2."""

    def __init__(self, channels: int, width: int = 16):
        super().__init__()
        widths = [channels, width, 2 * width, 4 * width, 8 * width]
        strides = [1, 2, 2, 2]
        parts = zip(widths, widths[1:], strides)
        self.body = nn.Sequential(*(conv_norm(a, b, 3, stride, act=nn.ReLU) for a, b, stride in parts))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).mean((2, 3))


class Block(nn.Module):
    """Two convolutions, and the input added to what they make (He and others 2016)."""

    def __init__(self, inside: int, out: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = conv_norm(inside, out, 1, stride) if stride > 1 or inside != out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet18(nn.Module):
    """ResNet-18, with the stem of the paper or one for small images."""

    def __init__(self, channels: int, width: int = 64, small: bool = True):
        super().__init__()
        stem = conv_norm(channels, width, 3, act=nn.ReLU) if small else conv_norm(channels, width, 7, 2, act=nn.ReLU)
        self.stem = stem if small else nn.Sequential(stem, nn.MaxPool2d(3, 2, 1))
        blocks, inside = [], width
        for stage in range(4):
            out = width << stage
            blocks += [Block(inside, out, 1 if stage == 0 else 2), Block(out, out, 1)]
            inside = out
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.flatten(self.pool(self.blocks(self.stem(x))), 1)


class Vgg(nn.Module):
    """Convolutions of 3 x 3 with maxima between, then linear layers with dropout (Simonyan 2015)."""

    def __init__(self, channels: int, width: int = 32, norm: bool = True):
        super().__init__()
        layers: list[nn.Module] = []
        inside = channels
        for out in (width, "M", 2 * width, "M", 4 * width, 4 * width, "M"):
            if out == "M":
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers.append(nn.Conv2d(inside, out, 3, padding=1))
            layers += [nn.BatchNorm2d(out)] if norm else []
            layers.append(nn.ReLU(inplace=True))
            inside = out
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(
            nn.Linear(4 * inside, 4 * width), nn.ReLU(True), nn.Dropout(), nn.Linear(4 * width, 4 * width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.features(x))
        return self.classifier(x.view(x.size(0), -1))


class Squeeze(nn.Module):
    """Channels weighed by what the whole image shows (Hu and others 2018)."""

    def __init__(self, channels: int, inside: int, act: type[nn.Module], gate: type[nn.Module]):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1, self.fc2 = nn.Conv2d(channels, inside, 1), nn.Conv2d(inside, channels, 1)
        self.act, self.gate = act(), gate()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.fc2(self.act(self.fc1(self.pool(x)))))


class Inverted(nn.Module):
    """Wide, then by channel, then narrow (Sandler and others 2018; Howard and others 2019)."""

    def __init__(
        self,
        inside: int,
        out: int,
        wide: int,
        stride: int,
        act: type[nn.Module],
        squeeze: Callable | None,
        kernel: int = 3,
    ):
        super().__init__()
        layers = [conv_norm(inside, wide, 1, act=act), conv_norm(wide, wide, kernel, stride, wide, act)]
        layers += [squeeze(wide, max(wide // 4, 2))] if squeeze else []
        self.body = nn.Sequential(*layers, conv_norm(wide, out, 1))
        self.adds = stride == 1 and inside == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.adds else self.body(x)


class MobileNet(nn.Module):
    """Inverted residuals: with ReLU6 as the second version, with HardSwish and squeezing as the
    third, with SiLU and squeezing as EfficientNet."""

    KINDS = {
        "v2": (nn.ReLU6, None),
        "v3": (nn.Hardswish, partial(Squeeze, act=nn.ReLU, gate=nn.Hardsigmoid)),
        "efficient": (nn.SiLU, partial(Squeeze, act=nn.SiLU, gate=nn.Sigmoid)),
    }

    def __init__(self, channels: int, width: int = 16, kind: str = "v3"):
        super().__init__()
        act, squeeze = self.KINDS[kind]
        block = partial(Inverted, act=act, squeeze=squeeze)
        self.body = nn.Sequential(
            conv_norm(channels, width, 3, 2, act=act),
            block(width, width, 2 * width, 1),
            block(width, 2 * width, 3 * width, 2, kernel=5),
            block(2 * width, 2 * width, 4 * width, 1),
            conv_norm(2 * width, 4 * width, 1, act=act),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.last = nn.Sequential(nn.Linear(4 * width, 8 * width), act(), nn.Dropout(0.2))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.pool(self.body(x)).flatten(1))


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over channels of [N, C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNextBlock(nn.Module):
    """Liu and others 2022, figure 4, with a layer scale."""

    def __init__(self, width: int):
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pwconv1, self.pwconv2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        # Larger than the paper's 1e-6, with which a step would hardly see the layers behind it.
        self.gamma = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))
        return x + y.permute(0, 3, 1, 2)


class ConvNext(nn.Module):
    """ConvNeXt of two stages."""

    def __init__(self, channels: int, width: int = 32):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, width, 4, 4), ChannelNorm(width, eps=1e-6))
        self.stage1 = nn.Sequential(ConvNextBlock(width), ConvNextBlock(width))
        self.down = nn.Sequential(ChannelNorm(width, eps=1e-6), nn.Conv2d(width, 2 * width, 2, 2))
        self.stage2 = ConvNextBlock(2 * width)
        self.norm = nn.LayerNorm(2 * width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.stage2(self.down(self.stage1(self.stem(x)))).mean((-2, -1)))


class Attention(nn.Module):
    """One matrix for queries, keys and values, as most vision transformers have it."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, count, width = x.shape
        q, k, v = self.qkv(x).reshape(n, count, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v)
        return self.proj(seen.transpose(1, 2).reshape(n, count, width))


class Layer(nn.Module):
    """Attention and two linear layers, each after a normalisation."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Vit(nn.Module):
    """A vision transformer for images of 32 pixels or `size`, read off a class token, or off the mean of all."""

    def __init__(
        self,
        channels: int,
        width: int = 192,
        heads: int = 3,
        layers: int = 6,
        size: int = 32,
        patch: int = 4,
        token: bool = True,
    ):
        super().__init__()
        self.patches = nn.Conv2d(channels, width, patch, patch)
        count = (size // patch) ** 2
        self.token = nn.Parameter(torch.randn(1, 1, width) * 0.02) if token else None
        self.places = nn.Parameter(torch.randn(1, count + token, width) * 0.02)
        self.layers = nn.Sequential(*(Layer(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        if self.token is not None:
            x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        x = self.norm(self.layers(x + self.places))
        return x.mean(1) if self.token is None else x[:, 0]


class TorchTransformer(nn.Module):
    """`torch.nn`'s own transformer layers, with tanh GELU, over patches."""

    def __init__(self, channels: int, width: int = 64, heads: int = 4, size: int = 32, patch: int = 8):
        super().__init__()
        self.patches = nn.Conv2d(channels, width, patch, patch)
        self.places = nn.Parameter(torch.randn((size // patch) ** 2, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width,
            heads,
            2 * width,
            dropout=0.0,
            activation=partial(F.gelu, approximate="tanh"),
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(self.patches(x).flatten(2).transpose(1, 2) + self.places).mean(1)


class Mixed(nn.Module):
    """What is found in other encoders: groups, dilation, average pooling, group and instance
    normalisation, PReLU, LeakyReLU, ELU, parts that are split and joined, interpolation, padding."""

    def __init__(self, channels: int, width: int = 8):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 2 * width, 3, 2, 1)
        self.norm1 = nn.GroupNorm(2, 2 * width)
        self.prelu = nn.PReLU(2 * width)
        self.conv2 = nn.Conv2d(2 * width, 2 * width, 3, padding=2, dilation=2, groups=2, bias=False)
        self.norm2 = nn.InstanceNorm2d(2 * width, affine=True)
        self.pool = nn.AvgPool2d(3, 2, 1)
        self.left, self.right = nn.Conv2d(width, width, (1, 3)), nn.Conv2d(width, width, 1)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.prelu(self.norm1(self.conv1(x)))
        x = x + F.leaky_relu(self.norm2(self.conv2(x)), 0.2)
        low = self.pool(x)
        left, right = low.chunk(2, 1)
        joined = torch.cat([F.elu(self.left(F.pad(left, (1, 1)))), torch.tanh(self.right(right))], 1)
        up = F.softplus(self.up(joined)) + F.interpolate(left, scale_factor=2, mode="bilinear", align_corners=False)
        return torch.cat([up.amax((2, 3)), up.square().mean((2, 3)).sqrt(), F.normalize(joined.mean((2, 3)))], 1)


class Head(nn.Module):
    """Linear layers with normalisation and ReLU between, named as genset names them."""

    def __init__(self, inside: int, widths: list[int]):
        super().__init__()
        self.linear, self.norm = nn.ModuleList(), nn.ModuleList()
        for place, out in enumerate(widths):
            last = place + 1 == len(widths)
            self.linear.append(nn.Linear(inside, out, bias=last))
            if not last:
                self.norm.append(nn.BatchNorm1d(out))
                nn.init.uniform_(self.norm[-1].weight, 0.7, 1.3)
                nn.init.uniform_(self.norm[-1].bias, -0.2, 0.2)
            inside = out

    def forward(self, x: Tensor) -> Tensor:
        for place, linear in enumerate(self.linear):
            x = linear(x)
            x = self.norm[place](x).relu() if place < len(self.norm) else x
        return x

    def variables(self, name: str) -> dict[str, Tensor]:
        made = {}
        for place, linear in enumerate(self.linear):
            made[f"{name}.{place}.weight"] = linear.weight
            if linear.bias is not None:
                made[f"{name}.{place}.bias"] = linear.bias
            else:
                norm = self.norm[place]
                parts = {
                    "scale": norm.weight,
                    "offset": norm.bias,
                    "mean": norm.running_mean,
                    "variance": norm.running_var,
                }
                made |= {f"{name}.{place}.{part}": value for part, value in parts.items()}
        return made
