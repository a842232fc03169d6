"""Mixtures of Gaussians."""

import numpy as np
import pytest

from gan_jax.data import load
from gan_jax.data.toys import MIXTURES, ring
from gan_jax.errors import UserError


def test_ring_has_the_published_centres():
    half = np.sqrt(0.5)
    expected = [(1, 0), (half, half), (0, 1), (-half, half), (-1, 0), (-half, -half), (0, -1), (half, -half)]
    np.testing.assert_allclose(MIXTURES['ring'].centres, expected, atol=1e-15)
    assert MIXTURES['ring'].std == 0.01
    np.testing.assert_allclose(ring(2.0, 0.02).centres, 2 * np.array(expected), atol=1e-15)


def test_grid_has_the_published_centres():
    expected = [(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)]
    np.testing.assert_array_equal(MIXTURES['grid'].centres, expected)
    assert MIXTURES['grid'].std == 0.05


def test_modes_of_the_spiral_are_far_apart_and_end_at_radius_four():
    centres = MIXTURES['spiral'].centres
    assert centres.shape == (20, 2)
    np.testing.assert_allclose(centres[-1], (4, 0), atol=1e-14)
    distances = np.linalg.norm(centres[:, None] - centres, axis=-1) + 10 * np.eye(20)
    assert distances.min() > 12 * MIXTURES['spiral'].std


@pytest.mark.parametrize('name', ['ring', 'grid', 'spiral'])
def test_points_lie_around_the_centre_that_their_label_names(name):
    data = load(name)
    mixture = MIXTURES[name]
    assert data.examples.shape == (100_000, 2)
    assert data.examples.dtype == np.float32
    assert data.labels.dtype == np.int32
    assert data.shape == (2,)
    assert data.num_classes == len(mixture.centres)
    offsets = (data.examples - mixture.centres[data.labels]) / mixture.std
    assert np.abs(offsets).max() < 6
    np.testing.assert_allclose(offsets.std(axis=0), 1, atol=0.01)
    np.testing.assert_allclose(offsets.mean(axis=0), 0, atol=0.015)
    expected = 100_000 / data.num_classes
    np.testing.assert_allclose(np.bincount(data.labels), expected, atol=5 * np.sqrt(expected))


def test_points_are_the_same_each_time_and_differ_between_splits():
    np.testing.assert_array_equal(load('ring').examples, load('ring').examples)
    assert load('ring').fingerprint == load('ring').fingerprint
    assert not np.array_equal(load('ring').examples, load('ring', split='test').examples)
    assert load('ring').fingerprint != load('ring', split='test').fingerprint


def test_sentences():
    with pytest.raises(UserError, match=r"^'ring' has no split 'valid'; it has train, test\.$"):
        load('ring', split='valid')
    with pytest.raises(
        UserError, match=r"^'grid' is a set of points, not of images: do not set its size and channels\."
    ):
        load('grid', size=32)
