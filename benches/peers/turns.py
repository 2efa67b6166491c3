"""Contenders that take turns: asked for a while, timed, and stopped until they are asked again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from machine import busy_seconds
from processes import Process


@dataclass(frozen=True)
class Clock:
    """How the time of a turn is counted."""

    cores: list[int]
    kind: str
    """wall, or cpu: the time that a contender ran, by the number of cores."""
    batch: int
    """Images that come at once."""


@dataclass(frozen=True)
class Turn:
    """What a contender did when asked once."""

    rate: float
    """Images a second, by the clock."""
    others: float
    """The part of the cores' time that went to something else."""
    work: float
    """Seconds of work that an image took, of all cores together."""

    @classmethod
    def of(cls, process: Process, clock: Clock, seconds: float) -> Self:
        busy, own, begun = busy_seconds(clock.cores), process.cpu_seconds(), time.perf_counter()
        process.ask({"seconds": seconds})
        answer = process.answer()
        wall = time.perf_counter() - begun
        own = process.cpu_seconds() - own
        others = max(0.0, busy_seconds(clock.cores) - busy - own) / (wall * len(clock.cores))
        # Its clock begins a batch before the first image that is counted.
        work = own / (answer["images"] + clock.batch)
        if clock.kind == "wall":
            return cls(answer["images"] / answer["seconds"], others, work)
        return cls(len(clock.cores) / work, others, work)


@dataclass
class Standby:
    """A contender that is stopped between its turns."""

    process: Process

    def ask(self, request: dict[str, object]) -> dict:
        """Lets it run for as long as the answer takes."""
        self.process.go_on()
        self.process.ask(request)
        answer = self.process.answer()
        self.process.stop()
        return answer

    def turn(self, clock: Clock, seconds: float) -> Turn:
        self.process.go_on()
        turn = Turn.of(self.process, clock, seconds)
        self.process.stop()
        return turn


def peak_memory(process: Process, seconds: float, besides: Path | None = None) -> int:
    """Bytes, without mapped files of a folder; looks while it works, which would slow a measurement."""
    process.ask({"seconds": seconds})
    most = 0
    while not process.has_answer(0.02):
        most = max(most, process.memory(besides))
    process.answer()
    return most
