"""Contenders at work: processes that are kept alive and asked for a round in turn."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from contenders import PEERS
from machine import build_example
from processes import Absent, Process
from task import BATCH, VIEWS, Task

HERE = Path(__file__).parent
OURS = "genset"

# Every library, and OpenMP, OpenBLAS and MKL under it, asks when it is loaded how many threads it
# may have. AlbumentationsX would also look for a newer version of itself.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "ALBUMENTATIONS_NO_TELEMETRY": "1",
}


def title(name: str) -> str:
    return name if name == OURS else PEERS[name].title


def whole(name: str) -> bool:
    return name == OURS or PEERS[name].whole


def build_ours() -> Path:
    return build_example("views_throughput")


@dataclass(frozen=True)
class Round:
    """What a contender did when asked once."""

    views: int
    wall: float
    """Seconds on the clock."""
    cpu: float
    """Seconds of work for each core. Less than `wall` where something else ran there."""


class Team:
    """One contender on some cores: ours as one process with a thread for each, a library as one
    process for each, which gives Python no lock to wait for."""

    def __init__(self, name: str, task: Task, images: Path, cores: list[int], ours: Path | None, log: Path) -> None:
        self.name, self.task, self.log = name, task, log
        if name == OURS:
            command = [ours, "--channels", task.channels, "--size", task.size, "--images", images]
            commands = [[*command, "--threads", len(cores)]]
            places = [cores]
        else:
            command = [sys.executable, HERE / "worker.py", name, "--size", task.size, "--images", images]
            commands = [[*command, "--seed", place] for place, _ in enumerate(cores)]
            places = [[core] for core in cores]
        self.shares = [len(place) for place in places]
        pairs = zip(commands, places, strict=True)
        self.processes = [Process(command, place, log, ENVIRONMENT) for command, place in pairs]
        self.versions: dict[str, str] = {}

    def ready(self) -> None:
        """Waits until the processes are; all teams start at once.

        Raises `Absent` if this one cannot take part."""
        self.versions = self._answers()[0]["versions"]

    def round(self, batches: int) -> Round:
        """So many batches on each core."""
        before = self._cpu_seconds()
        for process, share in zip(self.processes, self.shares, strict=True):
            process.ask({"batches": batches * share})
        wall = max(answer["seconds"] for answer in self._answers())
        cores = sum(self.shares)
        return Round(batches * cores * BATCH * VIEWS, wall, (self._cpu_seconds() - before) / cores)

    def _cpu_seconds(self) -> float:
        return sum(process.cpu_seconds() for process in self.processes)

    def batches_for(self, seconds: float) -> int:
        """How many batches on each core take about so long; warms up by the way."""
        self.round(1)
        batches = 1
        while (taken := self.round(batches).wall) < seconds / 4:
            batches *= 2
        return max(1, round(batches * seconds / taken))

    def views(self, batches: int, path: Path) -> np.ndarray:
        """`[batches * BATCH, VIEWS, C, H, W]`, f32."""
        self.processes[0].ask({"batches": batches, "write": str(path)})
        self.processes[0].answer()
        shape = (batches * BATCH, VIEWS, self.task.channels, self.task.size, self.task.size)
        views = np.fromfile(path, np.float32)
        path.unlink()
        if views.size != np.prod(shape):
            raise SystemExit(f"{title(self.name)} wrote {views.size} values for {shape}")
        return views.reshape(shape)

    def _answers(self) -> list[dict]:
        try:
            return [process.answer() for process in self.processes]
        except Absent:
            self.close()
            raise

    def close(self) -> None:
        for process in self.processes:
            process.close()

    def __enter__(self) -> Self:
        self.ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
