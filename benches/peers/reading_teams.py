"""Who takes part in reading.py: genset by the format it reads, and the libraries; how each is
started, and how many workers it is fastest with."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, field
from pathlib import Path

from collection import BATCH, Collection
from processes import Process
from readers import JPEG, MAPPED, PNG, RAW, READERS
from turns import Clock, Standby, Turn, peak_memory

HERE = Path(__file__).parent
ORDERS = ("sequential", "shuffled")


@dataclass(frozen=True)
class Ours:
    """What genset reads."""

    title: str
    store: str
    group: str
    resizes: bool = False
    options: tuple[str, ...] = ()


OURS = {
    "safetensors": Ours("safetensors", "safetensors", RAW),
    # Batches that lie in the files' map, which none of the others hands out: a kind of its own.
    "zero-copy": Ours("safetensors, no copy", "safetensors", MAPPED, options=("--zero-copy",)),
    "mds-raw": Ours("MDS, raw", "mds-raw", RAW),
    "webdataset-raw": Ours("WebDataset, npy", "webdataset-raw", RAW),
    "jpeg": Ours("JPEG folder", "jpeg", JPEG, resizes=True),
    "mds-jpeg": Ours("MDS, JPEG", "mds-jpeg", JPEG),
    "webdataset-jpeg": Ours("WebDataset, JPEG", "webdataset-jpeg", JPEG),
    "png": Ours("PNG folder", "png", PNG),
}


@dataclass(frozen=True)
class Contender:
    """A reader of one store."""

    name: str
    title: str
    group: str
    store: str
    resizes: bool
    workers: tuple[int | None, ...]
    ours: bool
    options: tuple[str, ...] = ()

    def reads(self, collection: Collection) -> bool:
        return self.resizes or not collection.resized


def ours(name: str) -> Contender:
    one = OURS[name]
    title = f"genset, {one.title}"
    return Contender(f"genset-{name}", title, one.group, one.store, one.resizes, (None,), True, one.options)


def peer(name: str) -> Contender:
    reader = READERS[name]
    return Contender(name, reader.title, reader.group, reader.store, reader.resizes, reader.workers, ours=False)


@dataclass(frozen=True)
class Course:
    """What all contenders share on one collection, in one order."""

    collection: Collection
    folder: Path
    """Of all collections."""
    scratch: Path
    example: Path | None
    """The built `read_throughput`."""
    cores: list[int]
    clock: str
    shuffle: bool

    @property
    def order(self) -> str:
        return ORDERS[self.shuffle]

    @property
    def time(self) -> Clock:
        return Clock(self.cores, self.clock, BATCH)

    @property
    def files(self) -> Path:
        return self.folder / self.collection.name

    def start(self, contender: Contender, workers: int) -> Process:
        log = self.scratch / f"{contender.name}.log"
        if contender.ours:
            command = [self.example, self.files / contender.store, "--size", self.collection.size, "--batch", BATCH]
            command += contender.options
        else:
            command = [sys.executable, HERE / "reading_worker.py", contender.name]
            command += ["--collection", self.collection.name, "--folder", self.folder]
        command += ["--workers", workers, *(["--shuffle"] if self.shuffle else [])]
        return Process(command, self.cores, log, ENVIRONMENT)


# Files are local, whatever a library would ask its hub. Workers that are processes share the cores.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


@dataclass
class Ready(Standby):
    """A contender with the workers that it is fastest with."""

    contender: Contender
    workers: int
    memory: int
    """The most bytes it was seen to have while it worked."""
    versions: dict[str, str] = field(default_factory=dict)


def prepare(course: Course, contender: Contender, follow: int | None, seconds: float) -> Ready:
    """Tries the numbers of workers, unless one is to be followed, and keeps the fastest. Raises
    `Absent` if the contender cannot take part."""
    warm(course.files / contender.store)
    workers = [len(course.cores) if count is None else count for count in contender.workers]
    trials = list(dict.fromkeys(workers)) if follow is None else [follow]
    fastest, chosen, kept = 0.0, trials[0], None
    with contextlib.ExitStack() as closing:
        for count in trials:
            process = closing.enter_context(course.start(contender, count))
            versions = process.answer()["versions"]
            speed = Turn.of(process, course.time, seconds).rate
            process.stop()
            if speed > fastest:
                fastest, chosen, process, kept = speed, count, kept, process
            if process is not None:
                process.close()
        assert kept is not None
        kept.go_on()
        memory = peak_memory(kept, seconds, course.files)
        kept.stop()
        closing.pop_all()
    return Ready(kept, contender, chosen, memory, versions)


def warm(store: Path) -> None:
    """Reads everything once, so that it is in memory."""
    for path in store.rglob("*"):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 22):
                    pass
