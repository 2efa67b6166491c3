"""Images to views: genset against the libraries that one would use instead.

    pip install --require-hashes -r benches/peers/requirements.txt
    python benches/peers/views.py                     # one core
    python benches/peers/views.py --cores 2
    python benches/peers/views.py --check sheet.png   # that all do the same

Everyone gets the same u8 images `[H, W, C]` in memory and makes two views of each
with parameters of their own, as SimCLR does (Chen et al., 2020): a random resized
crop to the image's own size, flip, colour jitter, greyscale, blur, and ImageNet
normalisation to f32 `[64, 2, C, H, W]`, which is one array that is written again
for each batch. The numbers are in `task.py`. Images of 28 pixels have one channel
and get no operation that needs colour.

Each contender is a process that stays alive and holds one core (one thread is all
that its libraries may start), and is asked for a round of about `--seconds` in
turn, so that whatever else the machine does falls on all alike. The table has
medians over the rounds. On more cores a library runs as one process a core, the
way a DataLoader runs it, but nobody pays for handing batches over; genset runs as
one process with threads. The ratio is genset's views by those of the fastest
library, round by round.

On a machine that does other things, `--clock cpu` divides by the time that a
contender ran, which leaves out waiting for a core but not what a cold cache costs;
the table names contenders that had to wait.

What was chosen for each library, and why, is in its file in `contenders/`. DALI
and kornia-rs have no operation for part of the pipeline and do something near it,
which the table says; the ratio is by the fastest library that does it all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import check
from contenders import PEERS
from machine import hardware, last_cores
from pictures import dead_leaves
from processes import Absent
from task import IMAGES, Task
from teams import OURS, Round, Team, build_ours, title, whole

SIZES = (28, 32, 64, 128, 224)
# A contender that had less of its cores than this was measured together with something else.
QUIET = 0.97


@dataclass
class Result:
    """What was measured at one size."""

    size: int
    clock: str
    rounds: dict[str, list[Round]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def rates(self, name: str) -> list[float]:
        """Views per second, one for each round."""
        return [turn.views / getattr(turn, self.clock) for turn in self.rounds[name]]

    def median(self, name: str) -> float:
        return statistics.median(self.rates(name))

    def busy(self, name: str) -> float:
        """The part of the time in which the contender had its cores to itself."""
        return statistics.median(turn.cpu / turn.wall for turn in self.rounds[name])

    def fastest_peer(self) -> str | None:
        peers = [name for name in self.rounds if name != OURS and whole(name)]
        return max(peers, key=self.median, default=None)

    def ratio(self) -> float | None:
        """Ours by the fastest peer's, median over the rounds."""
        peer = self.fastest_peer()
        if peer is None or OURS not in self.rounds:
            return None
        return statistics.median(a / b for a, b in zip(self.rates(OURS), self.rates(peer), strict=True))


def main() -> None:
    arguments = parse()
    names = [name for name in (OURS, *PEERS) if arguments.only is None or name in arguments.only]
    ours = None
    if OURS in names:
        ours = arguments.ours or build_ours()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.check:
            check.check(names, arguments.sizes, ours, Path(folder), arguments.check)
            return
        results = []
        for size in arguments.sizes:
            result = measure(names, Task(size), ours, Path(folder), arguments)
            results.append(result)
            print(as_text(result), flush=True)
    if arguments.markdown:
        print(as_markdown(results, names))
    if arguments.json:
        arguments.json.write_text(json.dumps(as_json(results, arguments), indent=1) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="that a round of one contender takes")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: leave out what others took")
    parser.add_argument("--only", nargs="+", choices=[OURS, *PEERS], help="contenders")
    parser.add_argument("--ours", type=Path, help="the built example; default: cargo builds it")
    parser.add_argument("--json", type=Path, help="write every round, the versions and the hardware here")
    parser.add_argument("--markdown", action="store_true", help="print all sizes as one Markdown table")
    parser.add_argument("--check", type=Path, metavar="PNG", help="measure nothing; compare what is made, draw it here")
    arguments = parser.parse_args()
    available = len(os.sched_getaffinity(0))
    if not 1 <= arguments.cores <= available:
        parser.error(f"--cores {arguments.cores}, but there are {available}")
    return arguments


