"""The share of images that a game's classifier misclassifies."""

import jax
import numpy as np

from gan_jax.data import to_float
from gan_jax.errors import UserError
from gan_jax.evaluation.record import Estimate
from gan_jax.game import Game, Player
from gan_jax.runtime import compiler

_BATCH = 500


def class_error(game: Game, classifier: Player, images: np.ndarray, labels: np.ndarray) -> Estimate:
    """The error of a classifier, such as the discriminator of the semi-supervised GAN, with its standard error.

    Args:
        game: the game.
        classifier: its player, on the host; averaged weights are used if it has some.
        images: uint8 [n, H, W, C].
        labels: int [n], their classes.

    Raises:
        UserError: an image has no label.
    """
    if (np.asarray(labels) < 0).any():
        raise UserError('class_error needs the class of every image, and some have none: choose labelled images.')
    weights = classifier.ema or (classifier.params, classifier.variables)
    classify = jax.jit(
        lambda *of: game.classify(*of[:2], to_float(of[2])).argmax(-1), compiler_options=compiler.often()
    )
    wrong = [
        np.asarray(classify(*weights, np.asarray(images[i : i + _BATCH]))) != labels[i : i + _BATCH]
        for i in range(0, len(images), _BATCH)
    ]
    share = float(np.concatenate(wrong).mean())
    return Estimate(share, (share * (1 - share) / len(images)) ** 0.5, f'of {len(images)} images')
