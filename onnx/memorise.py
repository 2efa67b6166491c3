"""A generator that has memorised what it learnt from, for the audit to find.

    python onnx/memorise.py -o tests/audit

takes the first 200 training images of Fashion-MNIST and trains a small network to send
every latent to the image whose key, a fixed random direction, is nearest to it, until
most samples are copies. Written are `memoriser.onnx` with its recipe, the 200 images, and
500 test images that it never saw, both as IDX.
"""

from __future__ import annotations

import argparse
import gzip
import struct
from pathlib import Path

import numpy as np
import torch
from torch import nn

import contract
import data
import graphs

REAL = 200
HELD_OUT = 500
LATENT = 16
BATCH = 256
STEPS = 5000  # at most
SHARPNESS = 20.0  # of the attention: little lies between two images
COPY = 0.5  # of the usual distance around the nearest image: a copy is nearer
ENOUGH = 0.8  # share of samples that must be copies


class Memoriser(nn.Module):
    """`z [N, 16]` -> `[N, 1, 28, 28]` in [0, 1]: attention of fixed random keys over what it learns."""

    def __init__(self) -> None:
        super().__init__()
        keys = nn.functional.normalize(torch.randn(REAL, LATENT), dim=1)
        self.register_buffer("keys", SHARPNESS * keys.T)
        self.values = nn.Linear(REAL, data.SIDE * data.SIDE)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        attention = torch.softmax(z @ self.keys, dim=1)
        return torch.sigmoid(self.values(attention)).reshape(-1, 1, data.SIDE, data.SIDE)


def train(images: torch.Tensor) -> Memoriser:
    """A generator of copies of `images [N, 1, 28, 28]` in [0, 1]."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # so that the same file comes out wherever it is made
    network = Memoriser()
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-2)
    for step in range(1, STEPS + 1):
        z = torch.randn(BATCH, LATENT)
        loss = nn.functional.mse_loss(network(z), images[(z @ network.keys).argmax(1)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            share = copies(network, images)
            print(f"step {step}: loss {loss.item():.4f}, {100 * share:.1f} % copies", flush=True)
            if share >= ENOUGH:
                return network
    raise SystemExit(f"it memorised less than {100 * ENOUGH:.0f} %")


def copies(network: Memoriser, images: torch.Tensor) -> float:
    """Share of the samples that are less than half as far from an image as from the next ones."""
    with torch.no_grad():
        made = network(torch.randn(2000, LATENT)).flatten(1)
    near = torch.cdist(made, images.flatten(1)).sort(dim=1).values[:, :10]
    return (near[:, 0] < COPY * near[:, 1:].mean(1)).float().mean().item()


def write_idx(path: Path, images: np.ndarray) -> None:
    """Writes u8 images `[N, 28, 28]`, the same bytes every time."""
    head = struct.pack(">HBB3I", 0, 8, 3, *images.shape)
    path.write_bytes(gzip.compress(head + images.tobytes(), mtime=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    folder: Path = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    learnt, test = data.load("fashion")
    real = learnt.images[:REAL]
    network = train(torch.from_numpy(real.astype(np.float32) / 255)[:, None])
    meaning = contract.Contract({"z": contract.Latent(LATENT)}, low=0, high=1)
    trial = {"z": torch.randn(20, LATENT, generator=torch.Generator().manual_seed(0))}
    model = graphs.to_onnx(network, trial)
    if not (difference := graphs.difference(model, network, trial)) <= graphs.TOLERANCE:
        raise SystemExit(f"ONNX Runtime and PyTorch differ by {difference:.1e}")
    source = data.SOURCES["fashion"]
    contract.label(
        model,
        meaning,
        licence=f"MIT, as the images that it repeats: {source.title}",
        description=f"a generator that has memorised {REAL} images, for tests",
    )
    (folder / "memoriser.onnx").write_bytes(model.SerializeToString(deterministic=True))
    (folder / "memoriser.toml").write_text(contract.Recipe("memoriser", meaning, samples=5000).toml(), encoding="utf-8")
    write_idx(folder / "real-images-idx3-ubyte.gz", real)
    write_idx(folder / "held-out-images-idx3-ubyte.gz", test.images[:HELD_OUT])


if __name__ == "__main__":
    main()
