"""Standard errors against simulations, and where there is none."""

import itertools

import numpy as np
import pytest

from gan_jax.evaluation.standard_errors import binomial, over_pairs


def test_a_share_of_0_or_1_has_no_error():
    assert binomial(0.2, 5) == pytest.approx((0.2 * 0.8 / 5) ** 0.5)
    assert binomial(0.0, 5) is None
    assert binomial(1.0, 5) is None


def test_pairs_that_share_images_tell_less_than_their_number():
    """Distances of the numbers of a set: the error of their mean over all pairs, by many sets."""
    random = np.random.default_rng(0)
    means, errors = [], []
    for _ in range(300):
        points = random.standard_normal(12)
        pairs = np.array(list(itertools.combinations(points, 2)))
        distances = np.abs(pairs[:, 0] - pairs[:, 1])[random.integers(len(pairs), size=2000)]
        means.append(distances.mean())
        errors.append(over_pairs(distances, 12))
    assert 1 < np.mean(errors) / np.std(means) < 2


def test_one_pair_has_no_error():
    assert over_pairs(np.full(20, 3.0), 2) is None
    assert over_pairs(np.full(1, 3.0), 9) is None
