"""What the commands that let contenders take turns have in common: options, and where results go."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path


def add_options(parser: argparse.ArgumentParser, seconds: float) -> None:
    """How contenders take turns, and where what was found goes. `seconds`: the usual round."""
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=seconds, help="that a round of one contender takes")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: leave out what others took")
    parser.add_argument("--trial", type=float, default=0.5, help="seconds for each setting of a contender")
    parser.add_argument("--ours", type=Path, help="the built example; default: cargo builds it")
    parser.add_argument("--json", type=Path, help="write every round, the settings and the hardware here")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="draw it here; plot.py draws a --json file again")
    parser.add_argument("--markdown", action="store_true", help="print everything as Markdown tables")


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments, if they make sense."""
    arguments = parser.parse_args()
    available = len(os.sched_getaffinity(0))
    if not 1 <= arguments.cores <= available:
        parser.error(f"--cores {arguments.cores}, but there are {available}")
    if arguments.rounds < 1:
        parser.error("--rounds 0 measures nothing")
    return arguments


def write(
    arguments: argparse.Namespace,
    said: Iterable[str],
    results: list,
    as_markdown: Callable[[list], str],
    as_json: Callable[[list, dict[str, object]], dict],
) -> None:
    """Puts results where they are wanted. `said` names the arguments that they depend on."""
    if arguments.markdown:
        print("\n" + as_markdown(results))
    found = as_json(results, {key: getattr(arguments, key) for key in said})
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    if arguments.plot:
        import plot

        plot.draw(found, arguments.plot)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
