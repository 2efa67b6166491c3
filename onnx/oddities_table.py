"""The table of odd generators, and what its entries share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onnx import ModelProto

from tinygraph import LATENT, SIDE, Graph

GOOD, FAULTY, HOSTILE = "good", "faulty", "hostile"
IMAGE = ["N", 3, SIDE, SIDE]
HUGE = 1 << 20


@dataclass(frozen=True)
class Oddity:
    """One file: `good` runs and is sound, `faulty` runs or loads but must be
    reported, `hostile` must be refused before anything is run or allocated."""

    name: str
    group: str
    make: Callable[[], ModelProto | bytes]
    beside: dict[str, bytes]  # files that the model refers to

    @property
    def summary(self) -> str:
        return " ".join(self.make.__doc__.split())


ODDITIES: list[Oddity] = []


def oddity(name: str, group: str = GOOD, **beside: bytes):
    """Adds the function below to the table."""

    def add(make):
        ODDITIES.append(Oddity(name, group, make, beside))
        return make

    return add


def latent(graph: Graph, batch: int | str = "N") -> str:
    return graph.input("z", [batch, LATENT])
