"""The plots of docs/results.md: what page.py found, as SVG. The same figures give the same file."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

GENERATED, REAL, MIXED = "#c2410c", "#64748b", "#a8714f"
BOX = {"facecolor": "white", "edgecolor": "none", "pad": 1}
ENDLESS = math.inf
SIZE = (8.0, 2.9)  # inches


def main(found: dict, titles: dict[str, str], names: dict[str, str], path: Path) -> None:
    """A small dot for each seed, a large one at their mean: where numbers are close, bars from zero would hide
    that, and bars from elsewhere would make too much of it."""
    figure, panels = _panels(len(found), sharey=True)
    for panel, (dataset, by_setting) in zip(panels, found.items(), strict=True):
        shown = {setting: spread for setting, spread in by_setting.items() if spread}
        colours = [{"real": REAL, "mixed": MIXED}.get(setting, GENERATED) for setting in shown]
        rows = range(len(shown))
        panel.hlines(rows, 0, 100, color="#e7e5e4", linewidth=0.8, zorder=0)
        panel.scatter([spread.mean for spread in shown.values()], rows, s=45, color=colours, zorder=2)
        for row, spread in zip(rows, shown.values(), strict=True):
            panel.plot(spread.values, [row] * len(spread.values), "o", color="#1c1917", markersize=2, zorder=3)
            panel.annotate(
                f"{spread.mean:.1f}",
                (max(spread.values), row),
                (6, 0),
                textcoords="offset points",
                va="center",
                bbox=BOX,
            )
        least = min(min(spread.values) for spread in shown.values())
        most = max(max(spread.values) for spread in shown.values())
        panel.set_xlim(least - 0.1 * (most - least), most + 0.25 * (most - least))
        panel.set_yticks(list(rows), [titles[setting] for setting in shown])
        panel.set_title(names[dataset], loc="left", fontweight="bold")
        panel.set_xlabel("% of real test images, linear probe")
        panel.tick_params(left=False)
    panels[0].invert_yaxis()
    figure.savefig(path, metadata={"Date": None})


def curves(found: dict, names: dict[str, str], label: str, path: Path, *, endless: bool = False) -> None:
    """A line through the means, a dot for each seed."""
    figure, panels = _panels(len(found))
    for panel, (dataset, curve) in zip(panels, found.items(), strict=True):
        places = [at for at, _ in curve]
        if endless:
            last = 10 * max([at for at in places if at != ENDLESS], default=1)
            places = [last if at == ENDLESS else at for at in places]
            panel.set_xscale("log")
            panel.set_xticks(places, ["endless" if at == ENDLESS else f"{at:,}" for at, _ in curve])
            panel.minorticks_off()
        panel.plot(places, [statistics.mean(spread.values) for _, spread in curve], color=GENERATED)
        for at, (_, spread) in zip(places, curve, strict=True):
            panel.plot([at] * len(spread.values), spread.values, "o", color=GENERATED, markersize=2.5)
        panel.set_title(names[dataset], loc="left", fontweight="bold")
        panel.set_xlabel(label)
    panels[0].set_ylabel("%, linear probe")
    figure.savefig(path, metadata={"Date": None})


def _panels(count: int, **more: object) -> tuple[pyplot.Figure, list[pyplot.Axes]]:
    matplotlib.rcParams.update({"svg.hashsalt": "genset", "font.size": 8, "font.family": "sans-serif"})
    figure, panels = pyplot.subplots(1, count, figsize=SIZE, layout="constrained", squeeze=False, **more)
    for panel in panels.flat:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, list(panels.flat)
