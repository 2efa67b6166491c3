"""That every contender does all of the pipeline: a contact sheet to look at, and statistics over
many views that must agree.

A pipeline that left an operation out, or drew from another distribution, would
differ in one of them: how bright views are and how much that varies (brightness),
their contrast and how that varies, their colourfulness, how many are grey, and
how much finest detail they have (blur, and the size of crops).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from contenders import PEERS
from machine import last_cores
from pictures import dead_leaves
from processes import Absent
from task import IMAGES, Task
from teams import Team, title, whole

sys.path.append(str(Path(__file__).parents[2] / "onnx"))
from sheet import grid, write_png

REFERENCE = "torchvision"
BATCHES = 16
SHOWN = 6  # samples
TOLERANCE = 0.08
"""Relative to the reference: what 2,048 views leave to chance, and different roundings."""


def check(names: list[str], sizes: list[int], ours: Path | None, folder: Path, sheet: Path) -> None:
    """Draws the sheet, prints the statistics, and fails if whole contenders disagree."""
    failures = []
    for size in sizes:
        task = Task(size)
        images = dead_leaves(IMAGES, size, task.channels, seed=0)
        path = folder / f"{size}.u8"
        images.tofile(path)
        cores = last_cores(1)
        found: dict[str, dict[str, float]] = {}
        shown = [images[:SHOWN, None].repeat(2, 1)]
        for name in sorted(names, key=lambda name: name != REFERENCE):
            try:
                with Team(name, task, path, cores, ours, folder / f"{name}-{size}.log") as team:
                    views = team.views(BATCHES, folder / "views.f32")
            except Absent as why:
                print(f"{size:4} {title(name):28} absent: {why}")
                continue
            pixels = intensities(views, task)
            found[name] = statistics(pixels)
            shown.append(np.rint(255 * pixels[:SHOWN]).astype(np.uint8).transpose(0, 1, 3, 4, 2))
            wrong = differences(found[name], found.get(REFERENCE, found[name])) if whole(name) else []
            failures += [f"{size}: {title(name)}: {what}" for what in wrong]
            values = "  ".join(f"{key} {value:.3f}" for key, value in found[name].items())
            print(f"{size:4} {title(name):28} {values}" + ("" if whole(name) else f"  [{PEERS[name].note}]"))
        rows = np.stack(shown, 1).reshape(-1, *images.shape[1:])
        target = sheet.with_stem(f"{sheet.stem}-{size}") if len(sizes) > 1 else sheet
        columns = 2 * len(shown)
        write_png(target, grid(rows if task.channels == 3 else rows[..., 0], columns, max(1, 96 // size)))
        print(f"     {target}: images, then {', '.join(title(name) for name in found)}")
    if failures:
        raise SystemExit("not the same pipeline:\n  " + "\n  ".join(failures))


def intensities(views: np.ndarray, task: Task) -> np.ndarray:
    """Normalisation undone."""
    mean, std = (np.array(values, np.float32).reshape(-1, 1, 1) for values in (task.mean, task.std))
    pixels = views * std + mean
    if not np.isfinite(pixels).all() or pixels.min() < -0.01 or pixels.max() > 1.01:
        raise SystemExit(f"intensities between {pixels.min()} and {pixels.max()}")
    return pixels.clip(0, 1)


def statistics(views: np.ndarray) -> dict[str, float]:
    """Of views `[N, V, C, H, W]` in `[0, 1]`."""
    flat = views.reshape(-1, *views.shape[2:])
    bright, spread = flat.mean((1, 2, 3)), flat.std((2, 3)).mean(1)
    detail = np.abs(np.diff(flat, axis=3)).mean((1, 2, 3))
    same = np.abs(views[:, 0] - views[:, 1]).mean((1, 2, 3))
    values = {
        "brightness": bright.mean(),
        "±": bright.std(),
        "contrast": spread.mean(),
        "± ": spread.std(),
        "detail": detail.mean(),
        "±  ": detail.std(),
        "between views": same.mean(),
    }
    if views.shape[2] == 3:
        colour = flat.max(1) - flat.min(1)
        grey = colour.max((1, 2)) < 0.02
        values |= {"grey": grey.mean(), "colour": colour.mean((1, 2))[~grey].mean()}
    return {key: float(value) for key, value in values.items()}


def differences(found: dict[str, float], wanted: dict[str, float]) -> list[str]:
    """What is further from the reference than chance and rounding explain."""
    return [
        f"{key} is {found[key]:.3f}, not {wanted[key]:.3f}"
        for key in wanted
        # A share of 2,048 views has a deviation of its own.
        if abs(found[key] - wanted[key]) > (0.04 if key == "grey" else TOLERANCE * wanted[key])
    ]
