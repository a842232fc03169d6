"""Distances against all distances at once in float64, where products lose them too."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from gan_jax.errors import UserError
from gan_jax.evaluation.distances import ball_counts, nearest

BLOCKS = (7, 32, 100)


def _points(seed: int, number: int, dimension: int = 5) -> np.ndarray:
    return np.random.RandomState(seed).standard_normal((number, dimension))


def test_nearest_in_one_dimension():
    distances, indices = nearest(np.array([[0.0], [9.0]]), np.array([[10.0], [1.0], [-2.0]]), 2, block=4)
    np.testing.assert_array_equal(distances, [[1, 2], [1, 8]])
    np.testing.assert_array_equal(indices, [[1, 2], [0, 1]])


@pytest.mark.parametrize('block', BLOCKS)
def test_nearest_of_any_block_is_that_of_all_distances(block):
    queries, references = _points(0, 40), _points(1, 65)
    distances, indices = nearest(queries, references, 4, block=block)
    expected = cdist(queries, references)
    np.testing.assert_array_equal(indices, expected.argsort(axis=1)[:, :4])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :4], rtol=1e-15)
    assert distances.dtype == np.float64


def test_an_example_is_not_its_own_neighbour_but_its_copy_is():
    points = _points(2, 30)
    points[20] = points[3]
    distances, indices = nearest(points, points, 1, exclude_self=True, block=8)
    assert indices[3, 0] == 20
    assert indices[20, 0] == 3
    assert distances[3, 0] == distances[20, 0] == 0
    others = np.delete(np.arange(30), [3, 20])
    assert (distances[others, 0] > 0).all()
    assert (indices[:, 0] != np.arange(30)).all()


def test_ties_go_to_the_smaller_index_across_blocks():
    references = np.array([[1.0], [-1.0], [1.0], [3.0], [-1.0]])
    assert nearest(np.array([[0.0]]), references, 4, block=2).indices.tolist() == [[0, 1, 2, 4]]


def test_copies_of_long_features_are_at_distance_zero():
    features = 3 + np.abs(np.random.RandomState(0).standard_normal((20, 2048)))
    for dtype in (np.float32, np.float64):
        distances, indices = nearest(features.astype(dtype), features[::-1].astype(dtype), 2, block=32)
        np.testing.assert_array_equal(distances[:, 0], 0)
        np.testing.assert_array_equal(indices[:, 0], np.arange(20)[::-1])
        assert distances[:, 1].min() > 30


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize(
    'place',
    {
        'far from the origin': lambda points: 1000 + points,
        'two clusters': lambda points: points + 1e4 * (np.arange(len(points)) % 2)[:, None],
        'an outlier': lambda points: points + 1e9 * (np.arange(len(points)) == 7)[:, None],
        'tiny': lambda points: 1e-20 * points,
        'huge': lambda points: 1e30 * points,
        'near copies': lambda points: np.round(points) + 1e-6 * points,
        'ties': np.round,
        'all equal': lambda points: 0 * points,
        'zeros of both signs': lambda points: np.copysign(0, points),
    }.items(),
    ids=lambda place: place[0],
)
def test_distances_are_those_of_float64_wherever_the_points_are(place, dtype):
    """With indices, so that ties, which are exact, must stay ties."""
    first, second = (place[1](_points(seed, 60)).astype(dtype) for seed in (3, 4))
    expected = np.sqrt(((first[:, None].astype(np.float64) - second.astype(np.float64)) ** 2).sum(axis=2))
    order = expected.argsort(axis=1, kind='stable')[:, :3]
    distances, indices = nearest(first, second, 3, block=32)
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(distances, np.take_along_axis(expected, order, axis=1))
    radii = np.sort(expected, axis=0)[5]
    for closed in (True, False):
        inside = expected <= radii if closed else expected < radii
        counts = ball_counts(first, second, radii, closed=closed, block=32)
        np.testing.assert_array_equal(counts.balls, inside.sum(axis=1))
        np.testing.assert_array_equal(counts.points, inside.sum(axis=0))


def test_float64_keeps_what_squares_would_overflow_or_underflow_to():
    points = _points(0, 20)
    for scale in (1e-200, 1e200):
        distances = nearest(scale * points, scale * points, 2, exclude_self=True, block=32).distances
        assert distances == pytest.approx(scale * nearest(points, points, 2, exclude_self=True, block=32).distances)


def test_ball_counts_in_one_dimension():
    points, centres = np.array([[0.0], [2.0], [5.0]]), np.array([[1.0], [4.0]])
    closed = ball_counts(points, centres, np.array([1.0, 2.0]), closed=True, block=2)
    assert closed.balls.tolist() == [1, 2, 1]
    assert closed.points.tolist() == [2, 2]
    opened = ball_counts(points, centres, np.array([1.0, 2.0]), closed=False, block=2)
    assert opened.balls.tolist() == [0, 0, 1]
    assert opened.points.tolist() == [0, 1]


@pytest.mark.parametrize('block', BLOCKS)
def test_ball_counts_of_any_block_are_those_of_all_distances(block):
    points, centres = _points(0, 40), _points(1, 65)
    radii = np.random.RandomState(2).uniform(1, 3.5, 65)
    inside = cdist(points, centres) <= radii
    counts = ball_counts(points, centres, radii, closed=True, block=block)
    np.testing.assert_array_equal(counts.balls, inside.sum(axis=1))
    np.testing.assert_array_equal(counts.points, inside.sum(axis=0))


def test_radii_from_nearest_are_ties_for_ball_counts():
    points = _points(5, 60, 33)
    radii = nearest(points, points, 3, exclude_self=True, block=16).distances[:, -1]
    assert (ball_counts(points, points, radii, closed=False, block=16).points == 3).all(), 'itself and two neighbours'
    assert (ball_counts(points, points, radii, closed=True, block=16).points == 4).all()


def test_too_few_references():
    points = np.zeros((3, 2))
    with pytest.raises(UserError, match='k is 3, but there are 2 neighbours: choose k from 1 to 2'):
        nearest(points, points, 3, exclude_self=True)
