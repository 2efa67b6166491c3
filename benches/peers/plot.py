"""Draws what throughput.py found.

    python benches/peers/plot.py throughput.json -o docs/images/throughput.svg

A panel for each generator, a bar for each contender, each panel on a scale of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

COLOURS = {"genset": "#c2410c", "ONNX Runtime": "#64748b", "PyTorch f32": "#a8b3c4", "PyTorch bf16": "#8b9bb0"}
COLUMNS = 2
WIDTH, BAR = 4.6, 0.24  # inches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="what throughput.py --json wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="SVG")
    arguments = parser.parse_args()
    draw(json.loads(arguments.results.read_text()), arguments.output)


def draw(document: dict, path: Path) -> None:
    # The same figures give the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "genset", "font.size": 8, "font.family": "sans-serif"})
    generators = document["generators"]
    columns = min(COLUMNS, len(generators))
    rows = -(-len(generators) // columns)
    most = max(len(generator["contenders"]) for generator in generators)
    size = (columns * WIDTH, rows * (BAR * most + 0.6))
    figure, panels = pyplot.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for panel in panels.flat[len(generators) :]:
        panel.axis("off")
    for panel, generator in zip(panels.flat, generators, strict=False):
        _panel(panel, generator)
    figure.suptitle(f"images/s delivered, {document['cores']} cores, {document['hardware']['cpu']}")
    figure.savefig(path, metadata={"Date": None})


def _panel(panel: pyplot.Axes, generator: dict) -> None:
    contenders = generator["contenders"]
    rates = [contender["images_per_second"]["median"] for contender in contenders.values()]
    colours = [COLOURS[contender["group"]] for contender in contenders.values()]
    bars = panel.barh(list(contenders), rates, color=colours)
    panel.bar_label(bars, [f"{rate:,.0f}" for rate in rates], padding=3)
    panel.invert_yaxis()
    panel.set_xlim(0, 1.18 * max(rates))
    panel.xaxis.set_visible(False)
    panel.spines[["top", "right", "bottom"]].set_visible(False)
    panel.tick_params(left=False)
    channels, height, width = generator["image"]
    panel.set_title(f"{generator['generator']}, {height}×{width}×{channels}", loc="left", fontweight="bold")


if __name__ == "__main__":
    sys.exit(main())
