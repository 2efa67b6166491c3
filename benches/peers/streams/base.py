"""An endless dataset of batches, drawn as genset draws them: two neighbours of each anchor."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn import functional as F
from torch.utils.data import IterableDataset

from generators import GENERATORS, NEIGHBOUR_STD, VIEWS

Batch = dict[str, torch.Tensor]


class Batches(IterableDataset):
    """Batches with `images [B, V, C, H, W]`, u8, and `label [B]` if the generator has classes.

    A contender says how images are made (`start`, `images`), for which it gets all inputs
    `[B * V, …]` in f32.
    """

    def __init__(self, generator: str) -> None:
        self.generator = GENERATORS[generator]

    def __iter__(self) -> Iterator[Batch]:
        self.start()
        generator = self.generator
        while True:
            anchors = torch.randn(generator.batch, 1, *generator.latent)
            z = anchors + NEIGHBOUR_STD * torch.randn(generator.batch, VIEWS, *generator.latent)
            label = torch.randint(generator.classes, (generator.batch,)) if generator.classes else None
            batch = {"images": self.images(self.inputs(z, label)).unflatten(0, (-1, VIEWS))}
            yield batch if label is None else batch | {"label": label}

    def inputs(self, z: torch.Tensor, label: torch.Tensor | None) -> list[torch.Tensor]:
        """Latents `[B, V, …]` and classes `[B]` as the generator takes them."""
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
