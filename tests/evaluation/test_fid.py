"""The Fréchet distance against closed forms, a matrix square root, an oracle for few samples and torch-fidelity."""

import json
import pathlib

import numpy as np
import pytest
import scipy.linalg

from gan_jax.errors import UserError
from gan_jax.evaluation.fid import class_fids, covariance_root, fid, frechet_distance, intra_fid

# How they were made stands in the file.
GOLDEN = json.loads((pathlib.Path(__file__).parent / 'golden' / 'fid.json').read_text())['values']


def _sets(n, m, dimension):
    rng = np.random.RandomState(4)
    mixing = rng.standard_normal((dimension, dimension)) / dimension**0.5
    return rng.standard_normal((n, dimension)) @ mixing, 0.9 * rng.standard_normal((m, dimension)) @ mixing + 0.2


def _moments(features):
    return features.mean(axis=0), np.cov(features.T)


def _rotation(dimension):
    return np.linalg.qr(np.random.default_rng(5).standard_normal((dimension, dimension)))[0]


def test_gaussians_on_the_line():
    assert frechet_distance([1], [[4]], [5], [[9]]) == pytest.approx(4**2 + (3 - 2) ** 2, rel=1e-15)


def test_commuting_covariances():
    first, second, axes = np.array([1.0, 2, 3, 0.5]), np.array([2.0, 0.1, 3, 4]), _rotation(4)
    shift = np.array([1.0, -2, 0, 3])
    distance = frechet_distance(shift, axes * first**2 @ axes.T, np.zeros(4), axes * second**2 @ axes.T)
    assert distance == pytest.approx(14 + ((first - second) ** 2).sum(), rel=1e-13)


def test_covariances_that_do_not_commute():
    # tr (S1 S2)^(1/2) of 2 x 2 matrices is sqrt(tr S1 S2 + 2 sqrt(det S1 S2))
    first, second = np.array([[2.0, 1], [1, 3]]), np.array([[1.0, -0.5], [-0.5, 0.5]])
    overlap = np.sqrt(np.trace(first @ second) + 2 * np.sqrt(5 * 0.25))
    expected = 5 + 1.5 - 2 * overlap
    assert frechet_distance([0, 0], first, [0, 0], second) == pytest.approx(expected, rel=1e-13)
    assert frechet_distance([0, 0], second, [0, 0], first) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(('n', 'dimension'), [(200, 8), (10, 30)])
def test_a_set_against_itself_and_moved(n, dimension):
    features, _ = _sets(n, 2, dimension)
    scale = np.trace(np.cov(features.T))
    assert fid(features, features).value < 1e-12 * scale
    shift = np.linspace(-1, 2, dimension)
    assert fid(features, features + shift).value == pytest.approx((shift**2).sum(), rel=1e-11)


def test_rounding_never_makes_it_negative():
    sets = [np.random.default_rng(seed).standard_normal((20, 5)) for seed in range(20)]
    assert min(fid(features, features).value for features in sets) == 0


@pytest.mark.parametrize('spread', [0, 3])
def test_equals_a_matrix_square_root(spread):
    real, fake = (features * np.logspace(0, -spread, 12) for features in _sets(100, 80, 12))
    (mu1, sigma1), (mu2, sigma2) = _moments(real), _moments(fake)
    root = np.real(scipy.linalg.sqrtm(sigma1 @ sigma2))
    expected = ((mu1 - mu2) ** 2).sum() + np.trace(sigma1 + sigma2 - 2 * root)
    assert fid(real, fake).value == pytest.approx(expected, rel=1e-9)
    assert fid(real, fake).rule == 'covariances with ddof 1, float64'


@pytest.mark.parametrize('spread', [0, 3, 6])
@pytest.mark.parametrize(('n', 'm'), [(10, 15), (30, 20), (100, 10), (31, 100), (2, 2), (100, 80)])
def test_any_number_of_samples_and_any_scales(n, m, spread):
    """The trace of (S1 S2)^(1/2) is the nuclear norm of X1 X2^T / sqrt((n - 1) (m - 1)) with centred features."""
    real, fake = (features * np.logspace(0, -spread, 30) for features in _sets(n, m, 30))
    first, second = real - real.mean(axis=0), fake - fake.mean(axis=0)
    overlap = np.linalg.svd(first @ second.T, compute_uv=False).sum() / np.sqrt((n - 1) * (m - 1))
    traces = (first**2).sum() / (n - 1) + (second**2).sum() / (m - 1)
    expected = ((real.mean(axis=0) - fake.mean(axis=0)) ** 2).sum() + traces - 2 * overlap
    assert fid(real, fake).value == pytest.approx(expected, rel=1e-11)


