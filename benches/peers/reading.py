"""Reading images from disk: genset against the libraries that one would use instead.

    pip install --require-hashes -r benches/peers/requirements-reading.txt
    python benches/peers/reading.py --markdown --json reading.json --plot reading.svg
    python benches/peers/reading.py --only 32 --orders sequential --against memmap ffcv-raw

Everyone delivers the same: batches of 256 u8 images with their labels, out of files
that hold the same pixels or the same JPEG files (`collection.py`), which are in
memory, so that no disk is measured. A library reads the format that is its own; each
is written once, to `--folder`. Sequentially and shuffled are measured apart, and
everyone's next batch is looked at first: every image must be one of the collection,
with its label, pixel by pixel where nothing was lost, and else as near as decoders of
JPEG are to one another; shuffled, neighbours in the files must not be neighbours.

A contender runs as its users would run it (`readers/`), with as many workers as
there are cores, with one, or in the process itself, whichever is fastest for
`--trial` seconds, and shuffled the same. Then all take turns, for `--rounds` rounds
of about `--seconds` each; who is not at its turn is stopped. The tables have medians
over the rounds, and ratios round by round. On a machine that does other things,
`--clock cpu` divides by the time that a contender ran, which leaves out waiting for a
core; the table says how much of the cores others took.

*Memory copy* copies batches out of memory, in as many threads: the ceiling for whoever
gives its user a copy. Memory is the most that the processes of a contender had
together while they worked, pages that they share counted once, and mapped pages of the
images' files, which the system can take back, not at all.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from collection import COLLECTIONS, Collection, Originals, new
from command import add_options, parsed, say, write
from likeness import Likeness
from machine import ROOT, build_example, last_cores
from processes import Absent, last_words
from readers import READERS, STORES
from reading_results import Result, as_json, as_markdown, as_text
from reading_teams import ORDERS, OURS, Contender, Course, Ready, ours, peer, prepare

HERE = Path(__file__).parent


def main() -> None:
    arguments = parse()
    # Told to end, it ends its contenders too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    example = None
    if arguments.genset:
        example = arguments.ours or build_example("read_throughput")
    contenders = [ours(name) for name in arguments.genset] + [peer(name) for name in arguments.against]
    folder, results = arguments.folder.resolve(), []
    for name in arguments.only:
        collection = COLLECTIONS[name]
        originals = Originals(collection, folder)
        entered = [one for one in contenders if one.reads(collection)]
        missing = make(collection, folder, example, entered)
        likeness, fastest = Likeness(originals), {}
        for order in arguments.orders:
            with tempfile.TemporaryDirectory() as scratch:
                cores = last_cores(arguments.cores)
                course = Course(collection, folder, Path(scratch), example, cores, arguments.clock, order == "shuffled")
                result = measure(course, entered, missing, likeness, fastest, arguments)
            results.append(result)
            print(as_text(result), flush=True)
    said = ("cores", "clock", "rounds", "seconds", "trial")
    write(arguments, said, results, as_markdown, as_json)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=COLLECTIONS, default=list(COLLECTIONS), metavar="COLLECTION")
    parser.add_argument("--orders", nargs="+", choices=ORDERS, default=list(ORDERS))
    parser.add_argument("--genset", nargs="*", choices=OURS, default=list(OURS), metavar="READER", help="default: all")
    parser.add_argument("--against", nargs="*", choices=READERS, default=list(READERS), help="default: all")
    parser.add_argument("--folder", type=Path, default=ROOT / "target" / "peers" / "reading", help="to keep files in")
    add_options(parser, seconds=1.0)
    arguments = parsed(parser)
    return arguments


def make(collection: Collection, folder: Path, example: Path | None, contenders: list[Contender]) -> dict[str, str]:
    """Writes the files of all contenders, unless they are there; gives why stores are missing.

    A library writes in a process of its own, as it takes much memory."""
    missing: dict[str, str] = {}
    # What images are held against.
    wanted = ["jpeg", *(one.store for one in contenders)]
    for store in dict.fromkeys([*(first for name in wanted for first in before(name)), *wanted]):
        place = folder / collection.name / store
        if place.exists():
            continue
        say(f"{collection.title}: writing {store}")
        try:
            if store in STORES or store == "raw":
                run([sys.executable, HERE / "collection.py", collection.name, store, "-o", folder])
            else:
                with new(place) as part:
                    run([example, place.with_name("png"), "--size", collection.size, "--shards", part])
        except Absent as why:
            missing[store] = str(why)
    return missing


def run(command: list[object]) -> None:
    """Raises `Absent` with what it said last if it fails."""
    done = subprocess.run([str(word) for word in command], stdout=sys.stderr, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Absent(last_words(done.stderr))


def before(store: str) -> tuple[str, ...]:
    """What it is made of, besides raw pixels; genset's shards are made of the folder of PNG files."""
    if store == "raw":
        return ()
    return STORES[store].after if store in STORES else ("png",)


def measure(
    course: Course,
    contenders: list[Contender],
    missing: dict[str, str],
    likeness: Likeness,
    fastest: dict[str, int],
    arguments: argparse.Namespace,
) -> Result:
    """All contenders with one collection, in turn. `fastest`: workers, kept from order to order."""
    result = Result(course.collection.name, course.order)
    name = f"{course.collection.title}, {course.order}"
    ready: list[Ready] = []
    try:
        for contender in contenders:
            say(f"{name}: {contender.title}")
            try:
                if contender.store in missing:
                    raise Absent(missing[contender.store])
                one = prepare(course, contender, fastest.get(contender.name), arguments.trial)
            except Absent as why:
                result.absent[contender.title] = str(why)
                say(f"  absent: {why}")
                continue
            ready.append(one)
            fastest[contender.name] = one.workers
            result.add(one, likeness.check(course, one))
        for turn in range(arguments.rounds):
            say(f"{name}: round {turn + 1} of {arguments.rounds}")
            # There and back, so that nobody always follows the same neighbour.
            for one in ready if turn % 2 == 0 else reversed(ready):
                result.turns[one.contender.title].append(one.turn(course.time, arguments.seconds))
    finally:
        for one in ready:
            one.process.close()
    return result


if __name__ == "__main__":
    sys.exit(main())
