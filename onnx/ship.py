"""Writes a trained generator and all that is shipped with it into one folder.

`NAME.onnx`, `NAME.toml` (recipe), `NAME.png` (contact sheet), `NAME.quality.json`
(figures, measured on the ONNX file) and `NAME.md` (model card).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import contract
import data
import graphs
import quality
import sheet
from card import card
from generator import OnnxGenerator
from networks import LATENT, Folded, Generator

LICENCE = "MIT OR Apache-2.0"
ROWS = 10  # of the contact sheet


@dataclass(frozen=True)
class Training:
    """What the model card says of the run."""

    steps: int
    images: int
    hours: float
    settings: str
    note: str


def ship(name: str, trained: Generator, training: Training, real: data.Split, test: data.Split, folder: Path) -> None:
    """Exports, measures and describes `trained`; every file appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = write_model(name, trained, folder)
    figures = quality.measure(path, real, test, torch.get_num_threads())
    _write(folder / f"{name}.quality.json", json.dumps(figures, indent=2) + "\n")
    labels = np.tile(np.arange(data.CLASSES), ROWS)
    sheet.write_png(folder / f"{name}.png", sheet.grid(OnnxGenerator(path).images(labels, seed=7), 10, scale=2))
    _write(folder / f"{name}.md", card(name, path, training, figures))


def write_model(name: str, trained: Generator, folder: Path) -> Path:
    """Writes `NAME.onnx` and `NAME.toml`, checked against the network it came from."""
    source = data.SOURCES[name]
    meaning = contract.Contract({"z": contract.Latent(LATENT), "y": contract.Class(data.CLASSES, names=source.names)})
    random = torch.Generator().manual_seed(0)
    trial = {"z": torch.randn(20, LATENT, generator=random), "y": torch.eye(data.CLASSES).repeat(2, 1)}
    model = graphs.to_onnx(Folded(trained), trial)
    difference = graphs.difference(model, trained, trial)
    if not difference <= graphs.TOLERANCE:
        raise graphs.ExportError(f"{name}: ONNX Runtime and PyTorch differ by {difference:.1e}")
    contract.label(
        model,
        meaning,
        licence=LICENCE,
        source=f"trained by genset on {source.title}, {source.manager} package {source.package} {source.version}",
        description=f"class-conditional generator of 28x28 grey images of {name}",
    )
    path = folder / f"{name}.onnx"
    partial = path.with_suffix(".partial")
    partial.write_bytes(model.SerializeToString(deterministic=True))
    partial.replace(path)
    _write(folder / f"{name}.toml", contract.Recipe(name, meaning).toml())
    return path


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
