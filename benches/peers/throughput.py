"""Latents to batches: genset against what one would stream a generator's images with instead.

    pip install --require-hashes -r benches/peers/requirements-throughput.txt
    python benches/peers/throughput.py --markdown --json throughput.json --plot throughput.svg
    python benches/peers/throughput.py --only face eye --rounds 5

Everyone delivers the same: batches of u8 images `[B, 2, C, H, W]`, with `label [B]`
where the generator has classes, made of latents that are drawn anew for each sample,
two neighbours of an anchor. The model is the same too: genset and ONNX Runtime read
the ONNX file, PyTorch has the module that it was exported from. Before anything is
measured, everyone makes the images of one batch of genset's latents, through its
loader, and must agree: f32 to a rounding, bf16 to what 8 bits leave.

A contender runs as its users would run it, genset as one process with a thread for
each session, the others in a PyTorch DataLoader. How workers and threads share the
cores, how many images a call has and the memory format are tried for `--trial`
seconds each, and the fastest setting is measured. Then all take turns, for
`--rounds` rounds of about `--seconds` each; the group of processes that is not at its
turn is stopped. The table has medians over the rounds, and ratios round by round. On a
machine that does other things, `--clock cpu` divides by the time that a contender ran,
which leaves out waiting for a core; the table says how much of the cores others took.

genset is measured on several providers and precisions, and on the CPU also without
rewrites of the graph, `cpu:f32:none`. Rewrites are those of the stored profile where
`genset tune` made one, and else go by rule. A provider that is not installed is left
out with a note.

Memory is the most that the processes of a contender had together while it worked,
pages that they share counted once. *Efficiency* is what genset delivers by what the
bare generator makes in a tight loop, as `genset bench` has it.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from agreement import agree
from command import add_options, parsed, say, write
from entrants import Course, Entrant, Ready, ours, prepare, stream
from generators import BUILT_IN, GENERATORS, title
from machine import ROOT, build_example, last_cores
from processes import Absent
from results import Result, as_json, as_markdown, as_text
from streams import STREAMS, Layout

HERE = Path(__file__).parent
OURS = ["cpu:f32:none", "cpu", "openvino", "openvino:bf16"]


def main() -> None:
    arguments = parse()
    # Told to end, it ends its contenders too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    entrants = [ours(words) for words in arguments.genset] + [stream(name) for name in arguments.against]
    example = arguments.ours or build_example("stream_throughput")
    arguments.models.mkdir(parents=True, exist_ok=True)
    results = []
    for generator in arguments.only:
        make(generator, arguments.models)
        with tempfile.TemporaryDirectory() as scratch:
            cores = last_cores(arguments.cores)
            models, scratch, clock = arguments.models, Path(scratch), arguments.clock
            course = Course(generator, models, scratch, example, arguments.set, cores, clock)
            result = measure(course, entrants, arguments)
        results.append(result)
        print(as_text(result), flush=True)
    said = ("cores", "clock", "rounds", "seconds", "trial", "set")
    write(arguments, said, results, as_markdown, as_json)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=GENERATORS, default=list(GENERATORS), metavar="GENERATOR")
    parser.add_argument("--genset", nargs="+", default=OURS, metavar="SETTING", help=f"{ours.__doc__} Default: {OURS}")
    parser.add_argument("--against", nargs="*", choices=STREAMS, default=list(STREAMS), help="default: all")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="over genset's recipes")
    parser.add_argument("--models", type=Path, default=ROOT / "target" / "peers", help="folder to keep generators in")
    add_options(parser, seconds=2.0)
    arguments = parsed(parser)
    if not ours(arguments.genset[0]).exact:
        parser.error("--genset: the first one makes the images that all others are held against, and must be f32")
    return arguments


def make(generator: str, folder: Path) -> None:
    """In a process of its own, as exporting takes PyTorch and much memory."""
    if generator not in BUILT_IN:
        subprocess.run([sys.executable, HERE / "generators.py", generator, "-o", folder], check=True, stdout=sys.stderr)


def measure(course: Course, entrants: list[Entrant], arguments: argparse.Namespace) -> Result:
    """All contenders with one generator, in turn."""
    result = Result(course.generator)
    ready: list[Ready] = []
    layouts: dict[str, Layout] = {}
    try:
        for entrant in entrants:
            say(f"{title(course.generator)}: {entrant.title}")
            try:
                one = prepare(course, entrant, layouts.get(entrant.follows), arguments.trial)
            except Absent as why:
                result.absent[entrant.title] = str(why)
                say(f"  absent: {why}")
                if course.reference is None:
                    raise SystemExit("and without it there are no images to hold the others against") from None
                continue
            ready.append(one)
            layouts[entrant.name] = one.layout
            result.add(one)
            result.differences[entrant.title] = agree(course, one)
        for turn in range(arguments.rounds):
            say(f"{title(course.generator)}: round {turn + 1} of {arguments.rounds}")
            # There and back, so that nobody always follows the same neighbour.
            for one in ready if turn % 2 == 0 else reversed(ready):
                done = one.turn(course.time, arguments.seconds)
                result.rounds[one.entrant.title].append(done.rate)
                result.others[one.entrant.title].append(done.others)
        for one in ready:
            if one.entrant.ours:
                say(f"{title(course.generator)}: the ceiling of {one.entrant.title}")
                result.ceilings[one.entrant.title] = one.ask({"ceiling": arguments.seconds})
    finally:
        for one in ready:
            one.process.close()
    return result


if __name__ == "__main__":
    sys.exit(main())
