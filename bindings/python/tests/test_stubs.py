"""The committed stubs are those of the library: the README of the package says how they are made."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import genset
from genset import _genset

HIDDEN = {"__new__", "__doc__", "__module__"}


def written(body: list[ast.stmt]) -> set[str]:
    names = {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    annotated = {node.target.id for node in body if isinstance(node, ast.AnnAssign)}
    return (names | annotated) - HIDDEN


def test_stubs_name_what_there_is() -> None:
    stubs = Path(genset.__file__).with_name("_genset.pyi")
    module = ast.parse(stubs.read_text())
    public = {name for name in vars(_genset) if not name.startswith("__")}
    assert {name for name in written(module.body) if not name.startswith("__")} == public
    for node in module.body:
        if isinstance(node, ast.ClassDef):
            there = {name for name in vars(getattr(_genset, node.name)) if name not in HIDDEN}
            assert written(node.body) == there, node.name


def test_everything_public_is_documented() -> None:
    for name in genset.__all__:
        thing = getattr(genset, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert inspect.getdoc(thing), name
            for method, value in vars(thing).items():
                if not method.startswith("_") and callable(value):
                    assert inspect.getdoc(value), f"{name}.{method}"
