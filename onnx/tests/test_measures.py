"""The measures on cases whose answer is known."""

import measures
import numpy as np
import pytest

RANDOM = np.random.default_rng(0)
CLOUD = RANDOM.standard_normal((400, 6)).astype(np.float32)
AGAIN = RANDOM.standard_normal((400, 6)).astype(np.float32)


def test_squared_distances_by_hand():
    left, right = np.array([[0, 0], [3, 4]]), np.array([[0, 0], [0, 4]])
    assert measures.squared_distances(left, right) == pytest.approx(np.array([[0, 16], [25, 9]]))


def test_mean_pairwise_distance_by_hand():
    corners = np.array([[0, 0], [3, 0], [3, 4]])
    assert measures.mean_pairwise_distance(corners) == pytest.approx((3 + 4 + 5) / 3)


def test_mean_pairwise_distance_of_copies_is_zero():
    assert measures.mean_pairwise_distance(np.ones((5, 3))) == 0


def test_coverage_and_density_of_the_same_distribution():
    assert measures.coverage(CLOUD, AGAIN) > 0.9
    assert measures.density(CLOUD, AGAIN) == pytest.approx(1, abs=0.15)


def test_coverage_drops_by_what_is_left_out():
    two = np.concatenate([CLOUD, CLOUD + 100])
    assert measures.coverage(two, AGAIN) == pytest.approx(measures.coverage(CLOUD, AGAIN) / 2, abs=0.01)


def test_one_repeated_image_covers_little():
    assert measures.coverage(CLOUD, np.repeat(CLOUD[:1], 400, 0)) < 0.1


def test_density_of_strangers_is_zero():
    assert measures.density(CLOUD, AGAIN + 100) == 0


def test_nearest_distance_is_found_in_any_chunk():
    among = np.arange(25, dtype=np.float32)[:, None]
    points = np.array([[3.25], [24.5], [-2.0]])
    assert measures.nearest_distances(points, among, chunk=4) == pytest.approx([0.25, 0.5, 2])


def test_copies_show_as_memorisation():
    training = RANDOM.standard_normal((2000, 6))
    unseen = measures.nearest_distances(AGAIN, training)
    copies = measures.nearest_distances(training[:300] + 1e-3, training)
    fresh = measures.nearest_distances(RANDOM.standard_normal((400, 6)), training)
    assert measures.memorisation(copies, unseen)["closer_than_1_percent"] > 0.99
    assert measures.memorisation(fresh, unseen)["closer_than_1_percent"] < 0.05
