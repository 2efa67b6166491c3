"""A batch: samples with all their views."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from . import _genset


class Batch:
    """Samples of a dataset with all their views, as arrays in the format that was asked for.

    Arrays are made when they are asked for, without a copy. Each keeps only its own memory alive: labels
    that are kept do not keep images. ``images, labels = batch`` takes it apart.
    """

    def __init__(self, native: _genset.Batch, convert: Callable[[_genset.Tensor], Any]) -> None:
        self._native = native
        self._convert = convert

    @cached_property
    def groups(self) -> dict[str, Any]:
        """The images of each group of views, by name; one group without a name is ``""``."""
        return {name: self._convert(tensor) for name, tensor in self._native.groups}

    @property
    def images(self) -> Any:
        """``[B, V, C, H, W]``, or ``[B, V, H, W, C]`` if the recipe delivers that layout.

        Where a recipe has several groups of views, those of the first; see ``groups``.
        """
        return next(iter(self.groups.values()))

    @cached_property
    def labels(self) -> Any:
        """The class of each sample, ``[B]``, 64-bit integers; ``None`` if the dataset has no classes.

        -1 for a sample without one.
        """
        return None if self._native.labels is None else self._convert(self._native.labels)

    @cached_property
    def latents(self) -> Any:
        """The latent that each view was made from, ``[B, V, Z]``, if latents were asked for.

        NaN for a real image among generated ones.
        """
        return None if self._native.latents is None else self._convert(self._native.latents)

    @cached_property
    def index(self) -> Any:
        """The index of each sample, ``[B]``, 64-bit integers."""
        return self._convert(self._native.index)

    @property
    def epoch(self) -> int:
        """The pass over the dataset that it belongs to; 0 is the first."""
        return self._native.epoch

    def __len__(self) -> int:
        return int(self._native.index.shape[0])

    def __iter__(self) -> Iterator[Any]:
        return iter((self.images, self.labels))

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name or 'images'} {list(t.shape)}" for name, t in self._native.groups)
        return f"genset.Batch({shapes}, epoch {self.epoch})"
