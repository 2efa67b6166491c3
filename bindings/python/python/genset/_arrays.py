"""From the memory of genset to arrays, without a copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._genset import Tensor
from .errors import ArgumentError, MissingPackageError


def _numpy() -> Callable[[Tensor], Any]:
    import numpy

    return numpy.from_dlpack


def _torch() -> Callable[[Tensor], Any]:
    import torch

    return torch.from_dlpack


def _jax() -> Callable[[Tensor], Any]:
    import jax

    return jax.dlpack.from_dlpack


def _dlpack() -> Callable[[Tensor], Any]:
    return lambda tensor: tensor


FORMATS: dict[str, Callable[[], Callable[[Tensor], Any]]] = {
    "numpy": _numpy,
    "torch": _torch,
    "jax": _jax,
    "dlpack": _dlpack,
}


def converter(form: str) -> Callable[[Tensor], Any]:
    """What makes an array of ``form`` of a tensor; its library is imported here, not before."""
    try:
        find = FORMATS[form]
    except KeyError:
        raise ArgumentError(f"unknown format {form!r}; known: {', '.join(FORMATS)}") from None
    try:
        return find()
    except ImportError as error:
        message = f"format {form!r} needs a package that is not installed: {error}"
        advice = f"pip install {form}"
        raise MissingPackageError(f"{message}\n  help: {advice}", advice=advice) from error
