"""Measures of a set of generated images against a real one, on plain arrays.

Everything here takes points `[N, D]` (pixels or features) and knows no model.
"""

from __future__ import annotations

import numpy as np

NEIGHBOURS = 5


def squared_distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances `[N, M]` of points `[N, D]` and `[M, D]`."""
    left, right = left.astype(np.float32), right.astype(np.float32)
    products = left @ right.T
    return np.maximum((left**2).sum(1)[:, None] + (right**2).sum(1)[None] - 2 * products, 0)


def mean_pairwise_distance(points: np.ndarray) -> float:
    """Mean distance of two different points of `[N, D]`."""
    count = len(points)
    return float(np.sqrt(squared_distances(points, points)).sum() / (count * (count - 1)))


def coverage(real: np.ndarray, made: np.ndarray, neighbours: int = NEIGHBOURS) -> float:
    """Share of real points that have a made one no farther than their own k-th real neighbour.

    Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative
    Models", 2020. A generator that leaves a region out loses that region's share.
    """
    return float((squared_distances(real, made).min(1) <= _radii(real, neighbours)).mean())


def density(real: np.ndarray, made: np.ndarray, neighbours: int = NEIGHBOURS) -> float:
    """Mean number of real balls, in units of k, that a made point lies in (same paper).

    About 1 when the made points lie where the real ones do, less when they stray.
    """
    inside = squared_distances(real, made) <= _radii(real, neighbours)[:, None]
    return float(inside.sum(0).mean() / neighbours)


def _radii(points: np.ndarray, neighbours: int) -> np.ndarray:
    """Squared distance of each point to its k-th neighbour, itself not counted."""
    return np.partition(squared_distances(points, points), neighbours, axis=1)[:, neighbours]


def nearest_distances(points: np.ndarray, among: np.ndarray, chunk: int = 10_000) -> np.ndarray:
    """Distance `[N]` of each of `points` to the nearest of `among`."""
    parts = [squared_distances(points, among[at : at + chunk]).min(1) for at in range(0, len(among), chunk)]
    return np.sqrt(np.min(parts, axis=0))


def memorisation(made: np.ndarray, unseen: np.ndarray) -> dict[str, float]:
    """Compares distances to the training set of made images and of unseen real ones.

    `closer_than_1_percent` is the share of made images closer to a training image
    than 99 % of unseen real ones are: about 0.01 without copying, near 1 with.
    """
    threshold = float(np.quantile(unseen, 0.01))
    return {
        "generated_median": float(np.median(made)),
        "test_median": float(np.median(unseen)),
        "generated_1_percent": float(np.quantile(made, 0.01)),
        "test_1_percent": threshold,
        "closer_than_1_percent": float((made < threshold).mean()),
    }
