"""What the tests share. Child processes are given a time limit: what hangs fails."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import genset
import pytest

SAMPLES = 700
"""Not a multiple of a block, a batch, workers or ranks."""


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where a shell that runs these in the background ignores it."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.fixture(scope="session")
def digits() -> genset.Dataset:
    return genset.Dataset("builtin:digits", samples=SAMPLES)


@pytest.fixture(scope="session")
def images(digits: genset.Dataset) -> dict[int, bytes]:
    """The bytes of each sample in the first epoch, by random access."""
    batch = digits.gather(range(SAMPLES))
    return {int(index): image.tobytes() for index, image in zip(batch.index, batch.images, strict=True)}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script in a Python of its own."""

    def run(script: str, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "script.py"
        file.write_text(script)
        command = [sys.executable, "-X", "faulthandler", str(file), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)

    return run
