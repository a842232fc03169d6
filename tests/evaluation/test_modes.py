"""Modes counted by hand, by a perfect sampler and by a collapsed one."""

import math

import numpy as np
import pytest

from gan_jax.data.toys import MIXTURES, Mixture
from gan_jax.errors import UserError
from gan_jax.evaluation.modes import NUM_SAMPLES, NUM_STACKED_SAMPLES, label_modes, mixture_modes

PAIR = Mixture(np.array([[0.0, 0.0], [10.0, 0.0]]), 1.0)


def test_points_counted_by_hand():
    points = [(2.9, 0), (-2.1, -2.1), (2.2, 2.2), (3.1, 0), (10, 2.9), (5, 5)]  # at 2.9, 2.97, 3.11, 3.1, 2.9 and 7.1
    report = mixture_modes(np.array(points), PAIR)
    assert (report.captured, report.num_modes, report.high_quality) == (2, 2, 0.5)
    np.testing.assert_array_equal(report.counts, [2, 1])
    # KL((2/3, 1/3) || (1/2, 1/2)), of the three samples that count
    assert report.reverse_kl == pytest.approx(2 / 3 * math.log(4 / 3) + 1 / 3 * math.log(2 / 3), rel=1e-12)
    assert report.protocol == '2 modes of std 1, 6 samples, within 3 std, least 1'


def test_a_point_near_two_centres_counts_for_the_nearest_only():
    close = Mixture(np.array([[0.0, 0.0], [1.0, 0.0]]), 1.0)
    np.testing.assert_array_equal(mixture_modes(np.array([[0.6, 0.0]]), close).counts, [0, 1])


def test_least_is_the_number_of_samples_that_captures_a_mode():
    points = np.array([[0.0, 0.0], [0.1, 0.0], [10.0, 0.0]])
    assert [mixture_modes(points, PAIR, least=n).captured for n in (1, 2, 3)] == [2, 1, 0]
    assert mixture_modes(points, PAIR, least=2).protocol.endswith('least 2')
    assert label_modes(np.array([0, 0, 1]), 3, least=2).captured == 1


@pytest.mark.parametrize('name', ['ring', 'grid'])
def test_a_perfect_sampler(name):
    mixture = MIXTURES[name]
    points, modes = mixture.sample(100_000, seed=7)
    report = mixture_modes(points, mixture)
    assert report.captured == report.num_modes == len(mixture.centres)
    expected = 1 - math.exp(-4.5)  # P(r < 3 std) in the plane; the standard error of the share is 0.0003
    assert report.high_quality == pytest.approx(expected, abs=0.0015)
    # n times twice the divergence is chi-squared with modes - 1 degrees of freedom
    freedom = len(mixture.centres) - 1
    assert 0 < report.reverse_kl < (freedom + 5 * math.sqrt(2 * freedom)) / 200_000
    good = np.linalg.norm(points - mixture.centres[modes], axis=1) < 3 * mixture.std
    np.testing.assert_array_equal(report.counts, np.bincount(modes[good]))


def test_a_perfect_sampler_at_the_published_sample_size_finds_all_modes():
    for name in ('ring', 'grid'):
        mixture = MIXTURES[name]
        report = mixture_modes(mixture.sample(NUM_SAMPLES, seed=1)[0], mixture)
        assert report.captured == len(mixture.centres)
        assert report.reverse_kl < 0.02


def test_collapse_to_one_mode():
    report = mixture_modes(np.tile(MIXTURES['ring'].centres[3], (50, 1)), MIXTURES['ring'])
    assert (report.captured, report.high_quality) == (1, 1.0)
    assert report.reverse_kl == pytest.approx(math.log(8), rel=1e-12)
    assert label_modes(np.full(50, 123), 1000).reverse_kl == pytest.approx(math.log(1000), rel=1e-12)


def test_no_point_of_high_quality_has_no_histogram():
    points = np.array([[5.0, 0.0], [np.nan, 0.0], [np.inf, 0.0], [np.inf, -np.inf]])
    report = mixture_modes(points, PAIR)
    assert (report.captured, report.high_quality, report.reverse_kl) == (0, 0.0, math.inf)
    np.testing.assert_array_equal(report.counts, [0, 0])


def test_order_of_samples_and_of_modes_does_not_matter():
    rng = np.random.default_rng(0)
    mixture = MIXTURES['grid']
    points = 1.3 * mixture.sample(500, seed=0)[0]  # some at the centres, some between them
    order = rng.permutation(25)
    shuffled = Mixture(mixture.centres[order], mixture.std)
    first, second = mixture_modes(points, mixture), mixture_modes(rng.permutation(points), shuffled)
    assert 0 < first.captured < 25
    assert (first.captured, first.high_quality) == (second.captured, second.high_quality)
    assert first.reverse_kl == pytest.approx(second.reverse_kl, rel=1e-12)
    np.testing.assert_array_equal(first.counts[order], second.counts)


def test_labels_by_hand():
    report = label_modes(np.array([0, 2, 2, 2]), 4)
    assert (report.captured, report.num_modes, report.high_quality) == (2, 4, None)
    np.testing.assert_array_equal(report.counts, [1, 0, 3, 0])
    assert report.reverse_kl == pytest.approx(0.25 * math.log(1) + 0.75 * math.log(3), rel=1e-12)
    assert report.protocol == '4 equally likely modes, 4 samples, least 1'


def test_labels_against_the_data():
    labels = np.array([0, 1, 1, 1])
    assert label_modes(labels, 3, np.array([10, 30, 0])).reverse_kl == pytest.approx(0, abs=1e-15)
    uneven = label_modes(labels, 3, np.array([1, 1, 2]))
    assert uneven.reverse_kl == pytest.approx(0.25 * math.log(1) + 0.75 * math.log(3), rel=1e-12)
    assert uneven.protocol == "3 modes as likely as the data's, 4 samples, least 1"
    assert label_modes(labels, 3, np.array([1, 0, 1])).reverse_kl == math.inf


def test_a_perfect_sampler_of_stacked_digits():
    report = label_modes(np.random.default_rng(0).integers(1000, size=NUM_STACKED_SAMPLES), 1000)
    assert report.captured == 1000
    assert report.reverse_kl == pytest.approx(999 / (2 * NUM_STACKED_SAMPLES), rel=0.2)


def test_sentences():
    with pytest.raises(UserError, match=r'^Modes of a mixture are counted over points \[n, 2\], not over \[5, 3\]\.$'):
        mixture_modes(np.zeros((5, 3)), PAIR)
    for labels in ([], [-1], [4], [[1]]):
        with pytest.raises(UserError, match=r'^Modes are counted over at least one label in \[0, 4\), '):
            label_modes(np.array(labels, int), 4)
    with pytest.raises(UserError, match=r"^The data's counts have shape \[3\]; 4 modes need 4 counts, not all 0\.$"):
        label_modes(np.array([0]), 4, np.ones(3))
