"""The entropy of a classifier's predictions by hand, and beside the Inception Score."""

import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation.class_entropy import mean_entropy
from gan_jax.evaluation.inception_score import inception_score


def test_two_images_by_hand():
    p = np.array([[0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3]])
    entropies = np.array([1.5 * np.log(2), np.log(3)])
    found = mean_entropy(np.log(p) + 7)  # a constant changes no softmax
    assert found.value == pytest.approx(entropies.mean(), rel=1e-14)
    assert found.error == pytest.approx(entropies.std(ddof=1) / np.sqrt(2), rel=1e-14)
    assert found.rule == 'nats, at most 1.099, standard error'


def test_images_that_belong_together_count_once_for_the_error():
    logits = np.random.default_rng(0).normal(size=(5, 3))
    found = mean_entropy(logits.repeat(4, axis=0), together=4)
    assert found[:2] == pytest.approx(mean_entropy(logits)[:2], rel=1e-12)
    assert found.rule.endswith('standard error over groups of 4')


def test_certain_predictions_have_none():
    found = mean_entropy(1e4 * np.eye(3)[:1])
    assert (found.value, found.error) == (0, None)


def test_it_is_what_the_inception_score_leaves_of_the_mean_predictions_entropy():
    logits = np.random.default_rng(0).normal(size=(50, 4))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    of_mean = -(p.mean(0) * np.log(p.mean(0))).sum()
    score = inception_score(logits, splits=1).value
    assert np.log(score) == pytest.approx(of_mean - mean_entropy(logits).value, rel=1e-12)


def test_infinite_logits_are_refused():
    with pytest.raises(UserError, match='The logits of 1 of 2 images'):
        mean_entropy(np.array([[0.0, 1], [np.inf, 0]]))
