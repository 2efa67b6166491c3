"""torchrun: real processes that find their ranks by themselves share the samples."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import genset
import pytest
from conftest import SAMPLES

pytest.importorskip("torch.distributed.run")

RANKS = 2
SECONDS = 100
"""After which each process ends itself: whoever kills the launcher leaves its children behind."""
BEGIN = 320
"""Where a pass is gone on with."""

SCRIPT = """
import datetime, hashlib, json, os, signal, sys

import genset, genset.torch
import torch
from torch import distributed
from torch.utils.data import DataLoader

SECONDS, SAMPLES, BEGIN = map(int, sys.argv[1:4])


def hashes(loader):
    return [
        hashlib.sha256(pair.numpy().tobytes()).hexdigest()
        for (first, second), _ in loader
        for pair in torch.stack([first, second], 1)
    ]


def stream(**settings):
    return genset.torch.IterableDataset("builtin:digits", samples=SAMPLES, **settings)


def main():
    signal.alarm(SECONDS)
    # Ranks from the environment: torch.distributed is not initialised yet.
    with genset.Loader(genset.Dataset("builtin:digits", samples=SAMPLES), batch=50) as loader:
        found = {"loader": [int(index) for batch in loader for index in batch.index]}
    found["environment"] = hashes(DataLoader(stream(), batch_size=40))

    # Ranks from torch.distributed, when nothing else knows them.
    distributed.init_process_group("gloo", timeout=datetime.timedelta(seconds=60))
    del os.environ["RANK"], os.environ["WORLD_SIZE"]
    forked = DataLoader(stream(batch_size=32), batch_size=None, num_workers=2, persistent_workers=True)
    found["epoch 0"], found["epoch 1"] = hashes(forked), hashes(forked)
    resumed = stream(batch_size=32)
    resumed.set_epoch(0, next=BEGIN)
    spawned = DataLoader(resumed, batch_size=None, num_workers=1, multiprocessing_context="spawn")
    found["resumed"] = hashes(spawned)

    everything = [None] * distributed.get_world_size()
    distributed.all_gather_object(everything, found)
    if distributed.get_rank() == 0:
        with open(sys.argv[4], "w") as file:
            json.dump(everything, file)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, list[Any]]]:
    """What each rank had of each stream."""
    folder = tmp_path_factory.mktemp("torchrun")
    script, out = folder / "script.py", folder / "found.json"
    script.write_text(SCRIPT)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(RANKS)]
    arguments = [str(script), str(SECONDS), str(SAMPLES), str(BEGIN), str(out)]
    ended = subprocess.run(
        [*launcher, *arguments], capture_output=True, text=True, timeout=SECONDS + 20, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(out.read_text())


def together(found: list[dict[str, list[Any]]], stream: str) -> list[Any]:
    """What ranks had together, after a look that each had a fair part."""
    parts = [rank[stream] for rank in found]
    assert len(parts) == RANKS
    assert max(map(len, parts)) - min(map(len, parts)) <= 32
    return sorted(item for part in parts for item in part)


def hashes(images: Any) -> list[str]:
    return sorted(hashlib.sha256(image.tobytes()).hexdigest() for image in images)


def test_a_loader_takes_its_rank_from_the_environment(found: list[dict[str, list[Any]]]) -> None:
    assert together(found, "loader") == list(range(SAMPLES))


@pytest.mark.parametrize(
    "stream, epoch, begin",
    [("environment", 0, 0), ("epoch 0", 0, 0), ("epoch 1", 1, 0), ("resumed", 0, BEGIN)],
)
def test_ranks_and_their_workers_have_every_sample_once(
    digits: genset.Dataset, found: list[dict[str, list[Any]]], stream: str, epoch: int, begin: int
) -> None:
    expected = digits.gather(range(begin, SAMPLES), epoch).images
    assert together(found, stream) == hashes(expected)
