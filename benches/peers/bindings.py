"""What Python costs, and what one line gains: genset's Python package against its Rust loader, and
against the same generator in a plain PyTorch dataset.

    pip install --require-hashes -r benches/peers/requirements-throughput.txt
    pip install ./bindings/python
    python benches/peers/bindings.py --markdown --json bindings.json

Everyone delivers batches of u8 images `[B, 2, C, H, W]` with labels, out of the same ONNX file, on the CPU
provider of the same ONNX Runtime, unless it says otherwise; genset with its defaults, so with the edits of the
graph that go by rule, or that `genset tune` stored here:

- *Rust*: genset's loader, as a Rust program takes batches from it;
- *numpy*, *torch*: `genset.Loader` in that format, every array of every batch made;
- *stream*: `DataLoader(genset.torch.IterableDataset(..., batch_size=B), batch_size=None)`;
- *samples, N workers*: `DataLoader(genset.torch.IterableDataset(...), batch_size=B)`: samples that PyTorch
  collates, as it does those of a folder;
- *by index*: `DataLoader(genset.torch.Dataset(...), batch_size=B, shuffle=True)`: the line that replaces
  `ImageFolder`, with all else as it was;
- *stream, openvino*: the same on the OpenVINO provider, `genset.torch.IterableDataset(..., provider="openvino")`;
  *bf16*: with `generator={"precision": "bf16"}`, which is another dataset, as its images are not to a rounding
  those of f32;
- *plain*: an `IterableDataset` that draws latents and runs the ONNX file itself, in a DataLoader.

Those with a DataLoader are tried without workers and with one a core, for `--trial` seconds each, and the
faster is measured. All take turns for `--rounds` rounds; who is not at its turn is stopped. The table has
medians, and ratios round by round.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from command import add_options, parsed, say, write
from generators import BUILT_IN, GENERATORS, VIEWS, model, recipe, title
from machine import ROOT, build_example, hardware, last_cores
from processes import Process
from throughput import make
from turns import Clock, Standby, Turn

HERE = Path(__file__).parent
RUST, PLAIN = "Rust", "plain"
KINDS = {
    "numpy": False,
    "torch": False,
    "stream": True,
    "stream, openvino": True,
    "stream, openvino bf16": True,
    "samples": True,
    "by index": True,
    PLAIN: True,
}
"""Contenders in Python, and whether they have a DataLoader."""


@dataclass
class Result:
    generator: str
    settings: dict[str, str] = field(default_factory=dict)
    rounds: dict[str, list[float]] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=GENERATORS, default=[*BUILT_IN, "face"], metavar="GENERATOR")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND")
    parser.add_argument("--models", type=Path, default=ROOT / "target" / "peers", help="folder to keep generators in")
    add_options(parser, seconds=2.0)
    arguments = parsed(parser)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    example = arguments.ours or build_example("stream_throughput")
    arguments.models.mkdir(parents=True, exist_ok=True)
    results = []
    for generator in arguments.only:
        make(generator, arguments.models)
        with tempfile.TemporaryDirectory() as scratch:
            results.append(measure(generator, example, Path(scratch), arguments))
        print(as_text(results[-1]), flush=True)
    said = ("cores", "clock", "rounds", "seconds", "trial")
    write(arguments, said, results, lambda all: "\n\n".join(map(as_text, all)), as_json)


def measure(generator: str, example: Path, scratch: Path, arguments: argparse.Namespace) -> Result:
    cores = last_cores(arguments.cores)
    batch = GENERATORS[generator].batch
    clock = Clock(cores, arguments.clock, batch * VIEWS)
    file = recipe(generator, arguments.models)

    def start(kind: str, workers: int) -> Process:
        command: list[object] = [sys.executable, HERE / "bindings_worker.py", kind, "--recipe", file]
        command += ["--generator", generator, "--folder", arguments.models, "--workers", workers]
        if kind == RUST:
            command = [example, file, "--provider", "cpu", "--batch", batch]
            command += ["--workers", len(cores), "--threads", 1]
        process = Process(command, cores, scratch / f"{kind}.log".replace(" ", "-"), {})
        process.answer()
        return process

    result, ready = Result(generator), {}
    try:
        for kind in [RUST, *arguments.kinds]:
            say(f"{title(generator)}: {kind}")
            tried = {}
            for workers in (0, len(cores)) if KINDS.get(kind) else (0,):
                process = start(kind, workers)
                tried[workers] = Turn.of(process, clock, arguments.trial).rate, process
                process.stop()
            best = max(tried, key=lambda workers: tried[workers][0])
            for workers, (_, process) in tried.items():
                if workers != best:
                    process.close()
            ready[kind] = Standby(tried[best][1])
            result.settings[kind] = f"{best} workers" if KINDS.get(kind) else f"{len(cores)} sessions"
        for turn in range(arguments.rounds):
            say(f"{title(generator)}: round {turn + 1} of {arguments.rounds}")
            for kind in list(ready) if turn % 2 == 0 else list(reversed(ready)):
                rate = ready[kind].turn(clock, arguments.seconds).rate
                result.rounds.setdefault(kind, []).append(rate)
    finally:
        for standby in ready.values():
            standby.process.close()
    return result


def ratio(result: Result, kind: str, to: str) -> str:
    pairs = zip(result.rounds[kind], result.rounds[to], strict=True)
    return f"{statistics.median(one / other for one, other in pairs):.3f}"


def as_text(result: Result) -> str:
    lines = [f"**{title(result.generator)}**", "", "| | images/s | of Rust's | of plain |", "|---|---|---|---|"]
    for kind, rates in result.rounds.items():
        plain = ratio(result, kind, PLAIN) if PLAIN in result.rounds else ""
        name = f"{kind}, {result.settings[kind]}"
        lines.append(f"| {name} | {statistics.median(rates):,.0f} | {ratio(result, kind, RUST)} | {plain} |")
    return "\n".join(lines)


def as_json(results: list[Result], settings: dict[str, object]) -> dict[str, object]:
    rounds = {result.generator: {"settings": result.settings, "rounds": result.rounds} for result in results}
    return {"hardware": hardware(), "settings": settings, "images_per_second": rounds}


if __name__ == "__main__":
    sys.exit(main())
