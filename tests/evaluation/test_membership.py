"""The membership attack, by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation.membership import membership
from gan_jax.game import Game, Player


def discriminate(params, variables, images, condition=None):
    """The mean pixel, and the class if there is one."""
    return params * images.mean((1, 2, 3)) + (0 if condition is None else 10 * condition)


GAME = Game(None, (), None, None, discriminate=discriminate, private=True)
DISCRIMINATOR = Player(jnp.float32(2), {}, None)


def images(*means):
    return np.broadcast_to(np.array(means, np.uint8).reshape(-1, 1, 1, 1), (len(means), 2, 2, 1))


def test_members_are_told_by_their_logits():
    found = membership(GAME, DISCRIMINATOR, images(200, 50), None, images(100, 0, 50), None)
    assert found.value == pytest.approx((3 + 1.5) / 6)
    assert found.rule == 'area under the ROC curve, 2 members against 3 others'


def test_the_attack_knows_the_classes():
    told = GAME._replace(given='label')
    found = membership(told, DISCRIMINATOR, images(0, 0), np.array([3, 3]), images(255, 255), np.array([1, 3]))
    assert found.value == 0.5
    for labels in (None, np.array([1, -1])):
        with pytest.raises(UserError, match='membership needs the class of every image, and some have none'):
            membership(told, DISCRIMINATOR, images(0, 0), np.array([3, 3]), images(255, 255), labels)


def test_the_training_images_are_no_held_out_ones():
    with pytest.raises(UserError, match='the real images are the training images'):
        membership(GAME, DISCRIMINATOR, images(1, 2), None, images(1, 2), None)
