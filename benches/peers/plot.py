"""Draws what throughput.py or reading.py found.

    python benches/peers/plot.py throughput.json -o docs/images/throughput.svg

A panel for each generator, or each collection and order of reading; a bar for each contender.
Each panel has a scale of its own, by powers of ten where contenders read, as some are hundreds of
times as fast as others.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

COLOURS = {
    "genset": "#c2410c",
    "ONNX Runtime": "#64748b",
    "PyTorch f32": "#a8b3c4",
    "PyTorch bf16": "#8b9bb0",
    "ceiling": "#d6d3d1",
    "raw": "#64748b",
    "JPEG": "#8b9bb0",
    "PNG": "#a8b3c4",
}
COLUMNS = 2
WIDTH, BAR = 4.6, 0.24  # inches
LEAST = 0.5  # of the slowest contender: where a scale by powers of ten begins


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="what --json wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="SVG")
    arguments = parser.parse_args()
    draw(json.loads(arguments.results.read_text()), arguments.output)


def draw(document: dict, path: Path) -> None:
    # The same figures give the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "genset", "font.size": 8, "font.family": "sans-serif"})
    drawn = document.get("generators") or document["readings"]
    columns = min(COLUMNS, len(drawn))
    rows = -(-len(drawn) // columns)
    most = max(len(one["contenders"]) for one in drawn)
    size = (columns * WIDTH, rows * (BAR * most + 0.6))
    figure, panels = pyplot.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for panel in panels.flat[len(drawn) :]:
        panel.axis("off")
    for panel, one in zip(panels.flat, drawn, strict=False):
        _panel(panel, one)
    figure.suptitle(f"images/s delivered, {document['cores']} cores, {document['hardware']['cpu']}")
    figure.savefig(path, metadata={"Date": None})


def _panel(panel: pyplot.Axes, one: dict) -> None:
    contenders = one["contenders"]
    rates = [contender["images_per_second"]["median"] for contender in contenders.values()]
    colours = [COLOURS["genset" if contender.get("ours") else contender["group"]] for contender in contenders.values()]
    bars = panel.barh(list(contenders), rates, color=colours)
    panel.bar_label(bars, [f"{rate:,.0f}" for rate in rates], padding=3)
    panel.invert_yaxis()
    if "order" in one:
        panel.set_xscale("log")
        least = LEAST * min(rates)
        panel.set_xlim(least, max(rates) * (max(rates) / least) ** 0.18)
    else:
        panel.set_xlim(0, 1.18 * max(rates))
    panel.xaxis.set_visible(False)
    panel.spines[["top", "right", "bottom"]].set_visible(False)
    panel.tick_params(left=False)
    panel.set_title(_title(one), loc="left", fontweight="bold")


def _title(one: dict) -> str:
    if "order" in one:
        return one["title"]
    channels, height, width = one["image"]
    return f"{one['generator']}, {height}×{width}×{channels}"


if __name__ == "__main__":
    sys.exit(main())
