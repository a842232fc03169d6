"""Metrics of translations: how different those of one image are, and whether they keep its class."""

from collections.abc import Callable

import jax
import numpy as np

from gan_jax.data import to_float, to_uint8
from gan_jax.errors import UserError
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.standard_errors import binomial, of_mean
from gan_jax.game import Array, Game, Key, Player, PyTree, named_key
from gan_jax.runtime import compiler

INPUTS, PAIRS = 100, 19  # Huang et al. 2018, section 5.2


def pixel_distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The mean absolute difference of images uint8 [n, H, W, C], whose pixels count from 0 to 1: float64 [n]."""
    return np.abs(one.astype(np.float64) - other).mean((1, 2, 3)) / 255


def diversity(
    game: Game,
    generator: Player,
    images: np.ndarray,
    distance: Callable[[np.ndarray, np.ndarray], Array] = pixel_distance,
    *,
    seed: int = 0,
) -> Estimate:
    """The mean distance of two translations of the same image, with its standard error over the images.

    As in Huang et al. 2018, "Multimodal Unsupervised Image-to-Image Translation", section 5.2, 19 pairs of latents are
    drawn for each of 100 images. Noise is diverse too: use it with a measure of quality.

    Args:
        game: a game that translates.
        generator: its player, on the host; averaged weights are used if it has some.
        images: uint8 [n, H, W, C], of which the first 100 are translated.
        distance: of two batches of translations, uint8 [b, H, W, C] -> [b].
        seed: seed of the latents.
    """
    weights, key = generator.weights, named_key(seed, 'diversity')

    def translate(weights: tuple[PyTree, PyTree], image: Array, key: Key) -> Array:
        latents = game.latents(key, np.arange(2 * PAIRS))
        return to_uint8(game.sample(*weights, latents, to_float(image[None]).repeat(2 * PAIRS, 0)))

    compiled = jax.jit(translate, compiler_options=compiler.often())
    means = []
    for i, image in enumerate(np.asarray(images[:INPUTS])):
        made = np.asarray(compiled(weights, image, jax.random.fold_in(key, i)))
        means.append(float(np.mean(distance(made[:PAIRS], made[PAIRS:]))))
    return Estimate(
        float(np.mean(means)), of_mean(means), f'{PAIRS} pairs of translations of each of {len(means)} images'
    )


def class_accuracy(logits: np.ndarray, classes: np.ndarray, of: str) -> Estimate:
    """The share of translations that a classifier assigns to given classes, with its standard error.

    Args:
        logits: [n, K], a classifier's of the translations.
        classes: int [n] in [0, K).
        of: what they are the classes of, 'input' or 'target'.

    Raises:
        UserError: a class is missing, or the classifier does not know it.
    """
    if not len(classes) or classes.min() < 0 or classes.max() >= logits.shape[1]:
        raise UserError(
            f'The extractor knows {logits.shape[1]} classes, and the {of} of a translation has none or another: choose '
            f'a classifier of the {of}s.'
        )
    share = float((logits.argmax(1) == classes).mean())
    rule = f'class of the {of} by the extractor, of {len(classes)} translations'
    return Estimate(share, binomial(share, len(classes)), rule)
