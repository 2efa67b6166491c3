"""Recipes and engines as the native part takes them: plain tables, and what generators run on."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

Recipe = str | os.PathLike[str] | dict[str, Any]
"""A path (a recipe's TOML file, ``builtin:NAME``, shards, or images), or a recipe as a table."""


class Engine(NamedTuple):
    """How a generator runs, by the names of the native part."""

    provider: Sequence[str] = ()
    provider_options: Sequence[str] = ()
    threads: int | None = None
    rewrites: str = "auto"
    ort: str | None = None
    package: str | None = None
    random_access: int = 0


def onnxruntime() -> str | None:
    """The folder of the ``onnxruntime`` package, without importing it."""
    try:
        spec = importlib.util.find_spec("onnxruntime")
    except (ImportError, ValueError):
        return None
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    return folders[0] if folders and Path(folders[0], "capi").is_dir() else None


def native(recipe: Recipe, keys: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A path and the keys over it, or a table in which they are already."""
    if isinstance(recipe, dict):
        return _plain(_merged(recipe, keys)), {}
    return os.fspath(recipe), _plain(keys)


def _merged(table: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """A recipe's table with another put over it: tables are merged, other values replaced."""
    both = dict(table)
    for key, value in over.items():
        old = both.get(key)
        nested = isinstance(old, dict) and isinstance(value, dict)
        both[key] = _merged(old, value) if nested else value
    return both


def _plain(value: Any) -> Any:
    """Paths as text and tuples as lists: what a recipe can hold."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    return value
