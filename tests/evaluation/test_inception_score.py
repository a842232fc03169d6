"""The Inception Score by hand, at its bounds and against torch-fidelity."""

import json
import math
import pathlib

import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation.inception_score import inception_score

# How they were made stands in the file.
GOLDEN = json.loads((pathlib.Path(__file__).parent / 'golden' / 'is.json').read_text())['values']


def test_two_images_by_hand():
    logits = np.log([[0.5, 0.5], [0.9, 0.1]])  # the marginal is (0.7, 0.3)
    divergences = [
        0.5 * math.log(0.5 / 0.7) + 0.5 * math.log(0.5 / 0.3),
        0.9 * math.log(0.9 / 0.7) + 0.1 * math.log(0.1 / 0.3),
    ]
    estimate = inception_score(logits + 3, splits=1)  # a constant changes no softmax
    assert estimate.value == pytest.approx(math.exp(sum(divergences) / 2), rel=1e-14)
    assert estimate.error is None


def test_certain_and_even_predictions_score_the_number_of_classes():
    """With logits so far apart that probabilities are 0 in float64."""
    certain = 1e4 * np.eye(7)
    assert inception_score(np.tile(certain, (5, 1)), splits=1).value == pytest.approx(7, rel=1e-14)
    # only five of the seven classes, and never the others
    assert inception_score(np.tile(certain[:5], (5, 1)), splits=1).value == pytest.approx(5, rel=1e-14)


def test_equal_predictions_score_one():
    estimate = inception_score(np.tile([3.0, 1, -2], (40, 1)))
    assert estimate.value == pytest.approx(1, rel=1e-14)
    assert estimate.error == pytest.approx(0, abs=1e-14)


def test_splits_are_runs_of_neighbours_with_their_population_deviation():
    logits = np.array([[0, 50.0], [50, 0], [0, 50], [0, 50], [0, 50]])  # splits of two and of three: 2 and 1
    estimate = inception_score(logits, splits=2, shuffle_seed=None)
    assert estimate.value == pytest.approx(1.5, rel=1e-12)
    assert estimate.error == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize(
    ('images', 'splits', 'reason'),
    [
        (10, 10, 'no error, for a split is of one image, which scores 1'),
        (19, 10, 'no error, for a split is of one image, which scores 1'),
        (10, 1, 'no error, for there is one split'),
        (20, 10, 'deviation over splits'),
    ],
)
def test_splits_that_tell_nothing_have_no_error(images, splits, reason):
    estimate = inception_score(np.random.RandomState(0).standard_normal((images, 5)), splits=splits)
    assert estimate.rule.endswith(reason)
    assert (estimate.error is None) == reason.startswith('no error')


def test_the_shuffle_matters_for_sorted_images_and_is_in_the_rule():
    logits = np.repeat(50 * np.eye(10), 30, axis=0)
    assert inception_score(logits, shuffle_seed=None).value == pytest.approx(1, rel=1e-12)
    assert inception_score(logits).value > 8
    assert inception_score(logits) == inception_score(logits)
    assert inception_score(logits).value != inception_score(logits, shuffle_seed=1).value
    deviation = 'deviation over splits'
    assert inception_score(logits).rule == f'10 classes, 10 splits shuffled by RandomState(2020), {deviation}'
    assert inception_score(logits, splits=2, shuffle_seed=None).rule == f'10 classes, 2 splits in order, {deviation}'


@pytest.mark.parametrize('key', GOLDEN)
def test_equals_torch_fidelity(key):
    splits, order = key.split(maxsplit=1)
    logits = 4 * np.random.RandomState(4).standard_normal((503, 20))
    estimate = inception_score(logits, splits=int(splits), shuffle_seed=2020 if order == 'shuffled' else None)
    error = estimate.error if splits != '1' else 0.0  # which is torch-fidelity's of one split
    np.testing.assert_allclose([estimate.value, error], GOLDEN[key], rtol=0, atol=1e-12)


def test_bad_input_is_said():
    with pytest.raises(UserError, match='9 images cannot be divided into 10 splits: use more images or fewer splits'):
        inception_score(np.zeros((9, 5)))
    with pytest.raises(UserError, match='The number of splits is 0; it must be at least 1'):
        inception_score(np.zeros((9, 5)), splits=0)
    with pytest.raises(UserError, match=r'The logits of 1 of 2 images .* are NaN or infinite'):
        inception_score([[0, 1], [0, np.nan]], splits=1)
