"""KID and other MMDs by hand, against loops over pairs, closed forms, simulations and torch-fidelity."""

import json
import pathlib

import numpy as np
import pytest
import scipy.spatial.distance

from gan_jax.errors import UserError
from gan_jax.evaluation import mmd as mmd_module
from gan_jax.evaluation.mmd import kid, kid_full, median_distance, mmd

# How they were made stands in the file.
GOLDEN = json.loads((pathlib.Path(__file__).parent / 'golden' / 'kid.json').read_text())['values']


def _sets(n, m, dimension):
    rng = np.random.RandomState(4)
    mixing = rng.standard_normal((dimension, dimension)) / dimension**0.5
    return rng.standard_normal((n, dimension)) @ mixing, 0.9 * rng.standard_normal((m, dimension)) @ mixing + 0.2


def _loop(real, fake, kernel):
    """The definition, pair by pair."""
    own = [
        np.mean([kernel(x, y) for i, x in enumerate(rows) for j, y in enumerate(rows) if i != j])
        for rows in (real, fake)
    ]
    return sum(own) - 2 * np.mean([kernel(x, y) for x in real for y in fake])


def _rational_quadratic(x, y):
    return sum((1 + ((x - y) ** 2).sum() / (2 * a * 1.5**2)) ** -a for a in (0.2, 0.5, 1, 2, 5))


KERNELS = {
    'gaussian': lambda x, y: np.exp(-((x - y) ** 2).sum() / (2 * 1.5**2)),
    'laplacian': lambda x, y: np.exp(-(((x - y) ** 2).sum() ** 0.5) / 1.5),
    'rational_quadratic': _rational_quadratic,
    'polynomial': lambda x, y: (x @ y / 3 + 1) ** 3,
    'linear': lambda x, y: x @ y,
}


def test_kid_by_hand():
    real, fake = [[1.0], [2], [0]], [[1.0], [0], [1]]
    # (x y + 1)^3 over pairs: reals 27, 1, 1; fakes 1, 8, 1; between 8 1 8, 27 1 27, 1 1 1
    expected = 29 / 3 + 10 / 3 - 2 * 75 / 9
    assert kid_full(real, fake).value == pytest.approx(expected, rel=1e-14)
    estimate = kid(real, fake, subsets=4, subset_size=3)  # each is the whole set
    assert estimate.value == pytest.approx(expected, rel=1e-14)
    assert estimate.error is None


@pytest.mark.parametrize('key', GOLDEN)
def test_kid_equals_torch_fidelity(key):
    n, m, dimension, degree, *options = key.split()
    gamma, coef = map(float, options) if options else (None, 1.0)
    real, fake = _sets(int(n), int(m), int(dimension))
    estimate = kid(real, fake, subsets=20, subset_size=50, degree=int(degree), gamma=gamma, coef=coef)
    np.testing.assert_allclose([estimate.value, estimate.error], GOLDEN[key], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ('sizes', 'subsets', 'has_error'),
    [
        ((9, 9), 20, False),
        ((30, 9), 20, False),
        ((9, 30), 20, False),
        ((30, 30), 1, False),
        ((30, 10), 2, True),
    ],
)
def test_kid_of_subsets_that_do_not_vary_has_no_error(sizes, subsets, has_error):
    """The deviation over them would be 0, or that of one set alone."""
    estimate = kid(*_sets(*sizes, 4), subsets=subsets, subset_size=9)
    assert (estimate.error is not None) == has_error
    assert estimate.rule.endswith('deviation over subsets' if has_error else 'no error, for the subsets do not vary')


def test_kid_of_float32_features_is_computed_in_float64():
    real, fake = (features.astype(np.float32) for features in _sets(60, 60, 8))
    wide = kid(real.astype(np.float64), fake.astype(np.float64), subsets=3, subset_size=50)
    assert kid(real, fake, subsets=3, subset_size=50).value == pytest.approx(wide.value, rel=1e-12)


