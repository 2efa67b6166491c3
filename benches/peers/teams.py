"""Contenders at work: processes that are kept alive and asked for a round in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from contenders import PEERS
from task import BATCH, VIEWS, Task

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
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


class Absent(Exception):
    """A contender that cannot take part, and why."""


def title(name: str) -> str:
    return name if name == OURS else PEERS[name].title


def whole(name: str) -> bool:
    return name == OURS or PEERS[name].whole


def build_ours() -> Path:
    """Our side is an example of the library."""
    command = ["cargo", "build", "--release", "--example", "views_throughput", "--quiet"]
    subprocess.run(command, cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release" / "examples" / "views_throughput"


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
        self.processes = [self._start(list(map(str, c)), p) for c, p in zip(commands, places, strict=True)]
        self.versions: dict[str, str] = {}

    def ready(self) -> None:
        """Waits until the processes are; all teams start at once.

        Raises `Absent` if this one cannot take part."""
        self.versions = self._answers()[0]["versions"]

    def _start(self, command: list[str], cores: list[int]) -> subprocess.Popen[str]:
        # A process starts on the cores of the one that starts it.
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)
        try:
            with self.log.open("ab") as log:
                return subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    env=os.environ | ENVIRONMENT,
                )
        finally:
            os.sched_setaffinity(0, before)

    def round(self, batches: int) -> Round:
        """So many batches on each core."""
        before = self._cpu_seconds()
        for process, share in zip(self.processes, self.shares, strict=True):
            self._ask(process, {"batches": batches * share})
        wall = max(answer["seconds"] for answer in self._answers())
        cores = sum(self.shares)
        return Round(batches * cores * BATCH * VIEWS, wall, (self._cpu_seconds() - before) / cores)

    def _cpu_seconds(self) -> float:
        """All threads of all processes. Linux makes a process's clock from its number:
        `clock_getcpuclockid(3)`, which Python has for threads alone."""
        return sum(time.clock_gettime((~process.pid << 3) | 2) for process in self.processes)

    def batches_for(self, seconds: float) -> int:
        """How many batches on each core take about so long; warms up by the way."""
        self.round(1)
        batches = 1
        while (taken := self.round(batches).wall) < seconds / 4:
            batches *= 2
        return max(1, round(batches * seconds / taken))

    def views(self, batches: int, path: Path) -> np.ndarray:
        """`[batches * BATCH, VIEWS, C, H, W]`, f32."""
        self._ask(self.processes[0], {"batches": batches, "write": str(path)})
        self._answers(1)
        shape = (batches * BATCH, VIEWS, self.task.channels, self.task.size, self.task.size)
        views = np.fromfile(path, np.float32)
        path.unlink()
        if views.size != np.prod(shape):
            raise SystemExit(f"{title(self.name)} wrote {views.size} values for {shape}")
        return views.reshape(shape)

    @staticmethod
    def _ask(process: subprocess.Popen[str], request: dict[str, object]) -> None:
        assert process.stdin is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()

    def _answers(self, count: int | None = None) -> list[dict]:
        answers = []
        for process in self.processes[:count]:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                self.close()
                last = self.log.read_text(errors="replace").strip().splitlines()
                raise Absent(last[-1] if last else "it ended without a word")
            answers.append(json.loads(line))
        return answers

    def close(self) -> None:
        """Ends the processes: they stop when nothing more can come."""
        for process in self.processes:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            process.wait()

    def __enter__(self) -> Self:
        self.ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
