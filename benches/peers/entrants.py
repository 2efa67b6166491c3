"""Who takes part in throughput.py: genset by provider and precision, and the streams; how each is
started, in which settings it may run, and how the fastest of them is found."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from generators import GENERATORS, VIEWS, recipe
from machine import busy_seconds
from processes import Process
from streams import STREAMS, Layout, Variant

HERE = Path(__file__).parent
OURS = "genset"


@dataclass(frozen=True)
class Entrant:
    """A contender. Ours has a command line of its own, a stream none."""

    name: str
    title: str
    group: str
    exact: bool
    variants: tuple[Variant, ...]
    follows: str = ""
    options: tuple[str, ...] = ()

    @property
    def ours(self) -> bool:
        return bool(self.options)

    def layouts(self, cores: int) -> list[Layout]:
        """Those that use all cores. A DataLoader may also do without workers, and never has more
        than one thread to a core; genset has a session at least."""
        found = [Layout(cores, 1), Layout(1, cores)]
        return list(dict.fromkeys(found if self.ours else [Layout(0, cores), *found]))


def stream(name: str) -> Entrant:
    peer = STREAMS[name]
    return Entrant(name, peer.title, peer.group, peer.exact, peer.variants, peer.follows)


def ours(words: str) -> Entrant:
    """`PROVIDER[:PRECISION[:REWRITES]]`."""
    provider, precision, rewrites = (words.split(":", 2) + ["", ""])[:3]
    precision, rewrites = precision or "f32", rewrites or "auto"
    options = ["--provider", provider, "--rewrites", rewrites]
    if precision != "f32":
        options += ["--set", f'generator.precision="{precision}"']
    title = f"{OURS}, {provider} {precision}"
    title += {"auto": "", "none": ", as exported"}.get(rewrites, f", {rewrites}")
    name = words.replace(":", "-").replace("/", "-")
    return Entrant(f"{OURS}-{name}", title, OURS, precision == "f32", (), options=tuple(options))


@dataclass
class Course:
    """What all entrants share on one generator."""

    generator: str
    folder: Path
    """Of models."""
    scratch: Path
    example: Path
    """The built `stream_throughput`."""
    settings: list[str]
    """Put over the recipe."""
    cores: list[int]
    clock: str
    """wall, or cpu: the time that a contender ran, by the number of cores."""
    reference: Path | None = None
    """The folder with a batch of genset's: `latent`, `label` and `images`."""

    def start(self, entrant: Entrant, layout: Layout, variant: Variant | None) -> Process:
        log = self.scratch / f"{entrant.name}.log"
        if entrant.ours:
            command = [self.example, recipe(self.generator, self.folder), *entrant.options]
            command += ["--batch", GENERATORS[self.generator].batch]
            command += [part for setting in self.settings for part in ("--set", setting)]
        else:
            assert self.reference is not None and variant is not None
            command = [sys.executable, HERE / "stream_worker.py", entrant.name, "--generator", self.generator]
            command += ["--folder", self.folder, "--chunk", variant.chunk, "--inputs", self.reference]
            command += ["--images", self.images(entrant), *(["--channels-last"] if variant.channels_last else [])]
        command += ["--workers", layout.workers, "--threads", layout.threads]
        return Process(command, self.cores, log, {})

    def images(self, entrant: Entrant) -> Path:
        return self.scratch / f"{entrant.name}.u8"


@dataclass
class Ready:
    """An entrant in its fastest setting, stopped between its turns."""

    entrant: Entrant
    process: Process
    setting: str
    memory: int
    """The most bytes it was seen to have while it worked."""
    layout: Layout
    versions: dict[str, str] = field(default_factory=dict)

    def ask(self, request: dict[str, object]) -> dict:
        """Lets it run for as long as the answer takes."""
        self.process.go_on()
        self.process.ask(request)
        answer = self.process.answer()
        self.process.stop()
        return answer

    def turn(self, course: Course, seconds: float) -> Turn:
        self.process.go_on()
        turn = Turn.of(self.process, course, seconds)
        self.process.stop()
        return turn


@dataclass(frozen=True)
class Turn:
    """What a contender did when asked once."""

    rate: float
    """Images a second, by the course's clock."""
    others: float
    """The part of the cores' time that went to something else."""

    @classmethod
    def of(cls, process: Process, course: Course, seconds: float) -> Self:
        work, own, begun = busy_seconds(course.cores), process.cpu_seconds(), time.perf_counter()
        process.ask({"seconds": seconds})
        answer = process.answer()
        wall = time.perf_counter() - begun
        own = process.cpu_seconds() - own
        others = max(0.0, busy_seconds(course.cores) - work - own) / (wall * len(course.cores))
        if course.clock == "wall":
            return cls(answer["images"] / answer["seconds"], others)
        # Its clock begins a batch before the first image that is counted.
        images = answer["images"] + GENERATORS[course.generator].batch * VIEWS
        return cls(images * len(course.cores) / own, others)


def prepare(course: Course, entrant: Entrant, follow: Layout | None, seconds: float) -> Ready:
    """Tries the settings and keeps the fastest. Raises `Absent` if the entrant cannot take part."""
    layouts = entrant.layouts(len(course.cores)) if follow is None else [follow]
    images = GENERATORS[course.generator].batch * VIEWS
    # A part as large as the batch is the batch.
    variants = [variant for variant in entrant.variants if variant.chunk < images]
    variant = variants[0] if variants else None
    fastest, chosen, kept = 0.0, layouts[0], None
    if len(variants) > 1:
        # In the first layout, which has no workers; the others go on with the fastest variant.
        with course.start(entrant, layouts.pop(0), variant) as process:
            process.answer()
            process.ask({"vary": [asdict(other) for other in variants], "seconds": seconds})
            rates = process.answer()["rates"]
        fastest = max(rates)
        variant = variants[rates.index(fastest)]
    versions: dict[str, str] = {}
    with contextlib.ExitStack() as closing:
        for layout in layouts:
            process = closing.enter_context(course.start(entrant, layout, variant))
            versions = process.answer()["versions"]
            speed = Turn.of(process, course, seconds).rate
            process.stop()
            if speed > fastest:
                fastest, chosen, process, kept = speed, layout, kept, process
            if process is not None:
                process.close()
        if kept is None:
            # It was the first layout, whose process had memory for all variants.
            kept = closing.enter_context(course.start(entrant, chosen, variant))
            kept.answer()
        kept.go_on()
        memory = peak_memory(kept, seconds)
        kept.stop()
        closing.pop_all()
    setting = [str(chosen)] + ([str(variant)] if len(variants) > 1 else [])
    return Ready(entrant, kept, ", ".join(setting), memory, chosen, versions)


def rate(process: Process, seconds: float) -> float:
    """Images a second."""
    process.ask({"seconds": seconds})
    answer = process.answer()
    return answer["images"] / answer["seconds"]


def peak_memory(process: Process, seconds: float) -> int:
    """Bytes; looks while it works, which would slow a measurement."""
    process.ask({"seconds": seconds})
    most = 0
    while not process.has_answer(0.02):
        most = max(most, process.memory())
    process.answer()
    return most
