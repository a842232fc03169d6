"""What an encoder's codes are worth, by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.encoding import Encoding
from gan_jax.errors import UserError
from gan_jax.evaluation.encoded import code_accuracy, reconstruction_error
from gan_jax.game import Game, Player


def encode(params, variables, images):
    """The mean pixel times the parameter; its features are the first pixel."""
    return Encoding(params * images.mean((1, 2, 3))[:, None], images[:, 0, 0])


def sample(params, variables, latents):
    return jnp.broadcast_to(params * latents[:, :, None, None], (len(latents), 1, 2, 1))


GAME = Game(None, (), sample, None, encode=encode)
ENCODER = Player(jnp.float32(7), {}, None, (jnp.float32(1), {}))  # averaged weights are used


def images(*rows):
    return np.asarray(rows, np.uint8).reshape(-1, 1, 2, 1)


def test_an_image_gets_the_class_of_the_known_image_with_the_nearest_features():
    known, of_known = images((0, 99), (100, 99), (200, 99)), np.array([0, 1, 2])
    tested, labels = images((10, 3), (60, 3), (140, 3), (255, 3), (151, 3)), np.array([0, 1, 0, 2, 2])
    # The nearest are 0, 100, 100, 200 and 200: all classes but the third are right.
    found = code_accuracy(GAME, ENCODER, tested, labels, known, of_known)
    assert found.value == pytest.approx(0.8)
    assert found.error == pytest.approx((0.8 * 0.2 / 5) ** 0.5)
    assert 'nearest of 3 images' in found.rule


def test_an_image_is_no_neighbour_of_itself():
    both, labels = images((0, 0), (10, 0), (100, 0), (110, 0), (240, 0)), np.array([0, 0, 1, 1, 2])
    found = code_accuracy(GAME, ENCODER, both, labels, both, labels)
    assert found.value == pytest.approx(0.8)  # the last has no neighbour of its class
    assert 'nearest other image' in found.rule


def test_images_without_classes_are_refused():
    both, labels = images((0, 0), (10, 0)), np.array([0, 1])
    for bad in (None, np.array([0, -1])):
        with pytest.raises(UserError, match='code_accuracy needs the class of every image'):
            code_accuracy(GAME, ENCODER, both, labels, both, bad)


def test_the_reconstruction_error_is_the_mean_distance_in_pixels_from_0_to_1():
    # Codes are means in [-1, 1], and the generator paints half of them on both pixels: 0.75 of white for a white image.
    generator = Player(jnp.float32(9), {}, None, (jnp.float32(0.5), {}))
    found = reconstruction_error(GAME, generator, ENCODER, images((255, 255), (0, 0), (255, 0)))
    distances = [2**0.5 * 0.25, 2**0.5 * 0.25, 2**0.5 * 0.5]
    assert found.value == pytest.approx(np.mean(distances), rel=1e-5)
    assert found.error == pytest.approx(np.std(distances, ddof=1) / 3**0.5, rel=1e-4)
