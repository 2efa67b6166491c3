"""The generators that throughput.py measures with: their ONNX files, their PyTorch modules, what
they are fed.

    python benches/peers/generators.py NAME -o DIR

fetches or makes the files of NAME in DIR, unless they are there. PyTorch runs the
module that its user would have: the one that the ONNX file was exported from, with
the same weights.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from machine import ROOT

if TYPE_CHECKING:
    from torch import nn

ONNX = ROOT / "onnx"
VIEWS = 2  # of each sample, as all their recipes have it
NEIGHBOUR_STD = 0.5


@dataclass(frozen=True)
class Generator:
    """What a contender has to know of one."""

    latent: tuple[int, ...]
    """Shape of one latent."""
    classes: int
    """0 if there are none; else the second input is one-hot `[N, classes]`."""
    image: tuple[int, int, int]
    """`[C, H, W]`, values in [-1, 1]."""
    batch: int
    """Samples a batch: fewer of slow generators, so that a round has some."""


GENERATORS = {
    "digits": Generator((64,), 10, (1, 28, 28), 128),
    "fashion": Generator((64,), 10, (1, 28, 28), 128),
    "face": Generator((100, 1, 1), 0, (3, 64, 64), 128),
    "eye": Generator((100,), 8, (3, 128, 128), 32),
    "stylegan-64": Generator((512,), 0, (3, 64, 64), 16),
    "stylegan-128": Generator((512,), 0, (3, 128, 128), 8),
    "stylegan-256": Generator((512,), 0, (3, 256, 256), 4),
}
BUILT_IN = ("digits", "fashion")


def title(name: str) -> str:
    channels, height, width = GENERATORS[name].image
    return f"{name}, {height}×{width}×{channels}"


def recipe(name: str, folder: Path) -> Path:
    """Where its recipe lies; the model is beside it."""
    return (ONNX / "models" if name in BUILT_IN else folder) / f"{name}.toml"


def model(name: str, folder: Path) -> Path:
    return recipe(name, folder).with_suffix(".onnx")


def make(name: str, folder: Path) -> None:
    """Fetches or makes what `recipe`, `model` and `network` need."""
    import checkpoints
    import stylegan

    if name in BUILT_IN or recipe(name, folder).exists():
        return
    if name in checkpoints.CHECKPOINTS:
        place = folder / f"{name}-package"
        place.mkdir(exist_ok=True, parents=True)
        chosen = checkpoints.CHECKPOINTS[name]
        if checkpoints.write(chosen, checkpoints.fetch(chosen, place), model(name, folder)):
            raise SystemExit(f"{name} could not be exported")
    else:
        stylegan.write(GENERATORS[name].image[1], folder)


def network(name: str, folder: Path) -> nn.Module:
    """The PyTorch module, ready for inference."""
    import checkpoints
    import onnx
    import stylegan
    import torch
    from networks import Folded
    from networks import Generator as Trained

    if name in checkpoints.CHECKPOINTS:
        return checkpoints.network(checkpoints.CHECKPOINTS[name], folder / f"{name}-package")
    if name not in BUILT_IN:
        return stylegan.Generator(GENERATORS[name].image[1])
    module = Folded(Trained())
    # The exporter kept the names of the weights.
    shipped = {tensor.name: tensor for tensor in onnx.load(model(name, folder)).graph.initializer}
    arrays = {key: onnx.numpy_helper.to_array(shipped[key]) for key, _ in module.named_parameters()}
    # What is not among the parameters is fixed permutations.
    module.load_state_dict({key: torch.tensor(array) for key, array in arrays.items()}, strict=False)
    return module


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=GENERATORS)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    arguments = parser.parse_args()
    make(arguments.name, arguments.output)
    return 0


sys.path.append(str(ONNX))

if __name__ == "__main__":
    sys.exit(main())
