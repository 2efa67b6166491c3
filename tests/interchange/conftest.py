"""One genset, and what it says that its samples are."""

import json
import os
import subprocess
from pathlib import Path

import blake3
import numpy as np
import pytest

# Nothing here is to be asked of a server.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"

ROOT = Path(__file__).parents[2]
SAMPLES = 60
FIRST = 1_000
VIEWS, CHANNELS, HEIGHT, WIDTH = SHAPE = (2, 1, 28, 28)
CLASSES = 10


def genset(*arguments) -> str:
    """Runs the command and gives what it prints."""
    default = ROOT / "target" / "debug" / "genset"
    command = [os.environ.get("GENSET_COMMAND") or default, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def recipe(tmp_path_factory) -> Path:
    """Digits with views that differ by latent and by pixels, in one range of indices."""
    path = tmp_path_factory.mktemp("recipe") / "digits.toml"
    path.write_text(
        'name = "digits"\nseed = 7\nsamples = 5_000\n'
        '[generator]\nmodel = "builtin:digits"\n'
        '[views]\ncount = 2\nlatent = [ { op = "gaussian", std = 0.5 } ]\n'
        'pixel = [ { op = "flip", p = 0.5 } ]\n'
    )
    return path


@pytest.fixture(scope="session")
def digests(recipe) -> dict[int, str]:
    """The digest of each sample, as the stream delivers it."""
    text = genset("digest", recipe, "--from", FIRST, "--count", SAMPLES, "--json")
    samples = {sample["index"]: sample["blake3"] for sample in json.loads(text)["samples"]}
    assert sorted(samples) == list(range(FIRST, FIRST + SAMPLES))
    return samples


@pytest.fixture(scope="session")
def export(recipe, tmp_path_factory):
    """Exports in a format; the same one only once. Three shards, the last one shorter."""
    done = {}

    def make(format: str, images: str) -> Path:
        key = (format, images)
        if key not in done:
            folder = tmp_path_factory.mktemp("export") / f"{format}-{images.replace(':', '-')}"
            genset(
                *("export", recipe, "-o", folder, "--format", format, "--images", images),
                *("--from", FIRST, "--samples", SAMPLES, "--shard-samples", 25),
                *("--latents", "--parameters"),
            )
            done[key] = folder
        return done[key]

    return make


@pytest.fixture(scope="session")
def check(digests):
    """Asserts that samples, as index, label and images, are those of the stream: every byte."""

    def compare(samples) -> None:
        seen = []
        for index, label, images in samples:
            images = np.ascontiguousarray(images)
            assert images.dtype == np.uint8 and images.shape == SHAPE, index
            delivered = images.tobytes() + int(label).to_bytes(8, "little", signed=True)
            assert blake3.blake3(delivered).hexdigest() == digests[index], f"sample {index}"
            seen.append(index)
        assert sorted(seen) == sorted(digests)

    return compare
