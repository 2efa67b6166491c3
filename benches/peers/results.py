"""What throughput.py found: for people, as Markdown, as JSON."""

from __future__ import annotations

import platform
import statistics
from dataclasses import dataclass, field

from entrants import OURS, Ready
from generators import GENERATORS, VIEWS, title
from machine import hardware
from streams import BF16, F32, ORT

# Of the time on the cores; with more than this taken by others, the table says so.
QUIET = 0.03
GROUPS = (ORT, F32, BF16)


@dataclass
class Result:
    """What was measured with one generator; contenders go by their titles."""

    generator: str
    rounds: dict[str, list[float]] = field(default_factory=dict)
    """Images a second."""
    others: dict[str, list[float]] = field(default_factory=dict)
    """The part of the cores' time that went to something else, for each round."""
    groups: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)
    ceilings: dict[str, dict[str, float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, one: Ready) -> None:
        name = one.entrant.title
        self.rounds[name], self.others[name] = [], []
        self.groups[name], self.settings[name] = one.entrant.group, one.setting
        self.memory[name] = one.memory
        self.versions[name] = one.versions

    def median(self, name: str) -> float:
        return statistics.median(self.rounds[name])

    def fastest(self, group: str) -> str | None:
        return max((name for name in self.rounds if self.groups[name] == group), key=self.median, default=None)

    def ratio(self, group: str) -> float | None:
        """The fastest of ours by the fastest of the group, median over the rounds."""
        ours, peer = self.fastest(OURS), self.fastest(group)
        if ours is None or peer is None:
            return None
        return statistics.median(a / b for a, b in zip(self.rounds[ours], self.rounds[peer], strict=True))

    def memory_ratio(self, group: str) -> float | None:
        """Memory of the same two."""
        ours, peer = self.fastest(OURS), self.fastest(group)
        return None if ours is None or peer is None else self.memory[ours] / self.memory[peer]

    def efficiency(self) -> float | None:
        """Of the fastest of ours."""
        ours = self.fastest(OURS)
        return None if ours is None else self.ceilings[ours]["efficiency"]


def as_text(result: Result) -> str:
    lines = [f"{title(result.generator)}, images/s: median (least to most)"]
    for name, rates in result.rounds.items():
        marks = [result.settings[name]]
        if name in result.ceilings:
            marks.append(f"efficiency {result.ceilings[name]['efficiency']:.1%}")
        if result.differences[name] > 0:
            marks.append(f"{result.differences[name]:.2g}/255 from f32")
        others = statistics.median(result.others[name])
        if others > QUIET:
            marks.append(f"others took {others:.0%} of the cores")
        spread = f"({min(rates):,.0f} to {max(rates):,.0f})"
        memory = f"{result.memory[name] >> 20:6,} MiB"
        lines.append(f"  {name:22} {result.median(name):10,.0f} {spread:20} {memory}  {'; '.join(marks)}")
    lines += [f"  {name:22} absent: {why}" for name, why in result.absent.items()]
    for group in GROUPS:
        ratio, memory = result.ratio(group), result.memory_ratio(group)
        if ratio is not None and memory is not None:
            lines.append(f"  {OURS} / {group}: {ratio:.2f}, in {memory:.2f} of the memory")
    return "\n".join(lines)


def as_markdown(results: list[Result]) -> str:
    names = list(dict.fromkeys(name for result in results for name in result.rounds))
    ratios = [(f"*{OURS} / {group}*", [result.ratio(group) for result in results]) for group in GROUPS]
    shares = [(f"*{OURS} / {group}*", [result.memory_ratio(group) for result in results]) for group in GROUPS]
    rates = [(name, [r.median(name) if name in r.rounds else None for r in results]) for name in names]
    memory = [(name, [r.memory[name] / 2**20 if name in r.rounds else None for r in results]) for name in names]
    head = [r.generator for r in results]
    efficiency = [cell(r.efficiency(), ".1%") for r in results]
    return "\n".join(
        [
            *table("images/s", head, rates, ratios),
            row("*efficiency*", efficiency),
            "",
            *table("memory, MiB", head, memory, shares),
        ]
    )


Rows = list[tuple[str, list[float | None]]]


def table(corner: str, head: list[str], numbers: Rows, ratios: Rows) -> list[str]:
    lines = [row(corner, head), "|---|" + "---|" * len(head)]
    lines += [row(name, [cell(value, ",.0f") for value in values]) for name, values in numbers]
    lines += [row(name, [cell(value, ".2f") for value in values]) for name, values in ratios if any(values)]
    return lines


def row(name: str, cells: list[str]) -> str:
    return "| " + " | ".join([name, *cells]) + " |"


def cell(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def as_json(results: list[Result], arguments: dict[str, object]) -> dict:
    return {
        **arguments,
        "hardware": hardware(),
        "python": platform.python_version(),
        "generators": [
            {
                "generator": result.generator,
                "image": GENERATORS[result.generator].image,
                "batch": [GENERATORS[result.generator].batch, VIEWS],
                "ratios": {group: result.ratio(group) for group in GROUPS},
                "memory_ratios": {group: result.memory_ratio(group) for group in GROUPS},
                "efficiency": result.efficiency(),
                "absent": result.absent,
                "contenders": {
                    name: {
                        "group": result.groups[name],
                        "setting": result.settings[name],
                        "versions": result.versions[name],
                        "images_per_second": {"median": result.median(name), "rounds": rates},
                        "memory_bytes": result.memory[name],
                        "from_f32_in_255ths": result.differences[name],
                        "others_share": result.others[name],
                        **result.ceilings.get(name, {}),
                    }
                    for name, rates in result.rounds.items()
                },
            }
            for result in results
        ],
    }
