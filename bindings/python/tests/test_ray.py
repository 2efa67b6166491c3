"""Ray: the same samples and the same files, from several processes, whichever of them is killed."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import genset
import numpy as np
import pytest
from conftest import SAMPLES
from genset import errors

pytest.importorskip("ray.data")

import genset.ray
import ray

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found and killed as on Linux")

LIMIT = 120
"""Seconds of a test, after which it fails."""
SMALL = {"shard_samples": 64}


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster of its own, with two worker processes; gone at the end, with its files."""
    folder = tempfile.mkdtemp(prefix="ray-")  # Short: the names of sockets are.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=256 << 20,
        log_to_driver=False,
        _temp_dir=folder,
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def limit(cluster: None) -> Iterator[None]:
    """What hangs fails: Ray waits in slices between which Python sees to signals."""

    def late(*_: Any) -> None:
        raise TimeoutError(f"not done after {LIMIT} seconds")

    handler = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, handler)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def delivered(rows: list[dict[str, Any]]) -> list[tuple[int, bytes]]:
    return sorted((int(row["index"]), row["images"].tobytes()) for row in rows)


def test_rows_are_the_samples_each_once(
    tmp_path: Path, digits: genset.Dataset, images: dict[int, bytes]
) -> None:
    def here(block: dict[str, Any]) -> dict[str, Any]:
        # Goes on when two processes are at work, which is what is tested.
        Path(tmp_path, str(os.getpid())).touch()
        end = time.monotonic() + 30
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        return {**block, "process": np.full(len(block["index"]), os.getpid())}

    rows = genset.ray.read(digits, parallelism=4, loader={"batch": 64}).map_batches(here).take_all()
    assert delivered(rows) == sorted(images.items())
    labels = digits.gather(range(SAMPLES)).labels
    assert all(row["label"] == labels[row["index"]] for row in rows)
    assert len({row["process"] for row in rows} - {os.getpid()}) == 2


def test_a_killed_reader_changes_nothing(
    tmp_path: Path, digits: genset.Dataset, images: dict[int, bytes]
) -> None:
    def kill_once(block: dict[str, Any]) -> dict[str, Any]:
        if 320 in block["index"] and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return block

    read = genset.ray.read(digits, parallelism=2, loader={"batch": 32})
    rows = read.map_batches(kill_once, batch_size=32).take_all()
    assert (tmp_path / "killed").exists()
    assert delivered(rows) == sorted(images.items())


def test_any_range_epoch_and_group_is_read(digits: genset.Dataset) -> None:
    rows = genset.ray.read(digits, first=100, samples=150, epoch=2, loader={"latents": True}).take_all()
    expected = digits.gather(range(100, 250), 2)
    assert delivered(rows) == [(index, image.tobytes()) for index, image in enumerate(expected.images, 100)]
    assert np.array_equal(min(rows, key=lambda row: row["index"])["latents"], expected.latents[0])

    crop = {"op": "random-resized-crop", "scale": [0.5, 1.0]}
    groups = [
        {"name": "large", "count": 1, "pixel": [{**crop, "size": 28}]},
        {"name": "small", "count": 2, "pixel": [{**crop, "size": 12}]},
    ]

    def opened() -> genset.Dataset:
        return genset.Dataset(
            generator={"model": "builtin:digits"}, samples="endless", views={"groups": groups}
        )

    batch = genset.ray.read(opened, first=10**9, samples=20).take_batch(20)
    expected = opened()[10**9 : 10**9 + 20]
    assert np.array_equal(batch["index"], expected.index)
    for name in ("large", "small"):
        assert np.array_equal(batch[name], expected.groups[name])


def test_blocks_are_made_one_by_one_and_are_no_larger_than_ray_wants(digits: genset.Dataset) -> None:
    context = ray.data.DataContext.get_current().copy()
    context.target_max_block_size = 100_000
    pickled = genset.ray._pickled(digits)
    shape = genset.ray._shape(pickled)
    source = genset.ray._Datasource(pickled, shape, range(SAMPLES), 0, {"batch": 256})
    tasks = source.get_read_tasks(2, data_context=context)
    assert [task.metadata.num_rows for task in tasks] == [256, SAMPLES - 256]
    assert source.estimate_inmemory_data_size() == SAMPLES * (2 * 28 * 28 + 16)

    @ray.remote
    def sizes(task: Any) -> list[tuple[int, int]]:
        return [(block.num_rows, block.nbytes) for block in task()]

    for task in tasks:
        blocks = ray.get(sizes.remote(task))
        assert sum(rows for rows, _ in blocks) == task.metadata.num_rows
        # Arrow adds a few bytes to the images, of which one more would be too many.
        assert 98_000 < max(size for _, size in blocks) < 101_000


