"""What a generator's inputs and output mean, as TOML: in the model and as a recipe.

The same tables stand in two places: in the ONNX file, under the metadata key
`genset.contract`, and in the recipe's `[generator]` table.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from onnx import ModelProto, helper

METADATA_KEY = "genset.contract"


@dataclass(frozen=True)
class Latent:
    """A latent input, `[N, size]` or `[N, size, 1, 1]` in the file."""

    size: int
    spatial: bool = False
    distribution: str = "normal"

    def shape(self, batch: int) -> tuple[int, ...]:
        return (batch, self.size, 1, 1) if self.spatial else (batch, self.size)

    def table(self) -> list[str]:
        return ['role = "latent"', f"distribution = {quote(self.distribution)}"]


@dataclass(frozen=True)
class Class:
    """A class input: float32 `[N, classes]` (one-hot) or int64 `[N]` (index)."""

    classes: int
    encoding: str = "one-hot"
    names: tuple[str, ...] = ()

    def shape(self, batch: int) -> tuple[int, ...]:
        return (batch, self.classes) if self.encoding == "one-hot" else (batch,)

    def table(self) -> list[str]:
        lines = ['role = "class"', f"encoding = {quote(self.encoding)}", f"classes = {self.classes}"]
        if self.names:
            lines.append(f"names = [{', '.join(quote(name) for name in self.names)}]")
        return lines


@dataclass(frozen=True)
class Contract:
    """Inputs by name, and the layout and value range of the image."""

    inputs: dict[str, Latent | Class]
    low: float = -1
    high: float = 1
    layout: str = "NCHW"

    def toml(self, prefix: str = "") -> str:
        """The tables, each name preceded by `prefix`."""
        lines = []
        for name, meaning in self.inputs.items():
            lines += [f"[{prefix}inputs.{key(name)}]", *meaning.table(), ""]
        lines += [
            f"[{prefix}output]",
            f"layout = {quote(self.layout)}",
            f"range = [{self.low:g}, {self.high:g}]",
            "",
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class Recipe:
    """A dataset of two latent neighbours a sample, drawn from one generator."""

    name: str
    contract: Contract
    block: int = 32
    seed: int = 7
    samples: int = 60_000
    neighbour_std: float = 0.5
    model: str = ""  # file name; NAME.onnx if empty

    def toml(self) -> str:
        return (
            f"name = {quote(self.name)}\n"
            f"seed = {self.seed}\n"
            f"samples = {self.samples:_}\n"
            "\n[generator]\n"
            f"model = {quote(self.model or self.name + '.onnx')}\n"
            f"block = {self.block}\n\n"
            + self.contract.toml("generator.")
            + "\n[views]\n"
            "count = 2\n"
            f'latent = [ {{ op = "gaussian", std = {self.neighbour_std} }} ]\n'
            '\n[output]\ndtype = "u8"\nlayout = "NCHW"\n'
        )


def quote(text: str) -> str:
    """A TOML basic string."""
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def key(text: str) -> str:
    """A TOML key, quoted where a bare one will not do."""
    bare = text.isascii() and text.replace("_", "").replace("-", "").isalnum()
    return text if bare else quote(text)


def label(model: ModelProto, contract: Contract, **facts: str) -> None:
    """Writes the contract and further `genset.KEY` facts into the model's metadata."""
    entries = {METADATA_KEY: contract.toml()} | {f"genset.{name}": text for name, text in facts.items() if text}
    helper.set_model_props(model, entries)
