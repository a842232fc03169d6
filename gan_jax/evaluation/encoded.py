"""The codes that a game's encoder infers: classes by the nearest neighbour, and reconstructions."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data import to_float
from gan_jax.errors import UserError
from gan_jax.evaluation.distances import nearest
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.standard_errors import binomial, of_mean
from gan_jax.game import Array, Game, Player, PyTree
from gan_jax.layers.networks import flatten
from gan_jax.runtime import compiler

_BATCH = 500


def code_accuracy(
    game: Game,
    encoder: Player,
    images: np.ndarray,
    labels: np.ndarray,
    known_images: np.ndarray,
    known_labels: np.ndarray,
) -> Estimate:
    """The accuracy of the nearest neighbour's class in the features of an encoder, with its standard error.

    Donahue et al. 2017, "Adversarial Feature Learning", table 1: each image gets the class of the known image whose
    features are nearest to its own (Euclidean distance; of equal distances the first). An image is no neighbour of
    itself if both sets are the same.

    Args:
        game: the game.
        encoder: its player, on the host; averaged weights are used if it has some.
        images: uint8 [n, H, W, C], which are classified.
        labels: int [n], their classes.
        known_images: uint8 [m, H, W, C], usually those that the game was trained on.
        known_labels: int [m], their classes.

    Raises:
        UserError: an image has no class, or there are too few known images.
    """
    if any(some is None or (np.asarray(some) < 0).any() for some in (labels, known_labels)):
        raise UserError('code_accuracy needs the class of every image, and some have none: choose labelled images.')

    def features(images: np.ndarray) -> np.ndarray:
        found = over(lambda weights, images: game.encode(*weights, images).features, encoder.weights, images)
        return flatten(found)

    same = images.shape == known_images.shape and np.array_equal(images, known_images)
    found = nearest(features(images), features(known_images), 1, exclude_self=same)
    share = float((np.asarray(known_labels)[found.indices[:, 0]] == labels).mean())
    which = 'nearest other image' if same else f'nearest of {len(known_images)} images'
    return Estimate(share, binomial(share, len(images)), f'class of the {which}, of {len(images)} images')


def reconstruction_error(game: Game, generator: Player, encoder: Player, images: np.ndarray) -> Estimate:
    """The mean Euclidean distance of images x and their reconstructions G(E(x)), with its standard error.

    Args:
        game: the game.
        generator: its player, on the host; averaged weights are used if it has some.
        encoder: likewise.
        images: uint8 [n, H, W, C]; pixels count from 0 to 1.
    """

    def error(weights: PyTree, images: Array) -> Array:
        made, inferred = weights
        again = game.sample(*made, game.encode(*inferred, images).codes)
        return jnp.sqrt(jnp.square(flatten(again - images) / 2).sum(-1))

    errors = over(error, (generator.weights, encoder.weights), images).astype(np.float64)
    return Estimate(
        float(errors.mean()), of_mean(errors), f'Euclidean, pixels in [0, 1], mean over {len(errors)} images'
    )


def over(function: Callable[[PyTree, Array], PyTree], weights: PyTree, images: np.ndarray) -> PyTree:
    """A function of weights and of images float32 [b, H, W, C] in [-1, 1], over uint8 images in batches.

    Returns:
        The arrays of its results, each concatenated over the batches.
    """
    compiled = jax.jit(lambda weights, images: function(weights, to_float(images)), compiler_options=compiler.often())
    parts = [compiled(weights, np.asarray(images[i : i + _BATCH])) for i in range(0, len(images), _BATCH)]
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)
