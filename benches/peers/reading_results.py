"""What reading.py found: for people, as Markdown, as JSON."""

from __future__ import annotations

import platform
import statistics
from dataclasses import dataclass, field

from collection import BATCH, COLLECTIONS
from machine import hardware
from readers import CEILING, JPEG, PNG, RAW
from reading_teams import Ready
from results import QUIET, cell, row
from turns import Turn

OURS = "genset"
GROUPS = (RAW, JPEG, PNG)


@dataclass
class Result:
    """What was measured with one collection in one order; contenders go by their titles."""

    name: str
    order: str
    ready: dict[str, Ready] = field(default_factory=dict)
    turns: dict[str, list[Turn]] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def add(self, one: Ready, difference: float) -> None:
        title = one.contender.title
        self.ready[title], self.turns[title], self.differences[title] = one, [], difference

    @property
    def title(self) -> str:
        return f"{COLLECTIONS[self.name].title}, {self.order}"

    @property
    def bytes(self) -> int:
        """Of an image that is delivered."""
        return 3 * COLLECTIONS[self.name].size ** 2

    def rates(self, title: str) -> list[float]:
        """Images a second."""
        return [turn.rate for turn in self.turns[title]]

    def rate(self, title: str) -> float:
        return statistics.median(self.rates(title))

    def work(self, title: str) -> float:
        """Seconds of a core that an image takes."""
        return statistics.median(turn.work for turn in self.turns[title])

    def others(self, title: str) -> float:
        return statistics.median(turn.others for turn in self.turns[title])

    def group(self, title: str) -> str:
        return self.ready[title].contender.group

    def fastest(self, group: str, ours: bool) -> str | None:
        titles = (t for t, one in self.ready.items() if one.contender.group == group and one.contender.ours == ours)
        return max(titles, key=self.rate, default=None)

    def ratio(self, one: str | None, other: str | None) -> float | None:
        """Median over the rounds."""
        if one is None or other is None:
            return None
        return statistics.median(a / b for a, b in zip(self.rates(one), self.rates(other), strict=True))

    def of_fastest(self, title: str) -> float | None:
        """Against the fastest that hands out copies and is no ceiling, ours or not."""
        titles = [other for other in self.ready if self.group(other) in GROUPS]
        return self.ratio(title, max(titles, key=self.rate, default=None))

    def ours_to(self, title: str) -> float | None:
        """The fastest of ours that reads the same kind, against this one; of raw pixels against the ceiling."""
        group = self.group(title)
        return self.ratio(self.fastest(RAW if group == CEILING else group, ours=True), title)

    def against(self, group: str) -> float | None:
        """The fastest of ours against the fastest of the others."""
        return self.ratio(self.fastest(group, ours=True), self.fastest(group, ours=False))


def layout(one: Ready) -> str:
    workers = one.workers
    return f"{workers} worker{'s'[: workers > 1]}" if workers else "in the process"


def as_text(result: Result) -> str:
    head = ["images/s: median (least to most)", "MB/s", "CPU µs", "MiB", "of fastest"]
    lines = [
        f"{result.title}, batches of {BATCH}",
        f"  {'':32} {head[0]:>40} {head[1]:>8} {head[2]:>8} {head[3]:>6} {head[4]:>10}",
    ]
    for title, one in result.ready.items():
        rates = result.rates(title)
        marks = [layout(one)]
        if result.differences[title]:
            marks.append(f"{result.differences[title]:.2g}/255 from Pillow")
        if result.others(title) > QUIET:
            marks.append(f"others took {result.others(title):.0%} of the cores")
        ratio = result.ours_to(title)
        if ratio is not None and not one.contender.ours:
            marks.append(f"{OURS} / this: {ratio:.2f}")
        rate = f"{result.rate(title):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
        numbers = f"{result.rate(title) * result.bytes / 1e6:8,.0f} {result.work(title) * 1e6:8,.2f}"
        of = cell(result.of_fastest(title), ".1%")
        lines.append(f"  {title:32} {rate:>40} {numbers} {one.memory >> 20:6,} {of:>10}  {'; '.join(marks)}")
    lines += [f"  {title:32} absent: {why}" for title, why in result.absent.items()]
    for group in GROUPS:
        ratio = result.against(group)
        if ratio is not None:
            lines.append(f"  {OURS} / fastest other, {group}: {ratio:.2f}")
    return "\n".join(lines)


def as_markdown(results: list[Result]) -> str:
    return "\n\n".join(_markdown(result) for result in results)


def _markdown(result: Result) -> str:
    head = ["images/s", "MB/s", "CPU, µs an image", "memory, MiB", "of the fastest", f"{OURS} / this", "workers"]
    lines = [row(result.title, head), "|---|" + "---|" * len(head)]
    for title, one in result.ready.items():
        cells = [
            cell(result.rate(title), ",.0f"),
            cell(result.rate(title) * result.bytes / 1e6, ",.0f"),
            cell(result.work(title) * 1e6, ",.2f"),
            cell(one.memory / 2**20, ",.0f"),
            cell(result.of_fastest(title), ".1%"),
            "–" if one.contender.ours else cell(result.ours_to(title), ".2f"),
            str(one.workers),
        ]
        lines.append(row(title, cells))
    return "\n".join(lines)


def as_json(results: list[Result], arguments: dict[str, object]) -> dict:
    return {
        **arguments,
        "hardware": hardware(),
        "python": platform.python_version(),
        "batch": BATCH,
        "readings": [
            {
                "collection": result.name,
                "title": result.title,
                "order": result.order,
                "images": COLLECTIONS[result.name].count,
                "size": COLLECTIONS[result.name].size,
                "ratios": {group: result.against(group) for group in GROUPS},
                "absent": result.absent,
                "contenders": {title: _contender(result, title) for title in result.ready},
            }
            for result in results
        ],
    }


def _contender(result: Result, title: str) -> dict[str, object]:
    one = result.ready[title]
    return {
        "group": one.contender.group,
        "ours": one.contender.ours,
        "store": one.contender.store,
        "workers": one.workers,
        "versions": one.versions,
        "images_per_second": {"median": result.rate(title), "rounds": result.rates(title)},
        "bytes_per_second": result.rate(title) * result.bytes,
        "cpu_seconds_per_image": result.work(title),
        "memory_bytes": one.memory,
        "of_fastest": result.of_fastest(title),
        "ours_to_this": result.ours_to(title),
        "from_reference_in_255ths": result.differences[title],
        "others_share": [turn.others for turn in result.turns[title]],
    }
