"""Precision, recall, density and coverage by hand, at their limits, and as torch-fidelity and prdc have them."""

import json
import pathlib

import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation.precision_recall import density_coverage, precision_recall

GOLDEN = json.loads((pathlib.Path(__file__).parent / 'golden' / 'prdc.json').read_text())
BLOCK = 64


def _values(real, fake, k, block=BLOCK):
    """Precision, recall, density, coverage."""
    scores = *precision_recall(real, fake, k, block), *density_coverage(real, fake, k, block)
    return [score.value for score in scores]


def _random_sets(case):
    random = np.random.RandomState(case['seed'])
    real = random.standard_normal((case['num_real'], case['dimension']))
    return real, case['shift'] + 0.9 * random.standard_normal((case['num_fake'], case['dimension']))


def test_by_hand_on_a_line():
    # Real radii for k = 1: 1, 1, 2; fake ones: 2, 2, 10.
    real, fake = np.array([[0.0], [1.0], [3.0]]), np.array([[2.0], [4.0], [14.0]])
    precision, recall, density, coverage = _values(real, fake, 1)
    assert precision == 2 / 3  # 2 and 4 are in the ball of 3, and 14 in none
    assert recall == 1  # all are in the ball of 2, 0 at its border
    assert density == 2 / 3  # 2 at the border of the ball of 1 does not count here
    assert coverage == 1 / 3


def test_by_hand_in_the_plane():
    # Every corner of a square of side 2 has radius 2 for k = 2.
    real = np.array([[0.0, 0], [0, 2], [2, 0], [2, 2]])
    fake = np.array([[1.0, 1], [-2, 0], [3, 3], [9, 9]])
    precision, recall, density, coverage = _values(real, fake, 2)
    assert precision == 3 / 4  # the second at the border of the first ball
    assert recall == 1
    assert density == (4 + 0 + 1 + 0) / (2 * 4)
    assert coverage == 1


def test_equal_sets():
    points = np.random.RandomState(0).standard_normal((90, 12))
    precision, recall, density, coverage = _values(points, points, 5)
    assert precision == recall == coverage == 1
    assert density == 1  # each open ball holds its centre and k - 1 neighbours


def test_disjoint_sets():
    points = np.random.RandomState(0).standard_normal((40, 3))
    assert _values(points, points + 100, 3) == [0, 0, 0, 0]


@pytest.mark.parametrize('case', GOLDEN['cases'], ids=lambda case: f'dimension {case["dimension"]}')
def test_values_of_torch_fidelity_and_prdc(case):
    real, fake = _random_sets(case)
    for k in (3, 5):
        golden = case[f'k{k}']
        expected = [golden[name] for name in ('precision', 'recall', 'density', 'coverage')]
        np.testing.assert_allclose(_values(real, fake, k), expected, atol=1e-7)


def test_blocks_and_types_change_nothing():
    real, fake = _random_sets(GOLDEN['cases'][1])
    expected = _values(real, fake, 3)
    assert _values(real, fake, 3, block=512) == expected
    offset = 50
    assert _values((real + offset).astype(np.float32), (fake + offset).astype(np.float32), 3) == expected


def test_few_digits_keep_their_ties():
    # Real radii for k = 1: 2, 2, 4; fake ones: 2, 2, 2.
    real, fake = np.array([[5.0], [3], [9]]), np.array([[9.0], [5], [7]])
    for dtype in (np.float32, np.float64):
        assert _values(real.astype(dtype), fake.astype(dtype), 1) == [1, 1, 1, 2 / 3]


def test_clusters_far_apart_keep_their_small_distances():
    near = np.arange(10.0)[:, None]
    real, fake = np.concatenate([near, [[1e5]]]), near + 0.25
    _, _, density, coverage = _values(real.astype(np.float32), fake.astype(np.float32), 1)
    assert density == 2  # each is within 1 of two reals; the last of one, and in the ball of 1e5, which ends at 9
    assert coverage == 1


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_two_far_clusters_are_as_each_of_them(dtype):
    random = np.random.RandomState(0)
    cluster, other = random.standard_normal((2, 60, 8)).astype(np.float32)
    both = [np.concatenate([points, points + np.float32(1000)]).astype(dtype) for points in (cluster, other)]
    exact = [points.astype(np.float64) for points in both]
    between = np.sqrt(((exact[0][:, None] - exact[1]) ** 2).sum(axis=2))
    radii = [np.sort(np.sqrt(((points[:, None] - points) ** 2).sum(axis=2)), axis=1)[:, 3] for points in exact]
    expected = [
        (between <= radii[0][:, None]).any(axis=0).mean(),
        (between <= radii[1]).any(axis=1).mean(),
        (between < radii[0][:, None]).sum() / 3 / 120,
        (between < radii[0][:, None]).any(axis=1).mean(),
    ]
    assert _values(*both, 3) == expected
    assert 0.5 < expected[0] < 0.95


def test_duplicated_sets_are_in_closed_balls_of_radius_zero_and_in_no_open_one():
    points = np.repeat(np.random.RandomState(0).standard_normal((6, 40)), 6, axis=0)
    assert _values(points, points, 3) == [1, 1, 0, 0]


def test_collapsed_fakes():
    real = np.random.RandomState(0).standard_normal((50, 4))
    inside = np.repeat(real.mean(axis=0, keepdims=True), 20, axis=0)
    precision, recall, density, _ = _values(real, inside, 3)
    assert (precision, recall) == (1, 0)
    assert density > 1
    assert _values(real, inside + 30, 3) == [0, 0, 0, 0]
    a_copy = np.repeat(real[:1], 20, axis=0)
    assert _values(real, a_copy, 3)[:2] == [1, 1 / 50]


def test_the_rule_names_the_constants():
    real, fake = np.random.RandomState(0).standard_normal((2, 10, 2))
    assert precision_recall(real, fake[:8]).precision.rule == 'k=3, closed balls, 10 real and 8 fake'
    assert density_coverage(real, fake[:8]).coverage.rule == 'k=5, open balls, 10 real and 8 fake'


def test_too_few_examples():
    many, few = np.random.RandomState(0).standard_normal((10, 2)), np.zeros((3, 2))
    for arguments, who in (((few, many), 'real'), ((many, few), 'fake')):
        with pytest.raises(UserError, match=f'The {who} features belong to 3 images; this metric needs at least 4'):
            precision_recall(*arguments)
    with pytest.raises(UserError, match='The real features belong to 3 images; this metric needs at least 6'):
        density_coverage(few, many)
    assert density_coverage(many, few[:1]).coverage.value <= 1
    with pytest.raises(UserError, match='The neighbour k is 0; it must be at least 1'):
        precision_recall(many, many, k=0)


def test_sets_that_are_no_features_of_one_extractor():
    real, fake = np.zeros((2, 9, 2))
    fake[4, 1] = np.nan
    for metric in (precision_recall, density_coverage):
        with pytest.raises(UserError, match=r'The fake features of 1 of 9 images \(the first is number 4\) are NaN'):
            metric(real, fake)
    with pytest.raises(UserError, match='2 and 3 dimensions: use the same extractor for both'):
        precision_recall(np.zeros((9, 2)), np.zeros((9, 3)))
