"""Nothing is left behind: memory stays where it is, batch after batch, loader after loader.

`GENSET_SOAK=1000000` says how many batches; the usual run has fewer.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import genset
import numpy as np
import pytest

BATCHES = int(os.environ.get("GENSET_SOAK", "30000"))
ALLOWED = 4 << 20
"""Bytes that memory may grow by: what the allocator has not given back yet."""


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_batches_leave_nothing_behind() -> None:
    dataset = genset.Dataset("builtin:digits", samples="endless")
    with dataset.loader(batch=1) as loader:
        stream = iter(loader)
        total, before = 0, 0
        for number in range(BATCHES):
            batch = next(stream)
            total += int(batch.images[0, 0, 0, 14].sum()) + int(batch.labels[0]) + int(batch.index[0])
            if number == BATCHES // 10:
                before = resident()
        assert total > 0
        grown = resident() - before
    print(f"{BATCHES} batches: memory grew by {grown} bytes from {before}")
    assert grown < ALLOWED


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_loaders_and_random_access_leave_nothing_behind() -> None:
    dataset = genset.Dataset("builtin:digits", samples=100_000)
    before = 0
    for number in range(60):
        with dataset.loader(batch=32, workers=1) as loader:
            next(iter(loader))
        np.asarray(dataset[number * 1000 : number * 1000 + 64].images)
        if number == 20:
            before = resident()
    assert resident() - before < ALLOWED
