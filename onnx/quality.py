"""Measures a shipped generator: is its data as useful, as varied, and new?

    python onnx/quality.py onnx/models/digits.onnx --data digits -o digits.quality.json

Runs the ONNX file in ONNX Runtime, not the PyTorch network. Reports

- accuracy on the real test set of two fixed classifiers trained on 10,000
  generated images, beside the same trained on 10,000 real ones;
- how often a classifier trained on real images agrees with the asked-for class;
- for each class the spread of the images relative to real ones, and coverage and
  density in the features of that classifier, beside those of the real test set;
- distances to the nearest training image, beside those of real test images.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import torch

import classifiers
import data
import measures
from data import CLASSES, Split
from generator import OnnxGenerator, equal_shares

IMAGES = 10_000
PER_CLASS = 800
NEAREST = 2_000


def accuracies(generator: OnnxGenerator, real: Split, test: Split) -> dict:
    """Test accuracy in percent by classifier, trained on generated and on real images."""
    report = {}
    for kind in classifiers.CLASSIFIERS:
        made_scores, real_scores, agreements = [], [], []
        for seed in classifiers.SEEDS:
            labels = equal_shares(IMAGES)
            images = generator.images(labels, seed)
            rows = np.random.default_rng(seed).permutation(len(real.images))[:IMAGES]
            on_made = classifiers.train(kind, images, labels, seed)
            on_real = classifiers.train(kind, real.images[rows], real.labels[rows], seed)
            made_scores.append(classifiers.accuracy(on_made, test.images, test.labels))
            real_scores.append(classifiers.accuracy(on_real, test.images, test.labels))
            agreements.append(classifiers.accuracy(on_real, images, labels))
        report[kind] = {
            "generated": _mean(made_scores),
            "real": _mean(real_scores),
            "gap": _mean(real_scores) - _mean(made_scores),
            "label_agreement": _mean(agreements),
            "seeds": [
                {"seed": seed, "generated": made, "real": true}
                for seed, made, true in zip(classifiers.SEEDS, made_scores, real_scores, strict=True)
            ],
        }
    return report


def diversity(generator: OnnxGenerator, real: Split, test: Split) -> dict:
    """Spread, coverage and density of each class, and their means."""
    rows = np.random.default_rng(0).permutation(len(real.images))[:IMAGES]
    judge = classifiers.train("cnn", real.images[rows], real.labels[rows], classifiers.SEEDS[0])
    classes = []
    for label in range(CLASSES):
        made = generator.images(np.full(PER_CLASS, label), seed=1000 + label)
        true = real.images[real.labels == label][:PER_CLASS]
        unseen = test.images[test.labels == label][:PER_CLASS]
        features = [_features(judge, images) for images in (true, made, unseen)]
        spreads = [measures.mean_pairwise_distance(images.reshape(len(images), -1) / 255) for images in (true, made)]
        classes.append(
            {
                "class": label,
                "distance_ratio": spreads[1] / spreads[0],
                "coverage": measures.coverage(features[0], features[1]),
                "coverage_of_test": measures.coverage(features[0], features[2]),
                "density": measures.density(features[0], features[1]),
                "density_of_test": measures.density(features[0], features[2]),
            }
        )
    means = {key: _mean([entry[key] for entry in classes]) for key in classes[0] if key != "class"}
    return {"images_per_class": PER_CLASS, "neighbours": measures.NEIGHBOURS, "mean": means, "classes": classes}


def novelty(generator: OnnxGenerator, real: Split, test: Split) -> dict:
    """Pixel distance (values in [0, 1]) to the nearest training image, beside the test set's."""
    training = real.images.reshape(len(real.images), -1) / np.float32(255)
    made = generator.images(equal_shares(NEAREST), seed=2000).reshape(NEAREST, -1) / np.float32(255)
    unseen = test.images[:NEAREST].reshape(NEAREST, -1) / np.float32(255)
    distances = [measures.nearest_distances(points, training) for points in (made, unseen)]
    return {"images": NEAREST, **measures.memorisation(*distances)}


@torch.no_grad()
def _features(judge: classifiers.Cnn, images: np.ndarray) -> np.ndarray:
    return judge.features(classifiers.to_tensor(images)).numpy()


def _mean(values: list[float]) -> float:
    return float(np.mean(values))


def measure(path: Path, real: Split, test: Split, threads: int = 1) -> dict:
    """All figures of the generator in `path`."""
    generator = OnnxGenerator(path, threads)
    report = {
        "model": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "training_images": IMAGES,
        "accuracy_percent": accuracies(generator, real, test),
        "diversity": diversity(generator, real, test),
        "nearest_training_image": novelty(generator, real, test),
    }
    return rounded(report)


def rounded(value: object) -> object:
    """The same with every float to four places."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", required=True, choices=sorted(data.SOURCES))
    parser.add_argument("--cache", type=Path, help="folder of downloaded data (default: the user's cache)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, help="JSON file (default: stdout)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    report = json.dumps(measure(options.model, *data.load(options.data, options.cache), options.threads), indent=2)
    if options.output:
        options.output.write_text(report + "\n")
    else:
        print(report)


if __name__ == "__main__":
    main()
