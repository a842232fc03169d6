"""Blocked distances against all distances at once, in float64 and float32."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from gan_jax.errors import UserError
from gan_jax.evaluation.distances import ball_counts, centred, nearest

BLOCKS = (7, 32, 100)


def _points(seed: int, number: int, dimension: int = 5) -> np.ndarray:
    return np.random.RandomState(seed).standard_normal((number, dimension))


def test_nearest_in_one_dimension():
    queries, references = centred(np.array([[0.0], [9.0]]), np.array([[10.0], [1.0], [-2.0]]))
    squared, indices = nearest(queries, references, 2, block=4)
    np.testing.assert_array_equal(squared, [[1, 4], [1, 64]])
    np.testing.assert_array_equal(indices, [[1, 2], [0, 1]])


@pytest.mark.parametrize('block', BLOCKS)
def test_nearest_of_any_block_is_that_of_all_distances(block):
    queries, references = centred(_points(0, 40), _points(1, 65))
    squared, indices = nearest(queries, references, 4, block=block)
    expected = cdist(queries, references, 'sqeuclidean')
    np.testing.assert_array_equal(indices, expected.argsort(axis=1)[:, :4])
    np.testing.assert_allclose(squared, np.sort(expected, axis=1)[:, :4], rtol=1e-12)
    assert squared.dtype == np.float64


def test_an_example_is_not_its_own_neighbour_but_its_copy_is():
    points = _points(2, 30)
    points[20] = points[3]
    points, _ = centred(points, points)
    squared, indices = nearest(points, points, 1, exclude_self=True, block=8)
    assert indices[3, 0] == 20
    assert indices[20, 0] == 3
    assert squared[3, 0] == squared[20, 0] == 0
    others = np.delete(np.arange(30), [3, 20])
    assert (squared[others, 0] > 0).all()
    assert (indices[:, 0] != np.arange(30)).all()


def test_ties_go_to_the_smaller_index_across_blocks():
    references = np.array([[1.0], [-1.0], [1.0], [3.0], [-1.0]])
    assert nearest(np.array([[0.0]]), references, 4, block=2).indices.tolist() == [[0, 1, 2, 4]]


def test_copies_of_long_features_are_at_distance_zero():
    features = 3 + np.abs(np.random.RandomState(0).standard_normal((20, 2048)))
    for dtype in (np.float32, np.float64):
        queries, references = centred(features.astype(dtype), features[::-1].astype(dtype))
        squared, indices = nearest(queries, references, 2, block=32)
        np.testing.assert_array_equal(squared[:, 0], 0)
        np.testing.assert_array_equal(indices[:, 0], np.arange(20)[::-1])
        assert squared[:, 1].min() > 1000


def test_float32_far_from_the_origin_is_that_of_float64():
    first, second = (1000 + _points(seed, 50).astype(np.float32) for seed in (3, 4))
    narrow = nearest(*centred(first, second), 3, block=32)
    exact = cdist(first.astype(np.float64), second.astype(np.float64), 'sqeuclidean')
    assert narrow.squared_distances.dtype == np.float32
    np.testing.assert_array_equal(narrow.indices, exact.argsort(axis=1)[:, :3])
    np.testing.assert_allclose(narrow.squared_distances, np.sort(exact, axis=1)[:, :3], rtol=2e-5)
    raw = nearest(first, second, 3, block=32).squared_distances
    assert np.abs(raw - narrow.squared_distances).max() > 0.1, 'without the centre, the digits are gone'


def test_one_float64_set_makes_both_float64():
    first, second = centred(_points(0, 3), _points(1, 4).astype(np.float32))
    assert first.dtype == second.dtype == np.float64


def test_ball_counts_in_one_dimension():
    points, centres = np.array([[0.0], [2.0], [5.0]]), np.array([[1.0], [4.0]])
    closed = ball_counts(points, centres, np.array([1.0, 4.0]), closed=True, block=2)
    assert closed.balls.tolist() == [1, 2, 1]
    assert closed.points.tolist() == [2, 2]
    opened = ball_counts(points, centres, np.array([1.0, 4.0]), closed=False, block=2)
    assert opened.balls.tolist() == [0, 0, 1]
    assert opened.points.tolist() == [0, 1]


@pytest.mark.parametrize('block', BLOCKS)
def test_ball_counts_of_any_block_are_those_of_all_distances(block):
    points, centres = centred(_points(0, 40), _points(1, 65))
    radii = np.random.RandomState(2).uniform(1, 12, 65)
    inside = cdist(points, centres, 'sqeuclidean') <= radii
    counts = ball_counts(points, centres, radii, closed=True, block=block)
    np.testing.assert_array_equal(counts.balls, inside.sum(axis=1))
    np.testing.assert_array_equal(counts.points, inside.sum(axis=0))


def test_radii_from_nearest_are_ties_for_ball_counts():
    points, _ = centred(_points(5, 60, 33), _points(5, 60, 33))
    radii = nearest(points, points, 3, exclude_self=True, block=16).squared_distances[:, -1]
    assert (ball_counts(points, points, radii, closed=False, block=16).points == 3).all(), 'itself and two neighbours'
    assert (ball_counts(points, points, radii, closed=True, block=16).points == 4).all()


def test_too_few_references():
    points = np.zeros((3, 2))
    with pytest.raises(UserError, match='3 nearest neighbours were asked for among 2: k must be from 1 to 2'):
        nearest(points, points, 3, exclude_self=True)
