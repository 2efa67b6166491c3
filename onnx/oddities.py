"""Writes small, odd and faulty ONNX generators for tests.

    python onnx/oddities.py -o DIR

Every entry of `ODDITIES` makes one file `NAME.onnx`; its docstring says what it
is. The weights are random with fixed seeds, so the files are the same bytes
every time. No PyTorch is needed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

# Importing them fills the table, in this order.
import oddities_good  # noqa: F401  isort: skip
import oddities_faulty  # noqa: F401  isort: skip
from oddities_table import ODDITIES, Oddity


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for entry in ODDITIES:
        write(entry, folder)
    (folder / "README.md").write_text(readme())


def write(entry: Oddity, folder: Path) -> Path:
    """Writes one oddity, and the files it refers to, into `folder`."""
    path = folder / f"{entry.name}.onnx"
    made = entry.make()
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString(deterministic=True))
    for name, content in entry.beside.items():
        (folder / name).write_bytes(content)
    return path


def readme() -> str:
    """The table of all files, as Markdown."""
    lines = [
        "# Odd generators",
        "",
        "Made by `python onnx/oddities.py -o tests/models`; do not edit. *good*: sound, must",
        "stream; *faulty*: loads, must be reported; *hostile*: must be refused before it is",
        "run or memory is set aside.",
        "",
        "| file | group | what it is |",
        "|---|---|---|",
    ]
    lines += [f"| `{entry.name}.onnx` | {entry.group} | {entry.summary} |" for entry in ODDITIES]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
