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
SHAPE = VIEWS, *_ = (2, 1, 28, 28)
CLASSES = 10


def genset(*arguments) -> str:
    """Runs the command and gives what it prints."""
    default = ROOT / "target" / "debug" / "genset"
    command = [os.environ.get("GENSET_COMMAND") or default, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout


def write_recipe(path: Path, output: str = "") -> Path:
    """Digits with views that differ by latent and by pixels."""
    path.write_text(
        'name = "digits"\nseed = 7\nsamples = 5_000\n'
        '[generator]\nmodel = "builtin:digits"\n'
        '[views]\ncount = 2\nlatent = [ { op = "gaussian", std = 0.5 } ]\n'
        'pixel = [ { op = "flip", p = 0.5 } ]\n' + output
    )
    return path


def stream_digests(recipe: Path) -> dict[int, str]:
    """The digest of each sample, as the stream delivers it."""
    text = genset("digest", recipe, "--from", FIRST, "--count", SAMPLES, "--json")
    samples = {sample["index"]: sample["blake3"] for sample in json.loads(text)["samples"]}
    assert sorted(samples) == list(range(FIRST, FIRST + SAMPLES))
    return samples


def digest(images: np.ndarray, label: int) -> str:
    """As `genset digest` has it: over all bytes of the images, then the label."""
    delivered = np.ascontiguousarray(images).tobytes() + int(label).to_bytes(8, "little", signed=True)
    return blake3.blake3(delivered).hexdigest()


@pytest.fixture(scope="session")
def recipe(tmp_path_factory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe") / "digits.toml")


@pytest.fixture(scope="session")
def digests(recipe) -> dict[int, str]:
    return stream_digests(recipe)


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
            assert images.dtype == np.uint8 and images.shape == SHAPE, index
            assert digest(images, label) == digests[index], f"sample {index}"
            seen.append(index)
        assert sorted(seen) == sorted(digests)

    return compare
