"""Bootstrap intervals: coverage, degenerate samples, and what duplicates do to distances."""

import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation.bootstrap import Interval, bootstrap
from gan_jax.evaluation.fid import fid
from gan_jax.evaluation.mmd import mmd


def test_an_interval_of_a_mean_covers_it_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [bootstrap(np.mean, 5 + rng.standard_normal(50), resamples=200, confidence=0.8) for _ in range(300)]
    coverage = np.mean([low <= 5 <= high for low, high in intervals])
    assert 0.8 - 0.07 < coverage < 0.8 + 0.07  # three standard errors of 300 trials
    # 2 x 1.2816 standard errors wide
    assert np.mean([high - low for low, high in intervals]) == pytest.approx(2 * 1.2816 / 50**0.5, rel=0.05)


def test_a_constant_has_an_interval_of_no_width():
    assert bootstrap(np.mean, np.full(20, 3.5), resamples=10) == Interval(3.5, 3.5)
    assert bootstrap(lambda rows: rows.sum(), [[7.0]], resamples=10) == Interval(7.0, 7.0)


def test_bounds_are_percentiles_of_the_resamples():
    seen = []
    interval = bootstrap(lambda rows: seen.append(rows.max()) or seen[-1], np.arange(9), resamples=40, confidence=0.5)
    np.testing.assert_allclose(interval, np.quantile(seen, [0.25, 0.75]))
    assert len(seen) == 40


def test_arrays_are_resampled_by_the_same_rows():
    rows = np.arange(30)
    interval = bootstrap(lambda first, second: np.abs(second - 2 * first).max(), rows, 2 * rows, resamples=20)
    assert interval == Interval(0.0, 0.0)


def test_the_seed_makes_the_interval():
    rows = np.random.default_rng(0).standard_normal(30)
    first, again, other = (bootstrap(np.mean, rows, resamples=20, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_duplicates_move_fid_and_mmd_upwards():
    """By about their bias at this number of fakes, as the docstring warns."""
    rng = np.random.default_rng(0)
    real, fake = rng.standard_normal((500, 8)), rng.standard_normal((60, 8))
    assert bootstrap(lambda fake: fid(real, fake).value, fake, resamples=40).low > fid(real, fake).value

    def discrepancy(fake):
        return mmd(real, fake, bandwidth=1.0).value

    shift = np.mean(bootstrap(discrepancy, fake, resamples=40)) - discrepancy(fake)
    assert shift == pytest.approx(1 / 60, rel=0.2)  # k(x, x) is 1, and k(x, x') in eight dimensions nearly 0


def test_bad_input_is_said():
    with pytest.raises(UserError, match=r'The arrays to resample have \[3, 2\] rows; give at least one row'):
        bootstrap(np.mean, np.zeros(3), np.zeros(2))
    for nothing in ([], [np.empty((0, 4))], [np.float64(3)]):
        with pytest.raises(UserError, match='give at least one row, and the same number in each'):
            bootstrap(np.mean, *nothing)
    with pytest.raises(UserError, match='The confidence is 95; it must be between 0 and 1'):
        bootstrap(np.mean, np.zeros(3), confidence=95)
    with pytest.raises(UserError, match='The number of resamples is 0; it must be at least 1'):
        bootstrap(np.mean, np.zeros(3), resamples=0)
