"""The fixed classifiers that judge a generator, and how they are trained.

They are deliberately plain and were fixed before the generators were trained:
same network, optimizer, epochs and seeds for real and generated images, no
augmentation, no early stopping, no tuning. What counts is the gap between the
two accuracies (the classification accuracy score of Ravuri and Vinyals,
"Classification Accuracy Score for Conditional Generative Models", 2019).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

EPOCHS = 10
BATCH = 128
LEARNING_RATE = 1e-3
SEEDS = (0, 1, 2)


def mlp() -> nn.Module:
    """784 -> 128 -> 10."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


class Cnn(nn.Module):
    """Two 3x3 convolutions with max pooling, 64 features, 10 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32 * 7 * 7, 64), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(64, 10)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """`[N, 1, 28, 28]` -> `[N, 64]`: the layer below the logits."""
        return self.convolutions(images)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(images))


CLASSIFIERS = {"mlp": mlp, "cnn": Cnn}


def to_tensor(images: np.ndarray) -> torch.Tensor:
    """u8 `[N, 28, 28]` -> f32 `[N, 1, 28, 28]` in [-1, 1]."""
    return torch.from_numpy(images.astype(np.float32)).div_(127.5).sub_(1).unsqueeze(1)


def train(kind: str, images: np.ndarray, labels: np.ndarray, seed: int) -> nn.Module:
    """Trains the classifier `kind` on u8 images `[N, 28, 28]` and labels `[N]`."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = CLASSIFIERS[kind]()
    pixels, targets = to_tensor(images), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(pixels), generator=generator).split(BATCH):
            loss = F.cross_entropy(network(pixels[rows]), targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.eval()


@torch.no_grad()
def accuracy(network: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of u8 images `[N, 28, 28]` that get their label, in percent."""
    logits = torch.cat([network(part) for part in to_tensor(images).split(1000)])
    return 100 * (logits.argmax(1) == torch.from_numpy(labels)).double().mean().item()