def measure(names: list[str], task: Task, ours: Path | None, folder: Path, arguments: argparse.Namespace) -> Result:
    """All contenders at one size, in turn."""
    result = Result(task.size, arguments.clock)
    images = folder / f"{task.size}.u8"
    dead_leaves(IMAGES, task.size, task.channels, seed=0).tofile(images)
    cores = last_cores(arguments.cores)
    teams = [Team(name, task, images, cores, ours, folder / f"{name}-{task.size}.log") for name in names]
    try:
        for team in list(teams):
            try:
                team.ready()
            except Absent as why:
                result.absent[team.name] = str(why)
                teams.remove(team)
            result.versions |= team.versions
        batches = {team.name: team.batches_for(arguments.seconds) for team in teams}
        for turn in range(arguments.rounds):
            # There and back, so that nobody always follows the same neighbour.
            for team in teams if turn % 2 == 0 else reversed(teams):
                result.rounds.setdefault(team.name, []).append(team.round(batches[team.name]))
    finally:
        for team in teams:
            team.close()
    return result


def as_text(result: Result) -> str:
    lines = [f"{result.size} x {result.size} x {Task(result.size).channels}, views/s: median (least to most)"]
    for name in result.rounds:
        rates, busy = result.rates(name), result.busy(name)
        mark = "" if whole(name) else f"  [{PEERS[name].note}]"
        if busy < QUIET:
            mark += f"  had {busy:.0%} of its time"
        lines.append(f"  {title(name):28} {result.median(name):10,.0f} ({min(rates):,.0f} to {max(rates):,.0f}){mark}")
    lines += [f"  {title(name):28} absent: {why}" for name, why in result.absent.items()]
    ratio, peer = result.ratio(), result.fastest_peer()
    if ratio is not None and peer is not None:
        lines.append(f"  {OURS} / {title(peer)}: {ratio:.2f}")
    return "\n".join(lines)


def as_markdown(results: list[Result], names: list[str]) -> str:
    lines = [
        "| views/s | " + " | ".join(f"{r.size}×{r.size}×{Task(r.size).channels}" for r in results) + " |",
        "|---|" + "---|" * len(results),
    ]
    marks = {name: "*" * place for place, name in enumerate((n for n in names if not whole(n)), 1)}
    for name in names:
        cells = [f"{r.median(name):,.0f}" if name in r.rounds else "–" for r in results]
        label = title(name) + marks.get(name, "").replace("*", "\\*")
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    ratios = [r.ratio() for r in results]
    if any(ratios):
        cells = ["–" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
        lines.append(f"| *{OURS} / fastest whole peer* | " + " | ".join(cells) + " |")
    lines += ["", *(f"{mark.replace('*', chr(92) + '*')} {PEERS[name].note}." for name, mark in marks.items())]
    return "\n".join(lines).rstrip()


def as_json(results: list[Result], arguments: argparse.Namespace) -> dict[str, object]:
    versions: dict[str, str] = {"python": platform.python_version()}
    for result in results:
        versions |= result.versions
    return {
        "cores": arguments.cores,
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "clock": arguments.clock,
        "hardware": hardware(),
        "versions": versions,
        "sizes": [
            {
                "size": result.size,
                "channels": Task(result.size).channels,
                "ratio": result.ratio(),
                "fastest_peer": result.fastest_peer(),
                "absent": result.absent,
                "contenders": {
                    name: {
                        "title": title(name),
                        "whole": whole(name),
                        "views_per_second": {"median": result.median(name), "rounds": result.rates(name)},
                        "busy": result.busy(name),
                    }
                    for name in result.rounds
                },
            }
            for result in results
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
