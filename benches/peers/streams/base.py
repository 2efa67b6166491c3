"""An endless dataset of batches, drawn as genset draws them: two neighbours of each anchor."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn import functional as F
from torch.utils.data import IterableDataset

from generators import GENERATORS, NEIGHBOUR_STD, VIEWS

Batch = dict[str, torch.Tensor]
Inputs = tuple[torch.Tensor, torch.Tensor | None]
"""Latents `[B, V, …]` and classes `[B]`."""


class Batches(IterableDataset):
    """Batches with `images [B, V, C, H, W]`, u8, and `label [B]` if the generator has classes.

    A contender says how images are made (`start`, `images`), for which it gets all inputs
    `[B * V, …]` in f32.
    """

    first: Inputs
    """What the first batch of each worker is made of."""

    def __init__(self, generator: str) -> None:
        self.generator = GENERATORS[generator]

    def __iter__(self) -> Iterator[Batch]:
        self.start()
        yield self.batch(*self.first)
        while True:
            yield self.batch(*self.draw())

    def batch(self, z: torch.Tensor, label: torch.Tensor | None) -> Batch:
        images = self.images(self.inputs(z, label)).unflatten(0, (-1, VIEWS))
        return {"images": images} if label is None else {"images": images, "label": label}

    def draw(self) -> Inputs:
        generator = self.generator
        anchors = torch.randn(generator.batch, 1, *generator.latent)
        z = anchors + NEIGHBOUR_STD * torch.randn(generator.batch, VIEWS, *generator.latent)
        return z, torch.randint(generator.classes, (generator.batch,)) if generator.classes else None

    def inputs(self, z: torch.Tensor, label: torch.Tensor | None) -> list[torch.Tensor]:
        """Both as the generator takes them."""
        z = z.reshape(-1, *self.generator.latent)
        if label is None:
            return [z]
        return [z, F.one_hot(label.repeat_interleave(VIEWS), self.generator.classes).float()]

    def start(self) -> None:
        """Sets up what must be set up in the process that makes images."""
        raise NotImplementedError

    def images(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        """u8 `[N, C, H, W]`, contiguous."""
        raise NotImplementedError