@pytest.mark.parametrize('name', KERNELS)
@pytest.mark.parametrize('block', [4, 1024])
def test_kernels_equal_the_definition_in_blocks_and_at_once(name, block, monkeypatch):
    monkeypatch.setattr(mmd_module, 'BLOCK', block)
    real, fake = _sets(13, 9, 3)
    bandwidth = None if name in ('polynomial', 'linear') else 1.5
    assert mmd(real, fake, name, bandwidth).value == pytest.approx(_loop(real, fake, KERNELS[name]), rel=1e-12)
    assert mmd(fake, real, name, bandwidth).value == pytest.approx(mmd(real, fake, name, bandwidth).value, rel=1e-9)


def test_kid_full_is_the_polynomial_mmd():
    real, fake = _sets(20, 30, 5)
    estimate = kid_full(real, fake)
    assert estimate == mmd(real, fake, 'polynomial')
    assert estimate.rule == 'kernel (x.y / 5 + 1)^3, unbiased over all pairs, delete-one jackknife error'
    assert kid_full(real, fake, degree=1, gamma=1.0, coef=0.0) == mmd(real, fake, 'linear')


def test_the_linear_mmd_is_the_distance_of_the_means_without_its_bias():
    real, fake = _sets(20, 30, 5)
    between = ((real.mean(axis=0) - fake.mean(axis=0)) ** 2).sum()
    bias = real.var(axis=0, ddof=1).sum() / 20 + fake.var(axis=0, ddof=1).sum() / 30
    assert mmd(real, fake, 'linear').value == pytest.approx(between - bias, rel=1e-12)


def test_the_gaussian_mmd_of_gaussians_has_its_closed_form():
    """E exp(-(x - y)^2 / 2) with x - y of mean s and variance v is exp(-s^2 / (2 (1 + v))) / sqrt(1 + v)."""
    rng = np.random.default_rng(0)
    estimate = mmd(rng.standard_normal((2000, 1)), 1 + rng.standard_normal((2000, 1)), bandwidth=1.0)
    expected = 2 * (1 - np.exp(-1 / 6)) / 3**0.5
    assert abs(estimate.value - expected) < 3 * estimate.error < 0.2 * expected


@pytest.mark.parametrize('leave', ['real', 'fake'])
def test_the_jackknife_leaves_out_each_sample(leave):
    """The part of one set, by really leaving out; the other part is that with the sets exchanged."""
    real, fake = _sets(7, 5, 2)

    def part(first, second):
        values = [kid_full(np.delete(first, i, axis=0), second).value for i in range(len(first))]
        return (len(first) - 1) * np.var(values)

    variance = part(real, fake) + part(fake, real)
    first, second = (real, fake) if leave == 'real' else (fake, real)
    assert kid_full(first, second).error == pytest.approx(variance**0.5, rel=1e-12)


def test_errors_are_the_deviation_of_repeated_estimates():
    rng = np.random.default_rng(0)

    def repeated(shift):
        pairs = [(rng.standard_normal((40, 3)), shift + rng.standard_normal((60, 3))) for _ in range(300)]
        estimates = [kid_full(*pair) for pair in pairs]
        values = np.array([estimate.value for estimate in estimates])
        return values, np.mean([estimate.error**2 for estimate in estimates]) ** 0.5

    values, error = repeated(0.7)
    assert error == pytest.approx(values.std(), rel=0.15)
    values, error = repeated(0.0)  # degenerate: conservative by about the root of 2
    assert 1 < error / values.std() < 1.6
    assert abs(values.mean()) < 3 * values.std() / 300**0.5  # unbiased
    assert 0.3 < (values < 0).mean() < 0.75  # and so negative about every other time


def test_a_negative_value_stays_negative():
    features = _sets(30, 2, 4)[0]
    assert kid_full(features, features).value < 0  # each fake has a real at distance 0, and no fake


def test_collapse_is_far_and_duplicates_are_defined():
    real, _ = _sets(50, 2, 4)
    one = np.tile(real[:1], (40, 1))
    assert mmd(real, one).value > 5 * mmd(real, one).error
    assert mmd(one, one, 'gaussian', bandwidth=2.0)[:2] == (0, 0)
    with pytest.raises(UserError, match='Most samples are equal, so their median distance is 0: set the bandw'):
        mmd(one, one)


