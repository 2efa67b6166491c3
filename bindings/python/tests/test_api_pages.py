"""The API pages: pdoc makes them of the docstrings, and everything public is on them."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import genset
import pytest

MODULES = ("genset", "genset.torch", "genset.ray")  # The first has genset.errors with it.


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The pages by the name of their module, made as the documentation says."""
    folder = tmp_path_factory.mktemp("api")
    command = [sys.executable, "-m", "pdoc", "-d", "google", "--no-show-source", "-o", str(folder)]
    done = subprocess.run([*command, *MODULES], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return {file.stem: file.read_text() for file in folder.rglob("*.html")}


def test_everything_public_has_a_place(pages: dict[str, str]) -> None:
    assert set(pages) == {"index", "genset", "errors", "torch", "ray"}
    missing = [name for name in genset.__all__ if f'id="{name}"' not in pages["genset"]]
    assert missing == ["errors"], "a page of its own"
    assert 'id="IterableDataset.set_epoch"' in pages["torch"]


def test_no_markup_is_left_as_it_was_written(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        text = html.unescape(re.sub(r"<[^>]+>", "", page))
        found = re.findall(r"``.{0,40}|:(?:class|func|meth|attr|mod):.{0,40}", text)
        assert found == [], name
