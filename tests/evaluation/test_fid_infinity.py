"""FID-infinity on Gaussians whose distance is known."""

import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation.fid import frechet_distance
from gan_jax.evaluation.fid_infinity import fid_infinity, fid_series, sampling_error
from gan_jax.evaluation.moments import Moments

DIMENSION, SHIFT, VARIANCE = 16, 0.1, 1.3
FID = DIMENSION * (SHIFT**2 + (VARIANCE**0.5 - 1) ** 2)  # of N(shift, variance I) from N(0, I)


def _reals():
    """Moments of infinitely many."""
    arrays = {'count': 10**9, 'mean': np.zeros(DIMENSION), 'scatter': (10**9 - 1) * np.eye(DIMENSION)}
    return Moments.from_arrays(arrays)


def _fakes(n, seed):
    return SHIFT + VARIANCE**0.5 * np.random.default_rng(seed).standard_normal((n, DIMENSION))


def _plain(fake):
    moments = Moments.of(fake)
    return frechet_distance(np.zeros(DIMENSION), np.eye(DIMENSION), moments.mean, moments.covariance)


def test_the_extrapolation_is_right_where_fid_is_not():
    estimates = [fid_infinity(_reals(), _fakes(1000, seed)) for seed in range(40)]
    values, errors = np.array([estimate[:2] for estimate in estimates]).T
    plain = np.mean([_plain(_fakes(1000, seed)) for seed in range(40)])
    of_the_mean = values.std(ddof=1) / 40**0.5
    assert plain - FID > 8 * of_the_mean  # the bias of FID of 1,000
    assert abs(values.mean() - FID) < 2.5 * of_the_mean
    # errors say how far single values are off: 95 % of 40 within two of them
    assert (np.abs(values - FID) < 2 * errors).sum() >= 34
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.25)


def test_a_series_ends_with_all_fakes_and_falls_as_one_over_n():
    fake = _fakes(1000, 0)
    sizes, distances = fid_series(_reals(), fake, points=4, smallest=100)
    np.testing.assert_array_equal(sizes, [100, 400, 700, 1000])
    assert distances[-1] == pytest.approx(_plain(fake), rel=1e-12)
    # E |mean - mu|^2 = variance D / N, and twice as much again from a covariance of D^2 entries
    assert distances[0] - distances[-1] > VARIANCE * DIMENSION * (1 / 100 - 1 / 1000)


def test_the_sampling_error_is_the_deviation_of_fid():
    pairs = [(_plain(fake), sampling_error(_reals(), fake)) for fake in (_fakes(2000, seed) for seed in range(150))]
    deviation, error = np.std([pair[0] for pair in pairs]), np.mean([pair[1] for pair in pairs])
    assert error == pytest.approx(deviation, rel=0.18)  # three standard errors of 150 draws


def test_the_sampling_error_on_the_line_by_hand():
    """FID = (mu2 - mu1)^2 + (s2 - s1)^2 has derivatives 2 (mu2 - mu1) by mu2 and 1 - s1 / s2 by s2^2."""
    reals = Moments.from_arrays({'count': 3, 'mean': [1.0], 'scatter': [[8.0]]})  # s1 is 2
    fake = np.array([1.0, 1, 1, 3, 5, 13])  # mean 4; squared differences 9 9 9 1 1 81, so that s2^2 is 22
    centred = fake - 4
    terms = 2 * 3 * centred + centred**2 * (1 - 2 / 22**0.5)
    assert sampling_error(reals, fake[:, None]) == pytest.approx(terms.std() / 6**0.5, rel=1e-13)


def test_the_seed_and_the_rule():
    fake = _fakes(100, 0)
    first, again, other = (fid_infinity(_reals(), fake, points=3, smallest=50, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.value != other.value
    assert first.rule == 'line over 1 / N through 3 sizes from 50 to 100, seed 1, errors of fit and fakes'
    assert 'through 15 sizes from 10 to 100' in fid_infinity(_reals(), fake).rule


def test_equal_fakes_are_at_the_distance_of_one_point():
    fake = np.tile(np.full(DIMENSION, 2.0), (40, 1))
    estimate = fid_infinity(_reals(), fake)
    assert estimate.value == pytest.approx(5 * DIMENSION, rel=1e-8)
    assert estimate.error == pytest.approx(0, abs=1e-6)


def test_bad_input_is_said():
    with pytest.raises(UserError, match='10 fakes are too few for 15 sizes from 2 up: use at least 16'):
        fid_infinity(_reals(), _fakes(10, 0))
    with pytest.raises(UserError, match='The number of sizes is 2; it must be at least 3'):
        fid_infinity(_reals(), _fakes(100, 0), points=2)
    with pytest.raises(UserError, match='The smallest size is 1; it must be at least 2'):
        fid_infinity(_reals(), _fakes(100, 0), smallest=1)
    with pytest.raises(UserError, match='needs at least 2'):
        fid_infinity(_reals(), _fakes(1, 0))
    with pytest.raises(UserError, match='16 and 4 dimensions: use the same extractor for both'):
        fid_infinity(_reals(), _fakes(100, 0)[:, :4])