def test_an_export_has_the_bytes_of_one_machines(tmp_path: Path, digits: genset.Dataset) -> None:
    for name, settings in (
        ("safetensors", {"latents": True, "parameters": True}),
        ("webdataset", {"format": "webdataset"}),
        ("mds", {"format": "mds", "first": 100, "samples": 333}),
    ):
        genset.export(digits, tmp_path / f"{name}-alone", **SMALL, **settings)
        done = genset.ray.export(digits, tmp_path / name, tasks=3, **SMALL, **settings)
        assert (done["complete"], done["resumed"]) == (True, 0)
        assert contents(tmp_path / name) == contents(tmp_path / f"{name}-alone")
    again = genset.ray.export(digits, tmp_path / "webdataset", format="webdataset", **SMALL)
    assert (again["shards"], again["resumed"], again["tasks"]) == (0, 11, 2)
    assert contents(tmp_path / "webdataset") == contents(tmp_path / "webdataset-alone")


def holder(lock: Path) -> int | None:
    """The process that has a rank's lock file open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink() == lock:
                return int(link.parts[2])
        except OSError:
            continue
    return None


def wait_for(find: Callable[[], Any]) -> Any:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if found := find():
            return found
        time.sleep(0.005)
    raise TimeoutError("it did not come")


def test_a_killed_rank_changes_no_byte(tmp_path: Path) -> None:
    many = genset.Dataset("builtin:digits", samples=10_000)
    genset.export(many, tmp_path / "alone", shard_samples=100)
    folder = tmp_path / "ray"
    seen: list[int] = []

    def kill() -> None:
        wait_for(lambda: listed(folder / "manifest-1-of-2.json") > 0)
        process = holder(folder / ".1-of-2.lock")
        os.kill(process, signal.SIGSTOP)
        seen.append(listed(folder / "manifest-1-of-2.json"))
        os.kill(process, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    done = genset.ray.export(many, folder, tasks=2, shard_samples=100)
    killer.join()
    # It was killed on the way, and what it had made was not made again.
    assert 0 < seen[0] < 50
    # A list may be a shard or two behind what is there.
    assert seen[0] <= done["resumed"] <= 50
    assert done["shards"] + done["resumed"] == 100
    assert contents(folder) == contents(tmp_path / "alone")


def listed(manifest: Path) -> int:
    """Shards that a manifest lists."""
    return manifest.read_bytes().count(b'"blake3"') if manifest.exists() else 0


def test_a_rank_waits_for_the_lock_of_a_lost_one(tmp_path: Path, digits: genset.Dataset) -> None:
    """As storage keeps it for a while when a node is gone."""
    import fcntl

    with (tmp_path / ".0-of-2.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        release = threading.Timer(3, fcntl.flock, (lock, fcntl.LOCK_UN))
        release.start()
        done = genset.ray.export(digits, tmp_path, tasks=2, **SMALL)
        release.join()
    assert done["seconds"] > 3
    assert done["complete"]
    assert genset.verify(tmp_path)["good"]


def test_folders_that_are_not_one_are_an_error(tmp_path: Path, digits: genset.Dataset) -> None:
    genset.export(digits, tmp_path, rank=(0, 2), **SMALL)
    put_together = ray.remote(genset.ray._rank).remote(
        genset.ray._pickled(digits), str(tmp_path), SMALL, None
    )
    with pytest.raises(errors.FileError, match="380 of 700"):
        ray.get(put_together)


def test_errors_are_those_of_genset(tmp_path: Path, digits: genset.Dataset) -> None:
    with pytest.raises(errors.ArgumentError, match="zip"):
        genset.ray.export(digits, tmp_path, format="zip")
    genset.export(digits, tmp_path, **SMALL)
    with pytest.raises(errors.StateError, match="shard") as caught:
        genset.ray.export(digits, tmp_path, shard_samples=32)
    assert type(caught.value) is errors.StateError
    endless = genset.Dataset("builtin:digits", samples="endless")
    for wrong in (
        lambda: genset.ray.export(digits, tmp_path, rank=(0, 2)),
        lambda: genset.ray.export(digits, tmp_path, tasks=0),
        lambda: genset.ray.read(endless),
        lambda: genset.ray.read(digits, first=600, samples=101),
        lambda: genset.ray.read(digits, loader={"drop_last": True}),
        lambda: genset.ray.read(digits, loader={"batch": 0}),
    ):
        with pytest.raises(errors.ArgumentError):
            wrong()


def test_ray_is_imported_only_by_name_and_its_absence_is_said(run: Any) -> None:
    ended = run(
        "import sys, genset, genset.torch\n"
        "assert 'ray' not in sys.modules\n"
        "sys.modules['ray'] = None\n"
        "try:\n"
        "    import genset.ray\n"
        "except ImportError as error:\n"
        "    assert isinstance(error, genset.Error)\n"
        "    print(error)\n"
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert 'pip install "ray[data]"' in ended.stdout
