"""SimCLR on a folder of images by class: a plain PyTorch script, before genset.

    python examples/python/simclr_folder.py --epochs 5

`simclr_generated.py` is the same on what a generator makes: one line differs, and its import.
"""

import argparse

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder


class TwoViews:
    """Two augmentations of an image."""

    def __init__(self, augment):
        self.augment = augment

    def __call__(self, image):
        return self.augment(image), self.augment(image)


augment = transforms.Compose(
    [
        transforms.Grayscale(),
        transforms.RandomResizedCrop(28, scale=(0.4, 1.0)),
        transforms.RandomApply([transforms.GaussianBlur(3)], p=0.5),
        transforms.ToTensor(),
    ]
)


def encoder():
    def block(before, after):
        return nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()

    layers = *block(1, 32), *block(32, 64), *block(64, 128), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*layers)


def contrast(first, second, temperature=0.2):
    """NT-Xent (Chen et al. 2020): of all other views of a batch, which is that of the same sample."""
    z = F.normalize(torch.cat([first, second]), dim=1)
    alike = z @ z.T / temperature
    alike.fill_diagonal_(float("-inf"))
    partner = torch.arange(len(z)).roll(len(first))
    return F.cross_entropy(alike, partner)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=5)
    epochs = parser.parse_args().epochs
    dataset = ImageFolder("photos", transform=TwoViews(augment))
    loader = DataLoader(dataset, batch_size=256, shuffle=True, num_workers=2, drop_last=True)
    network = nn.Sequential(encoder(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 64))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    for epoch in range(epochs):
        total = 0.0
        for (first, second), _ in loader:
            loss = contrast(network(first), network(second))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch}: loss {total / len(loader):.3f}", flush=True)


if __name__ == "__main__":
    main()
