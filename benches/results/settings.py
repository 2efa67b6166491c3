"""What the results page compares: recipes as text, and which of them belong to which question.

In go the name of a dataset and the folder of its real images; out come settings, each a recipe (TOML)
and how many samples it has. Everything else is equal for all of them: encoder, steps, batch, optimizer.
"""

from __future__ import annotations

from dataclasses import dataclass

DATASETS = ("digits", "fashion")
STD = 0.5
"""The deviation of latent neighbours, where it is not what is varied: that of the shipped recipes."""
STDS = (0.25, 1.0, 1.5, 2.0)
"""Others; 0 is pixel views alone."""
UNIQUE = (128, 1_000, 10_000)
"""Unique samples, from one batch of them on; endless is what all other settings have."""
SHARE = 0.5
"""Of real images in the mixture."""

# What a label-free learner may take for granted: a digit stays the same when it is leaned, no digit when
# it is mirrored; clothes are the other way round.
PIXEL = {
    "digits": """[
    { op = "random-resized-crop", size = 28, scale = [0.4, 1.0] },
    { op = "affine", degrees = 10, shear = 10, filter = "bilinear" },
    { op = "colour-jitter", brightness = 0.4, contrast = 0.4, p = 0.8 },
    { op = "gaussian-blur", kernel = 3, sigma = [0.1, 1.0], p = 0.5 },
]""",
    "fashion": """[
    { op = "random-resized-crop", size = 28, scale = [0.4, 1.0] },
    { op = "flip" },
    { op = "colour-jitter", brightness = 0.4, contrast = 0.4, p = 0.8 },
    { op = "gaussian-blur", kernel = 3, sigma = [0.1, 1.0], p = 0.5 },
]""",
}
DIRECTIONS = "directions.safetensors"
"""What `genset directions` wrote, beside the recipes."""


@dataclass(frozen=True)
class Setting:
    """A way to make views, and its recipe."""

    name: str
    """As in the list of all results; no blanks."""
    title: str
    """As on the page."""
    recipe: str


def settings(dataset: str, real: str) -> list[Setting]:
    """All of a dataset, those first that the page needs most. `real` is a file beside the recipes, with the real
    training images."""
    pixel = f"pixel = {PIXEL[dataset]}\n"
    neighbours = f'latent = [ {{ op = "gaussian", std = {STD} }} ]\n'
    steered = f'latent = [ {{ op = "steer", file = "{DIRECTIONS}", strength = [-1.5, 1.5] }} ]\n'
    stored = f'[mix]\nsource = "{real}"\nratio = {SHARE}\n'
    found = [
        Setting("pixel", "generated, pixel views", _generated(dataset, pixel)),
        Setting("latent", "generated, latent views", _generated(dataset, neighbours)),
        Setting("both", "generated, latent and pixel views", _generated(dataset, neighbours + pixel)),
        Setting("steered", "generated, steered and pixel views", _generated(dataset, steered + pixel)),
        Setting("real", "real, pixel views", f'seed = SEED\n[source]\npath = "{real}"\n[views]\ncount = 2\n{pixel}'),
        Setting(
            "mixed",
            "half real; pixel views, and latent ones where generated",
            _generated(dataset, neighbours + pixel) + stored,
        ),
    ]
    for std in STDS:
        moved = f'latent = [ {{ op = "gaussian", std = {std} }} ]\n'
        found.append(Setting(f"std-{std}", f"latent (std {std}) and pixel views", _generated(dataset, moved + pixel)))
    for count in UNIQUE:
        few = _generated(dataset, neighbours + pixel, count)
        found.append(Setting(f"unique-{count}", f"{count:,} samples, latent and pixel views", few))
    return found


def _generated(dataset: str, views: str, samples: int | None = None) -> str:
    count = '"endless"' if samples is None else samples
    return f'seed = SEED\nsamples = {count}\ngenerator.model = "builtin:{dataset}"\n[views]\ncount = 2\n{views}'
