"""Who takes part in throughput.py: genset by provider and precision, and the streams; how each is
started, in which settings it may run, and how the fastest of them is found."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from generators import GENERATORS, VIEWS, recipe
from processes import Process
from streams import STREAMS, Layout, Variant
from turns import Clock, Standby, Turn, peak_memory

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

    @property
    def time(self) -> Clock:
        return Clock(self.cores, self.clock, GENERATORS[self.generator].batch * VIEWS)

    def images(self, entrant: Entrant) -> Path:
        return self.scratch / f"{entrant.name}.u8"


@dataclass
class Ready(Standby):
    """An entrant in its fastest setting."""

    entrant: Entrant
    setting: str
    memory: int
    """The most bytes it was seen to have while it worked."""
    layout: Layout
    versions: dict[str, str] = field(default_factory=dict)


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
            speed = Turn.of(process, course.time, seconds).rate
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
    return Ready(kept, entrant, ", ".join(setting), memory, chosen, versions)
