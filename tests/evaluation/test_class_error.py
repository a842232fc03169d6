"""The error of a game's classifier, by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.codes import Codes
from gan_jax.errors import UserError
from gan_jax.evaluation.class_error import assigned, class_error
from gan_jax.game import Game, Player


def test_it_is_the_share_of_wrong_classes_by_the_averaged_parameters():
    """Two classes by the mean pixel; the last parameters take each image for the other class."""

    def classify(params, variables, images):
        brightness = params * images.mean((1, 2, 3)) + variables
        return jnp.stack([-brightness, brightness], -1)

    game = Game(None, (), None, None, classify=classify)
    images = np.concatenate([np.full((600, 2, 2, 1), 10, np.uint8), np.full((400, 2, 2, 1), 250, np.uint8)])
    labels = np.r_[np.zeros(600), np.ones(350), np.zeros(50)].astype(np.int32)
    classifier = Player(jnp.float32(-1), jnp.float32(0), None, (jnp.float32(1), jnp.float32(0)))
    found = class_error(game, classifier, images, labels)
    assert found.value == pytest.approx(0.05)
    assert found.error == pytest.approx((0.05 * 0.95 / 1000) ** 0.5)
    assert class_error(game, classifier._replace(ema=None), images, labels).value == pytest.approx(0.95)
    assert class_error(game, classifier, images[:600], labels[:600])[:2] == (0, None)
    with pytest.raises(UserError, match='class_error needs the class of every image, and some have none'):
        class_error(game, classifier, images, np.r_[labels[1:], -1])


def test_categories_are_assigned_to_the_classes_that_fit_best():
    """A greedy assignment would name category 0 class 0, for 5 of 13 right; the best one has 8."""
    categories = np.repeat([0, 0, 1, 2], [5, 4, 4, 0])
    labels = np.r_[[0] * 5, [1] * 4, [0] * 4]
    np.testing.assert_array_equal(assigned(categories, labels), np.repeat([1, 0], [9, 4]))
    np.testing.assert_array_equal(
        assigned(np.array([2, 2, 0, 1, 1, 1]), np.array([0, 0, 1, 0, 1, 1])), [0, 0, -1, 1, 1, 1]
    )


def test_the_error_of_categories_is_that_under_the_best_assignment():
    def classify(params, variables, images):
        brightness = images.mean((1, 2, 3))
        return jnp.stack([brightness, -brightness, jnp.full(len(images), -9.0)], -1)  # bright ones are category 0

    game = Game(None, (), None, None, classify=classify, codes=Codes((3,), 0))
    images = np.concatenate([np.full((60, 2, 2, 1), 10, np.uint8), np.full((40, 2, 2, 1), 250, np.uint8)])
    labels = np.r_[np.zeros(60), np.ones(35), np.zeros(5)].astype(np.int32)
    found = class_error(game, Player(None, None, None), images, labels)
    assert found.value == pytest.approx(0.05)
    assert found.rule == 'of 100 images, each category as the class that fits these images best'
