"""Whether an image is more similar to its own caption than to others, by encoders that the generator never met.

R-precision of Xu et al. 2018, AttnGAN, section 4. The paper compares by the encoders whose matching loss the generator
was trained with, which favours it. Here encoders are trained apart, from the real pairs that the generator learnt from,
so the values compare generators of one data set and nothing else.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
import optax

from gan_jax.data import Dataset, to_float
from gan_jax.errors import UserError
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.standard_errors import binomial
from gan_jax.game import PyTree, named_key
from gan_jax.layers.resampling import average_pool
from gan_jax.layers.text import Matcher
from gan_jax.matching import similarities
from gan_jax.readers import of_words

CANDIDATES = 100
_SEEN = 64  # pixels a side, the least that larger images are reduced to
_BLOCK = 200  # images of one call


class Recipe(NamedTuple):
    """The training of the encoders, by Adam.

    Attributes:
        steps: number of steps.
        batch_size: pairs of a step.
        learning_rate: of the first step; it falls to 0 like a cosine.
        widths: fields of the encoders, `gan_jax.layers.text.Matcher`: size, word_width and image_width.
        dropout: rate of the words' embeddings.
    """

    steps: int = 2000
    batch_size: int = 32
    learning_rate: float = 2e-3
    widths: tuple[int, int, int] = (64, 64, 16)
    dropout: float = 0.1


RECIPE = Recipe()


def r_precision(
    images: np.ndarray,
    captions: np.ndarray,
    known: Dataset,
    real: np.ndarray,
    recipe: Recipe = RECIPE,
    candidates: int = CANDIDATES,
) -> dict[str, Estimate]:
    """The share of images whose own caption is the most similar one, by the cosine of the sentence and the image.

    Each image has its own caption and others that are drawn at random from those with another text.

    Args:
        images: uint8 [n, H, W, C], images made of the captions.
        captions: int [n, w], numbers of words with 0 after the end.
        known: the pairs that the encoders learn from, usually those that the generator learnt from.
        real: uint8 [n, H, W, C], the real images of the captions, whose share is in the rule.
        recipe: the training of the encoders.
        candidates: number of captions for each image.

    Raises:
        UserError: there are too few different captions.
    """
    drawn = draw(captions, candidates)
    matcher, params = _trained(known, recipe)
    sentences = _in_blocks(functools.partial(_read, matcher, params), captions)
    seen = [_in_blocks(functools.partial(_see, matcher, params), each) for each in (images, real)]
    share, of_real = (float(is_nearest(one, sentences, drawn).mean()) for one in seen)
    rule = (
        f"1 of {candidates} captions, by gan_jax's own encoders (steps {recipe.steps}, batch_size {recipe.batch_size}, "
        f'seed 0) of {len(known)} real pairs of {known.name} {known.split}; the real images have {of_real:.4f}'
    )
    return {'r_precision': Estimate(share, binomial(share, len(images)), rule)}


def draw(captions: np.ndarray, candidates: int) -> np.ndarray:
    """The numbers of the captions for each image, int [n, candidates], its own first, the others by the seed 0.

    Raises:
        UserError: there are too few captions with another text.
    """
    _, texts = np.unique(captions, axis=0, return_inverse=True)
    rng, drawn = np.random.default_rng(0), []
    for number, text in enumerate(texts):
        others = np.flatnonzero(texts != text)
        if len(others) < candidates - 1:
            raise UserError(
                f'r_precision needs {candidates} different captions, and number {number + 1} has {len(others)} others: '
                'evaluate more samples.'
            )
        drawn.append([number, *rng.choice(others, candidates - 1, replace=False)])
    return np.array(drawn)


def is_nearest(images: np.ndarray, sentences: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Whether the first of each image's captions is more similar than the others, bool [n].

    Args:
        images: [n, d].
        sentences: [m, d].
        drawn: int [n, k], the numbers of the captions of each image.
    """
    with jax.default_matmul_precision('highest'):
        alike = [
            np.take_along_axis(np.asarray(similarities(images[i : i + _BLOCK], sentences)), drawn[i : i + _BLOCK], 1)
            for i in range(0, len(images), _BLOCK)
        ]
    alike = np.concatenate(alike)
    return alike[:, 0] > alike[:, 1:].max(1)


@functools.lru_cache(maxsize=1)
def _trained(known: Dataset, recipe: Recipe) -> tuple[Matcher, PyTree]:
    """Encoders of the captions and images of a data set, and their parameters."""
    matcher = Matcher(known.num_classes, *recipe.widths, dropout=recipe.dropout)
    reader = of_words(matcher, _reduced(np.zeros((1, *known.shape))).shape[1:])
    optimizer = optax.adam(optax.cosine_decay_schedule(recipe.learning_rate, recipe.steps))
    rng, key = np.random.default_rng(0), named_key(0, 'r_precision')

    @jax.jit
    def update(params: PyTree, state: PyTree, images: jax.Array, captions: jax.Array, key: jax.Array) -> PyTree:
        gradients = jax.grad(lambda params: reader.match(params, to_float(images), captions, key)[0])(params)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), state

    params = reader.init(key)
    state = optimizer.init(params)
    for step in range(recipe.steps):
        chosen = np.sort(rng.choice(len(known), min(recipe.batch_size, len(known)), replace=False))
        batch = np.asarray(known.examples[chosen]), np.asarray(known.inputs[chosen])
        params, state = update(params, state, *batch, jax.random.fold_in(key, step))
    return matcher, params


def _reduced(images: jax.Array) -> jax.Array:
    height, width = images.shape[1:3]
    factors = range(1, max(1, height // _SEEN) + 1)
    return average_pool(images, max(factor for factor in factors if height % factor == width % factor == 0))


def _in_blocks(look: Callable[[np.ndarray], jax.Array], rows: np.ndarray) -> np.ndarray:
    return np.concatenate([np.asarray(look(rows[i : i + _BLOCK])) for i in range(0, len(rows), _BLOCK)])


@functools.partial(jax.jit, static_argnums=0)
def _see(matcher: Matcher, params: PyTree, images: jax.Array) -> jax.Array:
    with jax.default_matmul_precision('highest'):  # or accelerators would round the inputs
        return matcher.apply({'params': params}, _reduced(to_float(images)), method='see')[1]


@functools.partial(jax.jit, static_argnums=0)
def _read(matcher: Matcher, params: PyTree, captions: jax.Array) -> jax.Array:
    with jax.default_matmul_precision('highest'):
        return matcher.apply({'params': params}, captions, train=False, method='read')[2]
