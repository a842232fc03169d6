"""Nearest training examples, authenticity by hand, and the picture of neighbours."""

import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation.neighbours import authenticity, nearest_training, neighbour_grid
from gan_jax.records import report


def test_nearest_training_in_the_plane():
    real = np.array([[0.0, 0], [3, 4], [6, 8]])
    distances, indices = nearest_training(real, np.array([[0.0, 0], [6, 7]]), k=2, block=4)
    np.testing.assert_array_equal(indices, [[0, 1], [2, 1]])
    np.testing.assert_allclose(distances, [[0, 5], [1, 18**0.5]], rtol=1e-15)


def test_near_copies_have_exact_distances_in_float32():
    real = 100 + np.random.RandomState(0).standard_normal((30, 64)).astype(np.float32)
    fake = real[::-1].copy()
    fake[:, 0] += np.float32(2**-10)
    distances, indices = nearest_training(real, fake, k=1, block=32)
    np.testing.assert_array_equal(indices[:, 0], np.arange(30)[::-1])
    np.testing.assert_array_equal(distances[:, 0], 2.0**-10)


def test_authenticity_by_hand():
    # 0 and 1 are at 1 from another real, 5 at 4, 9 at 4.
    real = np.array([[0.0], [1.0], [5.0], [9.0]])
    fake = np.array([[-2.0], [0.25], [4.0], [9.0], [-1.0]])
    share, error, rule = authenticity(real, fake, block=4)
    assert share == 1 / 5  # only -2 is farther than 1 from its nearest; -1 is as far
    assert error == pytest.approx((0.2 * 0.8 / 5) ** 0.5)
    assert rule == 'nearest of 4 real, 5 fake, binomial standard error'


def test_authenticity_of_copies_and_of_strangers():
    real = np.random.RandomState(0).standard_normal((40, 8))
    assert authenticity(real, real[:10], block=64)[:2] == (0, None), 'a share of 0 has no binomial error'
    assert authenticity(real, real[:10] + 100, block=64)[:2] == (1, None)
    copies = np.zeros((5, 8))
    assert authenticity(copies, copies, block=64).value == 0
    assert authenticity(copies, copies + 1e-3, block=64).value == 1


def test_grid_has_a_row_for_each_fake():
    fake = np.full((2, 2, 2, 3), 200, np.uint8)
    real = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    grid = neighbour_grid(fake, real, np.array([[3, 0], [1, 2]]))
    expected = np.stack([fake[0], real[3], real[0], fake[1], real[1], real[2]])
    np.testing.assert_array_equal(grid, report.image_grid(expected, columns=3))


def test_unfit_input():
    images = np.zeros((3, 2, 2, 1), np.uint8)
    with pytest.raises(UserError, match=r'one row for each of 3 fakes, with numbers in \[0, 3\)'):
        neighbour_grid(images, images, np.array([[0], [1], [3]]))
    with pytest.raises(UserError, match='convert both to the same size'):
        neighbour_grid(images, images[:, :1], np.zeros((3, 1), int))
    with pytest.raises(UserError, match='k is 4, but there are 3 neighbours'):
        nearest_training(np.eye(3), np.eye(3), k=4)
    with pytest.raises(UserError, match='The real features belong to 1 images; this metric needs at least 2'):
        authenticity(np.eye(3)[:1], np.eye(3))
