"""What other people's implementations say of features that are made here: `reference.json`.

    pip install prdc==0.2 vendi-score==0.0.3 scipy==1.17.1 scikit-learn numpy
    python tests/audit/reference.py > tests/audit/reference.json

Precision, recall, density and coverage by `prdc` (Naeem et al., 2020), the Vendi score by
`vendi-score` (Friedman and Dieng, 2023), the Fréchet distance by SciPy's matrix square root,
as `pytorch-fid` has it. The features are uniform numbers out of a hash of their place, which
`src/evaluate/audit/tests.rs` computes too.
"""

import contextlib
import json
import sys

import numpy as np
from prdc import compute_prdc
from scipy import linalg
from vendi_score import vendi

WIDTH = 12
CASES = {"near": (300, 280, 0.1, 0.9), "far": (250, 300, 0.6, 0.5), "narrow": (200, 150, 0.0, 0.2)}


def uniform(place: np.ndarray) -> np.ndarray:
    """In [0, 1), from whole numbers."""
    word = (place.astype(np.uint64) ^ np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)
    return ((word ^ (word >> np.uint64(29))) >> np.uint64(11)).astype(np.float64) / 2.0**53


def features(rows: int, salt: int, shift: float, scale: float) -> np.ndarray:
    """`[rows, 12]` f32; each column is spread more than the one before."""
    place = np.arange(rows * WIDTH, dtype=np.uint64) + np.uint64(salt * 1_000_003)
    spread = scale * (1 + np.arange(WIDTH) / WIDTH)
    return ((uniform(place).reshape(rows, WIDTH) - 0.5) * spread + shift).astype(np.float32)


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(first @ second)
    means = a.mean(0) - b.mean(0)
    return float(means @ means + np.trace(first) + np.trace(second) - 2 * np.trace(root.real))


def measure(real: np.ndarray, made: np.ndarray) -> dict:
    near, far = (compute_prdc(real_features=real, fake_features=made, nearest_k=k) for k in (3, 5))
    centred = made.astype(np.float64) - real.astype(np.float64).mean(0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return {
        "precision": float(near["precision"]),
        "recall": float(near["recall"]),
        "density": float(far["density"]),
        "coverage": float(far["coverage"]),
        "frechet_distance": frechet(real, made),
        "vendi_score": float(vendi.score_dual(unit)),
    }


def main() -> None:
    found = {}
    with contextlib.redirect_stdout(sys.stderr):
        for name, (real, made, shift, scale) in CASES.items():
            values = measure(features(real, 1, 0.0, 1.0), features(made, 2, shift, scale))
            found[name] = {"real": real, "generated": made, "shift": shift, "scale": scale} | values
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
