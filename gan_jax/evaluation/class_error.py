"""The share of images that a game's classifier misclassifies."""

import jax
import numpy as np
import scipy  # which imports its modules when they are used

from gan_jax.data import to_float
from gan_jax.errors import UserError
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.standard_errors import binomial
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

    The classes of a game with codes are categories without names, which are assigned to the classes of these images by
    `assigned`.

    Raises:
        UserError: an image has no label.
    """
    if (np.asarray(labels) < 0).any():
        raise UserError('class_error needs the class of every image, and some have none: choose labelled images.')
    classify = jax.jit(
        lambda *of: game.classify(*of[:2], to_float(of[2])).argmax(-1), compiler_options=compiler.often()
    )
    batches = [np.asarray(images[i : i + _BATCH]) for i in range(0, len(images), _BATCH)]
    found = np.concatenate([classify(*classifier.weights, batch) for batch in batches])
    rule = f'of {len(images)} images'
    if game.codes is not None:
        found, rule = assigned(found, labels), f'{rule}, each category as the class that fits these images best'
    share = float((found != labels).mean())
    return Estimate(share, binomial(share, len(images)), rule)


def assigned(categories: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The classes of categories under the one-to-one assignment with the smallest error (Kuhn 1955).

    Args:
        categories: int [n].
        labels: int [n], the classes.

    Returns:
        int [n]; -1 for categories without a class, where there are fewer classes.
    """
    counts = np.zeros((categories.max() + 1, labels.max() + 1), int)
    np.add.at(counts, (categories, labels), 1)
    rows, columns = scipy.optimize.linear_sum_assignment(counts, maximize=True)
    classes = np.full(len(counts), -1)
    classes[rows] = columns
    return classes[categories]
