"""The quality script on generators whose quality is known."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import classifiers  # noqa: E402
import quality  # noqa: E402
from data import Split  # noqa: E402
from generator import equal_shares, to_u8  # noqa: E402

RANDOM = np.random.default_rng(0)


def blobs(count, seed):
    """Easy images: a bright square whose place is the class, over noise."""
    random = np.random.default_rng(seed)
    labels = equal_shares(count)
    images = random.integers(0, 100, (count, 28, 28)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 4)
        image[row * 9 : row * 9 + 6, column * 7 : column * 7 + 6] += 120
    return Split(images, labels)


class Replay:
    """Stands for a generator: gives images of a split by label."""

    def __init__(self, split, wrong=False):
        self.split, self.wrong = split, wrong

    def images(self, labels, seed):
        random = np.random.default_rng(seed)
        wanted = (labels + 1) % 10 if self.wrong else labels
        return np.stack([self.split.images[random.choice(np.flatnonzero(self.split.labels == x))] for x in wanted])


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(quality, "IMAGES", 600)
    monkeypatch.setattr(quality, "PER_CLASS", 40)
    monkeypatch.setattr(quality, "NEAREST", 100)
    monkeypatch.setattr(classifiers, "EPOCHS", 6)
    monkeypatch.setattr(classifiers, "BATCH", 32)
    monkeypatch.setattr(classifiers, "SEEDS", (0,))


REAL, TEST, FRESH = blobs(2000, 1), blobs(600, 2), blobs(2000, 3)


@pytest.mark.parametrize("kind", sorted(classifiers.CLASSIFIERS))
def test_classifier_learns_and_is_repeatable(kind, small):
    first, second = (classifiers.train(kind, REAL.images[:600], REAL.labels[:600], seed=4) for _ in range(2))
    assert classifiers.accuracy(first, TEST.images, TEST.labels) > 95
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_accuracy_counts():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    network[1].weight.data.zero_()
    network[1].bias.data[:] = torch.eye(10)[3]
    assert classifiers.accuracy(network, np.zeros((8, 28, 28), np.uint8), np.array([3, 3, 1, 1, 1, 1, 1, 1])) == 25


def test_good_generator_has_no_gap(small):
    figures = quality.accuracies(Replay(FRESH), REAL, TEST)
    assert set(figures) == {"mlp", "cnn"}
    for entry in figures.values():
        assert abs(entry["gap"]) < 3
        assert entry["label_agreement"] > 95


def test_wrong_labels_are_a_large_gap(small):
    for entry in quality.accuracies(Replay(FRESH, wrong=True), REAL, TEST).values():
        assert entry["gap"] > 80
        assert entry["label_agreement"] < 10


def test_repetition_shows_in_diversity(small):
    varied = quality.diversity(Replay(FRESH), REAL, TEST)["mean"]
    few = Split(FRESH.images[:10], FRESH.labels[:10])  # one image a class
    repeated = quality.diversity(Replay(few), REAL, TEST)["mean"]
    assert varied["distance_ratio"] == pytest.approx(1, abs=0.05)
    assert repeated["distance_ratio"] < 0.01
    assert repeated["coverage"] < 0.5 * varied["coverage"]


def test_copies_show_in_novelty(small):
    assert quality.novelty(Replay(REAL), REAL, TEST)["closer_than_1_percent"] == 1
    assert quality.novelty(Replay(FRESH), REAL, TEST)["closer_than_1_percent"] < 0.2


def test_pixels_round_to_the_nearest():
    assert to_u8(np.array([-1.0, 1.0, 0.0, -1.2, 1.2, -1 + 1.4 / 127.5])).tolist() == [0, 255, 128, 0, 255, 1]


def test_rounding_reaches_every_float():
    assert quality.rounded({"a": [1.23456, {"b": 2}]}) == {"a": [1.2346, {"b": 2}]}
