"""Contenders as processes that are kept alive, and answer each line of JSON with another.

A process leads a group of its own, which whatever it starts belongs to. The group can
be stopped between its turns, so that nothing that a contender does in advance takes
time from another.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self


class Absent(Exception):
    """A contender that cannot take part, and why."""


class Process:
    """One process on some cores. What it says besides its answers goes to `log`."""

    def __init__(self, command: list[object], cores: list[int], log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        # A process starts on the cores of the one that starts it.
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)
        try:
            with log.open("ab") as file:
                self._process = subprocess.Popen(
                    [str(word) for word in command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=file,
                    text=True,
                    env=os.environ | environment,
                    process_group=0,
                )
        finally:
            os.sched_setaffinity(0, before)

    def ask(self, request: dict[str, object]) -> None:
        """Raises `Absent` if it has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._absent() from None

    def answer(self) -> dict:
        """Raises `Absent` if it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._absent()
        return json.loads(line)

    def has_answer(self, patience: float) -> bool:
        """Whether `answer` need not wait, after at most so many seconds."""
        return bool(select.select([self._process.stdout], [], [], patience)[0])

    def _absent(self) -> Absent:
        self.close()
        return Absent(last_words(self.log.read_text(errors="replace")))

    def stop(self) -> None:
        """Stops its whole group until `go_on`."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def cpu_seconds(self) -> float:
        """All threads of the processes that there are."""
        total = 0.0
        for pid in self._family():
            # Linux makes a process's clock from its number: `clock_getcpuclockid(3)`, which Python has
            # for threads alone. It may have ended since it was found.
            with contextlib.suppress(OSError):
                total += time.clock_gettime((~pid << 3) | 2)
        return total

    def memory(self, besides: Path | None = None) -> int:
        """Bytes of its processes together, each page counted once; without those of files in the folder
        `besides`."""
        own, files = 0, {}
        for pid in self._family():
            with contextlib.suppress(OSError):
                private, mapped = _memory(pid)
                own += private
                for name, size in mapped.items():
                    if besides is None or not name.startswith(f"{besides}/"):
                        files[name] = max(size, files.get(name, 0))
        return own + sum(files.values())

    def _family(self) -> list[int]:
        """The process and all that come from it."""
        found = [self._process.pid]
        for pid in found:
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    found += map(int, (task / "children").read_text().split())
        return found

    def close(self) -> None:
        """Ends it: it stops when nothing more can come. Does nothing the second time."""
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.go_on()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        # What it left behind, if anything.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _memory(pid: int) -> tuple[int, dict[str, int]]:
    """What is the process's share of memory that no file has, and what it has in memory of each file.

    The kernel's share (PSS) divides a page by all processes that map it, which for the pages of a
    library would count other contenders in.
    """
    own = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
            own += int(line.split()[1]) << 10
    files: dict[str, int] = {}
    name, resident = "", 0
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            # address, rights, offset, device, inode, path
            mapped = words[4] != "0" and not words[5].startswith(("/dev/", "/memfd:"))
            name = f"{words[5]} {words[2]}" if mapped else ""
        elif name and words[0] == "Rss:":
            resident = int(words[1]) << 10
        elif name and words[0] == "Anonymous:":
            files[name] = files.get(name, 0) + resident - (int(words[1]) << 10)
    return own, files


def last_words(log: str) -> str:
    """Why a process ended, by what it said."""
    said = log.strip().splitlines()
    # genset's errors go on with advice; Python's end with what happened.
    ours = (line for line in reversed(said) if line.startswith("error: "))
    return next(ours, (said or ["it ended without a word"])[-1]).removeprefix("error: ")


class Requests:
    """The contender's end: the requests, one after another, and a way to answer."""

    def __init__(self) -> None:
        # Libraries print what they like; answers have a way of their own.
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def answer(self, content: dict[str, object]) -> None:
        print(json.dumps(content), file=self._answers, flush=True)

    def __iter__(self) -> Iterator[dict]:
        for line in sys.stdin:
            yield json.loads(line)


def stream(take: Callable[[], int], step: int, seconds: float) -> dict[str, float]:
    """The contender's answer to `{"seconds": S}`: batches taken for about so long, from the end of one
    to the end of another; `take` takes one and says its images. Their number is a multiple of `step`,
    as batches of workers that go in step come together."""
    take()
    begun = time.perf_counter()
    images = 0
    while time.perf_counter() - begun < seconds:
        for _ in range(step):
            images += take()
    return {"images": images, "seconds": time.perf_counter() - begun}
