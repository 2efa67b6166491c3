"""Contrastive training steps: genset against PyTorch, the same encoder, batch and loss.

    pip install --require-hashes -r benches/peers/requirements-throughput.txt
    python benches/peers/training.py --rounds 5 --seconds 10 --markdown

Everyone trains the same encoder with the same head by SGD with momentum on `--batch` samples of
two views, 32 x 32 x 3, by NT-Xent. PyTorch has its images in memory before it begins; genset
generates its own beside the steps (`builtin:digits`, resized), and the time that a step waited for
them is told. All take turns, for `--rounds` rounds of about `--seconds` each; whoever is not at its
turn is stopped. Numbers are medians over the rounds, ratios round by round. On a machine that does
other things, `--clock cpu` divides by the time that a contender ran on its cores.

Memory is the most that a contender had while it worked, the runtime and the framework included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from command import add_options, parsed, say
from machine import build_example, hardware, last_cores
from processes import Absent, Process
from turns import Clock, Standby, Turn, peak_memory

HERE = Path(__file__).parent
ENCODERS = ["resnet-tiny", "resnet18-cifar"]
OURS = {
    "genset": [],
    "genset, standard operators": ["--standard"],
    "genset on OpenVINO": ["--provider", "openvino"],
    "genset on OpenVINO, bf16": ["--provider", "openvino", "--precision", "bf16"],
}
THEIRS = {
    "PyTorch": [],
    "PyTorch, channels last": ["--channels-last"],
    "PyTorch, bf16, channels last": ["--bf16", "--channels-last"],
}
DATA = ['views.pixel=[{op="resize", size=32}]']


@dataclass
class Found:
    """What was measured of one contender."""

    steps: list[float] = field(default_factory=list)
    """Milliseconds a step, by the clock."""
    others: list[float] = field(default_factory=list)
    memory: int = 0
    parameters: int = 0
    versions: dict[str, str] = field(default_factory=dict)


def main() -> None:
    arguments = parse()
    example = arguments.ours or build_example("train_throughput")
    results = {}
    for encoder in arguments.encoder:
        results[encoder] = measure(encoder, example, arguments)
        print(as_table(encoder, results[encoder], arguments), flush=True)
    if arguments.json:
        found = {e: {n: vars(f) for n, f in r.items()} for e, r in results.items()}
        said = {key: getattr(arguments, key) for key in ("batch", "cores", "clock", "rounds", "seconds")}
        arguments.json.write_text(json.dumps({**said, **hardware(), "results": found}, indent=1) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", nargs="+", choices=ENCODERS, default=ENCODERS)
    parser.add_argument("--only", nargs="+", choices=[*OURS, *THEIRS], default=[*OURS, *THEIRS], metavar="CONTENDER")
    parser.add_argument("--batch", type=int, default=64, help="samples, each of two views")
    add_options(parser, 10)
    return parsed(parser)


def measure(encoder: str, example: Path, arguments: argparse.Namespace) -> dict[str, Found]:
    cores = last_cores(arguments.cores)
    clock = Clock(cores, arguments.clock, 0)
    found, standing = {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        try:
            for name in arguments.only:
                log = Path(scratch) / f"{len(found)}.log"
                try:
                    process = Process(command(name, encoder, example, arguments), cores, log, {})
                    ready = process.answer()
                    found[name] = Found(parameters=ready["parameters"], versions=ready["versions"])
                    found[name].memory = peak_memory(process, arguments.trial)
                    process.stop()
                    standing[name] = Standby(process)
                except Absent as absent:
                    found.pop(name, None)
                    say(f"  {name}: {absent}")
            for number in range(arguments.rounds):
                say(f"{encoder}: round {number + 1} of {arguments.rounds}")
                for name, standby in standing.items():
                    turn: Turn = standby.turn(clock, arguments.seconds)
                    found[name].steps.append(1e3 * 2 * arguments.batch / turn.rate)
                    found[name].others.append(turn.others)
        finally:
            for standby in standing.values():
                standby.process.go_on()
                standby.process.close()
    return found


def command(name: str, encoder: str, example: Path, arguments: argparse.Namespace) -> list[object]:
    shared = ["--encoder", encoder, "--batch", arguments.batch, "--threads", arguments.cores]
    if name in OURS:
        data = [word for setting in DATA for word in ("--set", setting)]
        return [example, "builtin:digits", "--channels", 3, *shared, *data, *OURS[name]]
    return [sys.executable, HERE / "training_worker.py", *shared, *THEIRS[name]]


def as_table(encoder: str, found: dict[str, Found], arguments: argparse.Namespace) -> str:
    lines = [
        f"\n{encoder}, {next(iter(found.values())).parameters:,} parameters, batch {2 * arguments.batch} images\n",
        "| | ms a step | by PyTorch's | memory | by PyTorch's | others |",
        "|---|---|---|---|---|---|",
    ]
    peer = found.get("PyTorch")
    for name, one in found.items():
        time, memory = ("", "")
        if peer:
            time = f"{statistics.median(a / b for a, b in zip(one.steps, peer.steps, strict=True)):.2f}"
            memory = f"{one.memory / peer.memory:.2f}"
        others = f"{100 * statistics.median(one.others):.0f} %"
        ms, mib = statistics.median(one.steps), one.memory / 2**20
        lines.append(f"| {name} | {ms:.1f} | {time} | {mib:.0f} MiB | {memory} | {others} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
