"""PyTorch: the author's module, eager in f32 and bf16, and compiled.

Weights are in bf16 altogether, which is faster than `autocast` and as close. The
network is built before workers fork, which share its weights then. Compiling
freezes the weights (inductor's setting for inference), which lets it repack them.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from generators import network
from streams import Variant
from streams.base import Batches


class Pixels(nn.Module):
    """A generator that gives bytes."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.dtype = network, dtype

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        images = self.network(*(value.to(self.dtype) for value in inputs)).float()
        # Truncation, after a half was added, rounds to the nearest.
        return images.mul(127.5).add(128).clamp(0, 255).to(torch.uint8).contiguous()


class TorchStream(Batches):
    def __init__(
        self, generator: str, folder: Path, variant: Variant, threads: int, dtype: torch.dtype, compile: bool
    ) -> None:
        super().__init__(generator)
        # A process whose threads have begun to work cannot be forked any more.
        torch.set_num_threads(1)
        self.threads, self.dtype, self.chunk = threads, dtype, variant.chunk
        self.module = Pixels(network(generator, folder), dtype).to(dtype)
        self.vary(variant)
        self.run = self.module
        if compile:
            from torch._inductor import config

            config.freezing = True
            self.run = torch.compile(self.module, dynamic=False)

    def vary(self, variant: Variant) -> None:
        """Goes on with another variant."""
        self.chunk = variant.chunk
        form = torch.channels_last if variant.channels_last else torch.contiguous_format
        self.module.to(memory_format=form)

    def start(self) -> None:
        torch.set_num_threads(self.threads)

    @torch.no_grad()
    def images(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        chunk = self.chunk or len(inputs[0])
        if chunk >= len(inputs[0]):
            return self.run(*inputs)
        parts = zip(*(value.split(chunk) for value in inputs), strict=True)
        return torch.cat([self.run(*part) for part in parts])

    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__}


def eager(generator: str, folder: Path, variant: Variant, threads: int) -> TorchStream:
    return TorchStream(generator, folder, variant, threads, torch.float32, compile=False)


def bfloat16(generator: str, folder: Path, variant: Variant, threads: int) -> TorchStream:
    return TorchStream(generator, folder, variant, threads, torch.bfloat16, compile=False)


def compiled(generator: str, folder: Path, variant: Variant, threads: int) -> TorchStream:
    return TorchStream(generator, folder, variant, threads, torch.bfloat16, compile=True)