def test_the_default_bandwidth_is_the_median_distance():
    real, fake = _sets(30, 40, 4)
    median = float(np.median(scipy.spatial.distance.pdist(np.concatenate([real, fake]))))
    assert median_distance(real, fake) == pytest.approx(median, rel=1e-12)
    default = mmd(real, fake, 'laplacian')
    assert default.value == pytest.approx(mmd(real, fake, 'laplacian', median).value, rel=1e-10)
    assert default.rule.startswith(f'laplacian kernel of bandwidth {median:.6g}, ')


def test_the_median_distance_of_large_sets_is_of_every_kth_sample(monkeypatch):
    monkeypatch.setattr(mmd_module, 'MEDIAN_SAMPLES', 10)
    real, fake = _sets(30, 10, 4)
    assert median_distance(real, fake) == median_distance(real[::3], fake)


def test_distances_far_from_zero_keep_their_digits():
    real, fake = _sets(30, 40, 4)
    near = mmd(real, fake, bandwidth=1.0)
    assert mmd(real + 2**20, fake + 2**20, bandwidth=1.0).value == pytest.approx(near.value, rel=1e-8)
    assert median_distance(real + 2**20, fake + 2**20) == pytest.approx(median_distance(real, fake), rel=1e-9)


def test_kernels_see_small_distances_within_a_cluster_far_away():
    real, fake = _sets(30, 40, 4)
    for rows in (real, fake):
        rows[:10] += 1e9
    for name in ('gaussian', 'laplacian'):
        assert mmd(real, fake, name, bandwidth=1.5).value == pytest.approx(_loop(real, fake, KERNELS[name]), rel=1e-9)
    everything = np.concatenate([real, fake])
    exact = np.sqrt(((everything[:, None] - everything) ** 2).sum(axis=2))[np.triu_indices(70, 1)]
    assert median_distance(real, fake) == pytest.approx(np.median(exact), rel=1e-12)


def test_the_seed_and_the_rule_of_kid():
    real, fake = _sets(40, 40, 4)
    first, again, other = (kid(real, fake, subsets=3, subset_size=20, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.value != other.value
    assert first.rule == ('kernel (x.y / 4 + 1)^3, 3 subsets of 20 by RandomState(1), deviation over subsets')
    assert kid(real, fake, subsets=1, subset_size=9, degree=2, gamma=0.5, coef=2).rule.startswith(
        'kernel (0.5 x.y + 2)^2, 1 subsets of 9'
    )


def test_bad_input_is_said():
    real, fake = _sets(30, 40, 4)
    with pytest.raises(
        UserError, match='subsets of 1000 samples, but there are 30 real images and 40 fakes: set subset_size'
    ):
        kid(real, fake)
    with pytest.raises(UserError, match='subset_size to 30 or less, or use more samples'):
        kid(real, fake)
    with pytest.raises(UserError, match='The subset size is 2; it must be at least 3'):
        kid(real, fake, subset_size=2)
    with pytest.raises(UserError, match='The number of subsets is 0; it must be at least 1'):
        kid(real, fake, subsets=0)
    with pytest.raises(UserError, match='fake features belong to 2 images; this metric needs at least 3'):
        kid_full(real, fake[:2])
    with pytest.raises(UserError, match='4 and 3 dimensions: use the same extractor for both'):
        mmd(real, fake[:, :3])
    with pytest.raises(
        UserError, match=r"There is no kernel 'gausian': did you mean 'gaussian'\? Choose from gaussian, laplacian"
    ):
        mmd(real, fake, 'gausian')
    with pytest.raises(UserError, match='The bandwidth is 0; it must be above 0'):
        mmd(real, fake, bandwidth=0)
    with pytest.raises(UserError, match=r'bandwidth of the linear kernel is 2\.0; it must be None, because it has no'):
        mmd(real, fake, 'linear', bandwidth=2.0)
    with pytest.raises(UserError, match=r'fake features of 1 of 3 images .* are NaN or infinite'):
        kid_full(real, [[1.0, 2, 3, np.inf]] + [[0.0] * 4] * 2)
