"""Writes docs/results.md and its plots from what results.py found: no number is typed by hand."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

import plots
from settings import DATASETS, SHARE, STD, STDS, UNIQUE, settings

NAMES = {"digits": "MNIST", "fashion": "Fashion-MNIST"}
MAIN = ("pixel", "latent", "both", "steered", "mixed", "real")


@dataclass(frozen=True)
class Spread:
    """Accuracies of several seeds, in percent."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.mean(self.values)

    def __str__(self) -> str:
        if len(self.values) == 1:
            return f"{self.mean:.2f}"
        return f"{self.mean:.2f} ± {statistics.stdev(self.values):.2f}"


def of(document: dict, dataset: str, setting: str, probe: str = "linear") -> Spread | None:
    """What the seeds of a setting gave, where there are any."""
    runs = document["runs"]
    keys = [key for key in runs if key.startswith(f"{dataset}/{setting}/")]
    return Spread(tuple(100 * runs[key][probe] for key in keys)) if keys else None


def write(document: dict, docs: Path) -> None:
    deviations = {
        dataset: curve(document, dataset, [(0.0, "pixel"), (STD, "both"), *((s, f"std-{s}") for s in STDS)])
        for dataset in DATASETS
    }
    counts = {
        dataset: curve(document, dataset, [*((n, f"unique-{n}") for n in UNIQUE), (plots.ENDLESS, "both")])
        for dataset in DATASETS
    }
    main = {dataset: {setting: of(document, dataset, setting) for setting in MAIN} for dataset in DATASETS}
    titles = {setting.name: setting.title for setting in settings(DATASETS[0], "real")}
    plots.main(main, titles, NAMES, docs / "images" / "results.svg")
    plots.curves(deviations, NAMES, "deviation of latent neighbours", docs / "images" / "results-std.svg")
    plots.curves(counts, NAMES, "unique samples", docs / "images" / "results-unique.svg", endless=True)
    seeds = {len(found.values) for by in main.values() for found in by.values() if found}
    text = [
        "# What is learnt from generated images\n",
        "This page is written by `python benches/results/results.py --jobs 2` from [results.json](results.json), "
        "which it fills; every number on it is from there.\n",
        f"An encoder (`genset encoder {document['encoder']}`) learns without labels by `genset "
        f"train`: NT-Xent, {document['steps']} steps of {document['batch']} samples of two views, all defaults, the same "
        f"for every setting. Then its features are fixed, and `genset probe` learns the classes from "
        f"{document['probe_images']:,} *real* training images and tells the 10,000 real test images. Numbers are percent "
        f"of those, mean ± standard deviation of {' to '.join(map(str, sorted({min(seeds), max(seeds)})))} seeds; a seed "
        "draws the data, the encoder's first parameters and the head.\n",
        "![accuracy by what was learnt from](images/results.svg)\n",
    ]
    for dataset in DATASETS:
        text.append(table(document, dataset, titles))
    text.append(gap(document))
    text.append("## How far latent neighbours should be\n")
    text.append(
        f'Latent and pixel views; 0 is pixel views alone. A recipe says `{{ op = "gaussian", std = {STD} }}`.\n'
    )
    text.append("![accuracy against the deviation](images/results-std.svg)\n")
    text.append(curve_table(deviations, "std", lambda at: f"{at:g}"))
    text.append("## How many samples it takes\n")
    text.append(
        f"Latent (std {STD}) and pixel views of a fixed number of samples, drawn anew in every epoch; equal steps.\n"
    )
    text.append("![accuracy against the number of samples](images/results-unique.svg)\n")
    text.append(curve_table(counts, "samples", lambda at: "endless" if at == plots.ENDLESS else f"{at:,}"))
    text.append("## The settings\n")
    text.append(SETTINGS.format(share=100 * SHARE))
    (docs / "results.md").write_text("\n".join(text))


SETTINGS = """Pixel views of digits: random resized crop (0.4 to 1 of the area), turned and leaned by up to 10 degrees,
brightness and contrast by 0.4, blur. Of clothes: the same, mirrored in place of turned. *Steered* moves the latent along
all directions that `genset directions` finds, each by -1.5 to 1.5. *Half real* takes {share:.0f} % of the samples from the real
training images, by `[mix]`; a real image has pixel views only. [`settings.py`](../benches/results/settings.py) has the
recipes.
"""


def curve(document: dict, dataset: str, places: list[tuple[float, str]]) -> list[tuple[float, Spread]]:
    found = [(at, of(document, dataset, setting)) for at, setting in places]
    return sorted(((at, spread) for at, spread in found if spread), key=lambda pair: pair[0])


def table(document: dict, dataset: str, titles: dict[str, str]) -> str:
    lines = [f"## {NAMES[dataset]}\n", "| learnt from | linear | nearest neighbours |", "|---|---|---|"]
    for setting in MAIN:
        linear, knn = (of(document, dataset, setting, probe) for probe in ("linear", "knn"))
        if linear:
            lines.append(f"| {titles[setting]} | {linear} | {knn} |")
    for name, found in document["baselines"][dataset].items():
        lines.append(f"| *{name}* | {100 * found['linear']:.2f} | {100 * found['knn']:.2f} |")
    return "\n".join(lines) + "\n"


def gap(document: dict) -> str:
    """The best of generated views against real images, seed by seed."""
    lines = []
    for dataset in DATASETS:
        real = of(document, dataset, "real")
        made = {setting: of(document, dataset, setting) for setting in MAIN[:4]}
        made = {setting: found for setting, found in made.items() if found}
        if not real or not made:
            continue
        best = max(made, key=lambda setting: made[setting].mean)
        difference = made[best].mean - real.mean
        lines.append(
            f"- {NAMES[dataset]}: generated views alone ({best}) come to {made[best]}, real images with pixel views to {real}: "
            f"{abs(difference):.2f} points {'more' if difference > 0 else 'less'}."
        )
    return "## Generated against real\n\n" + "\n".join(lines) + "\n"


def curve_table(curves: dict[str, list[tuple[float, Spread]]], head: str, label) -> str:
    places = sorted({at for found in curves.values() for at, _ in found})
    lines = [f"| {head} | " + " | ".join(NAMES[dataset] for dataset in curves) + " |", "|---|" + "---|" * len(curves)]
    for at in places:
        cells = [str(dict(found).get(at, "")) for found in curves.values()]
        lines.append(f"| {label(at)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
