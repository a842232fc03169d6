"""Streaming moments against two-pass values, in any order and far from 0."""

import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation import moments as moments_module
from gan_jax.evaluation.moments import Moments


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(moments_module, 'BLOCK', 16)  # so that a hundred rows are many blocks


def _streamed(features, *bounds):
    moments = Moments(features.shape[1])
    for rows in np.split(features, bounds):
        moments.update(rows)
    return moments


def test_moments_by_hand():
    moments = Moments.of([[1, 0], [3, 0], [5, 6]])
    assert moments.count == 3
    np.testing.assert_allclose(moments.mean, [3, 2], rtol=1e-15)
    np.testing.assert_allclose(moments.covariance, [[4, 6], [6, 12]], rtol=1e-15)


@pytest.mark.parametrize('bounds', [(), (1,), (16, 32), (5, 5, 90), tuple(range(1, 100))])
def test_a_stream_cut_anywhere_equals_numpy(bounds):
    features = np.random.default_rng(0).standard_normal((100, 7)) @ np.random.default_rng(1).standard_normal((7, 7))
    moments = _streamed(features, *bounds)
    assert moments.count == 100
    np.testing.assert_allclose(moments.mean, features.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(moments.covariance, np.cov(features.T), rtol=1e-13, atol=1e-14)


def test_features_far_from_zero_keep_nine_digits():
    rng = np.random.default_rng(0)
    features = 1e6 + rng.standard_normal((1000, 5))
    centred = features - features.mean(axis=0)
    two_pass = centred.T @ centred / 999
    np.testing.assert_allclose(np.diag(_streamed(features, 10, 333).covariance), np.diag(two_pass), rtol=1e-9)
    np.testing.assert_allclose(_streamed(features, 10, 333).covariance, two_pass, rtol=1e-9, atol=1e-9)
    one_pass = features.T @ features / 999 - 1000 / 999 * np.outer(features.mean(axis=0), features.mean(axis=0))
    assert np.abs(one_pass - two_pass).max() > 1e-5  # what the textbook's other formula makes of them


def test_sets_of_different_means_are_joined():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((40, 3)), 100 + rng.standard_normal((7, 3))
    merged, both = Moments.of(first), np.concatenate([first, second])
    other = Moments.of(second)
    merged.merge(other)
    np.testing.assert_allclose(merged.mean, both.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(merged.covariance, np.cov(both.T), rtol=1e-12)
    assert (merged.count, other.count) == (47, 7)
    np.testing.assert_allclose(other.mean, second.mean(axis=0), rtol=1e-14)


def test_moments_of_nothing_merge_as_nothing():
    empty, some = Moments(2), Moments.of([[1.0, 2.0], [3.0, 5.0]])
    empty.merge(Moments(2))
    empty.update(np.empty((0, 2)))
    assert empty.count == 0
    empty.merge(some)
    some.merge(Moments(2))
    for moments in (empty, some):
        assert moments.count == 2
        np.testing.assert_allclose(moments.mean, [2, 3.5])
        np.testing.assert_allclose(moments.covariance, [[2, 3], [3, 4.5]])


def test_a_buffer_that_the_caller_uses_again_was_copied():
    buffer = np.ones((4, 2))
    moments = Moments(2)
    moments.update(buffer)
    buffer[:] = 7
    np.testing.assert_array_equal(moments.mean, [1, 1])


def test_float32_features_are_summed_in_float64():
    features = (1 + 1e-3 * np.random.default_rng(0).standard_normal((500, 2))).astype(np.float32)
    np.testing.assert_allclose(Moments.of(features).covariance, np.cov(features.astype(np.float64).T), rtol=1e-11)


def test_arrays_restore_the_moments_to_the_bit():
    features = np.random.default_rng(0).standard_normal((100, 3))
    whole, first = Moments(3), _streamed(features[:48])
    restored = Moments.from_arrays({name: array.copy() for name, array in first.to_arrays().items()})
    whole.update(features[:48])
    for moments in (whole, restored):
        moments.update(features[48:])
    assert restored.count == 100
    np.testing.assert_array_equal(restored.mean, whole.mean)
    np.testing.assert_array_equal(restored.covariance, whole.covariance)


def test_results_are_copies():
    moments = Moments.of(np.eye(3))
    for array in (moments.mean, moments.covariance, *moments.to_arrays().values()):
        array[...] = -1
    assert moments.count == 3
    np.testing.assert_allclose(moments.mean, 1 / 3)
    np.testing.assert_allclose(np.diag(moments.covariance), 1 / 3)


def test_too_few_rows_are_said():
    with pytest.raises(UserError, match='A mean needs at least 1 rows of features; there are 0: add images'):
        _ = Moments(2).mean
    with pytest.raises(UserError, match='A covariance needs at least 2 rows of features; there are 1: add images'):
        _ = Moments.of([[1.0, 2.0]]).covariance


def test_rows_that_do_not_fit_are_not_added():
    moments = Moments(2)
    with pytest.raises(UserError, match='Features of dimension 3 were added to moments of dimension 2: use'):
        moments.update(np.zeros((4, 3)))
    with pytest.raises(UserError, match='dimension 3 were added to moments of dimension 2'):
        moments.merge(Moments(3))
    with pytest.raises(UserError, match='NaN or infinite'):
        moments.update([[1.0, np.nan]])
    assert moments.count == 0