def test_gaussians_in_directions_of_their_own():
    assert frechet_distance(np.zeros(3), np.diag([4.0, 0, 0]), np.zeros(3), np.diag([0, 9.0, 1])) == 14


def test_constant_and_duplicated_features():
    zero = np.zeros((3, 3))
    assert frechet_distance(np.ones(3), zero, np.zeros(3), zero) == 3
    assert frechet_distance(np.zeros(3), zero, np.zeros(3), np.diag([1.0, 2, 3])) == 6  # all fakes the same
    assert fid([[1.0, 2]] * 4, [[4.0, 6]] * 3).value == 25
    line = np.outer(np.arange(5.0), [3, 4])  # of variance 2.5, on a line in the plane
    assert fid(line, 2 * line).value == pytest.approx((2 * 5) ** 2 + 25 * 2.5 * (2 - 1) ** 2, rel=1e-14)


@pytest.mark.parametrize('rank', [1, 5, 8])
def test_a_root_is_a_root_of_the_rank_of_its_covariance(rank):
    features = np.random.default_rng(0).standard_normal((50, rank)) @ np.random.default_rng(1).standard_normal(
        (rank, 8)
    )
    sigma = np.cov(features.T)
    root = covariance_root(sigma)
    assert root.shape == (8, rank)
    np.testing.assert_allclose(root @ root.T, sigma, atol=1e-14 * np.trace(sigma))
    _, other = _moments(_sets(2, 40, 8)[1])
    zero = np.zeros(8)
    assert frechet_distance(zero, sigma, zero, other, root1=root) == frechet_distance(zero, sigma, zero, other)


@pytest.mark.parametrize('key', GOLDEN)
def test_equals_torch_fidelity(key):
    real, fake = _sets(*map(int, key.split()))
    assert fid(real, fake).value == pytest.approx(GOLDEN[key], rel=1e-6)


def test_float32_features_are_taken_as_they_are():
    real, fake = (features.astype(np.float32) for features in _sets(50, 60, 8))
    assert fid(real, fake).value == pytest.approx(fid(real.astype(float), fake.astype(float)).value, rel=1e-14)


def test_intra_fid_is_the_mean_over_classes():
    real, fake = _sets(30, 40, 3)
    real_labels, fake_labels = np.arange(30) % 3 * 10, np.arange(40) % 3 * 10
    distances = class_fids(real, real_labels, fake, fake_labels)
    assert list(distances) == [0, 10, 20]
    assert distances[10] == fid(real[1::3], fake[1::3]).value
    estimate = intra_fid(real, real_labels, fake, fake_labels)
    assert estimate.value == pytest.approx(sum(distances.values()) / 3, rel=1e-15)
    assert estimate.rule == 'mean over 3 classes, covariances with ddof 1, float64'


def test_intra_fid_sees_swapped_classes_which_fid_does_not():
    features = np.concatenate([_sets(50, 2, 3)[0], 10 + _sets(50, 2, 3)[0]])
    labels = np.repeat([0, 1], 50)
    assert fid(features, features).value < 1e-10
    assert intra_fid(features, labels, features, 1 - labels).value == pytest.approx(300, rel=1e-9)


def test_bad_input_is_said():
    features = np.eye(3)
    with pytest.raises(UserError, match=r'shapes \[2\], \[2, 2\], \[3\], \[2, 2\]; a Fréchet distance takes \[D\]'):
        frechet_distance(np.zeros(2), np.eye(2), np.zeros(3), np.eye(2))
    with pytest.raises(UserError, match='The moments contain NaN or infinity: check the features'):
        frechet_distance([0.0], [[np.nan]], [0.0], [[1.0]])
    with pytest.raises(UserError, match='fake features belong to 1 images; this metric needs at least 2'):
        fid(features, features[:1])
    with pytest.raises(UserError, match='3 and 2 dimensions: use the same extractor for both'):
        fid(features, features[:, :2])
    with pytest.raises(UserError, match=r'have labels of shapes \[2\] and \[3\]; each image needs one label'):
        intra_fid(features, [0, 0], features, [0, 0, 0])
    with pytest.raises(
        UserError, match='Class 1 has 1 real images and 0 fakes; its FID needs at least 2 of each: use more'
    ):
        intra_fid(features, [0, 0, 1], features, [0, 0, 0])
    with pytest.raises(UserError, match='Class 7 has 0 real images and 1 fakes'):  # of a class that the data has not
        intra_fid(features, [0, 0, 0], features, [0, 0, 7])
