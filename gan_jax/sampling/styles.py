"""Styles w of a style generator as arrays: mixing, coarse to fine layers, their mean and deviation, and noise.

Karras et al. 2019, "A Style-Based Generator Architecture for Generative Adversarial Networks", arXiv:1812.04948. The
styles of an image are [layers, w], one per layer; all layers of a single latent have the same style.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from gan_jax.errors import UserError
from gan_jax.game import Array, Game, Key

_FIRST_MIDDLE, _FIRST_FINE = 4, 8  # of the layers: 16x16 and 64x64


def mix(styles: ArrayLike, others: ArrayLike, layers: Sequence[int]) -> np.ndarray:
    """The styles [..., layers, w], with those of the given layers taken from others [..., layers, w].

    Raises:
        UserError: the layer does not exist.
    """
    styles, others = np.asarray(styles), np.asarray(others)
    taken = chosen_layers(layers, styles.shape[-2])
    return np.where(taken[:, None], others, styles)


def chosen_layers(layers: Sequence[int] | None, number: int) -> np.ndarray:
    """A mask of the given layers: bool [number]; None: all of them.

    Raises:
        UserError: the layer does not exist.
    """
    if layers is None:
        return np.ones(number, bool)
    if strangers := [layer for layer in layers if not 0 <= layer < number]:
        raise UserError(f'There is no layer {strangers[0]}: layers with a style are numbered from 0 to {number - 1}.')
    return np.isin(np.arange(number), layers)


def ranges_of_layers(number: int) -> dict[str, tuple[int, ...]]:
    """Divides layers into coarse, middle and fine ones.

    Coarse are those of 4x4 and 8x8, middle those of 16x16 and 32x32, fine all others (figure 3 of the paper). Of an
    image of 32x32 or less, which has no fine layers by that rule, each is a third.
    """
    layers = np.arange(number)
    parts = np.split(layers, [_FIRST_MIDDLE, _FIRST_FINE]) if number > _FIRST_FINE else np.array_split(layers, 3)
    return {name: tuple(map(int, part)) for name, part in zip(('coarse', 'middle', 'fine'), parts, strict=True)}


class Statistics(NamedTuple):
    """Statistics of the styles w of many latents.

    Attributes:
        mean: [w].
        deviation: the root of the mean squared distance of a w from the mean.
    """

    mean: np.ndarray
    deviation: float


def style_statistics(styles: Callable[[Array], Array], latents: ArrayLike, batch_size: int = 1000) -> Statistics:
    """The statistics of the first layer's w over latents.

    Args:
        styles: latents [n, ...] -> styles [n, layers, w], not truncated; with its parameters in a
            `jax.tree_util.Partial`.
        latents: [n, ...].
        batch_size: latents at a time.
    """
    styles = jax.tree_util.Partial(styles)
    parts = [_first(styles, latents[i : i + batch_size]) for i in range(0, len(latents), batch_size)]
    w = np.concatenate(parts).astype(np.float64)
    mean = w.mean(0)
    return Statistics(mean.astype(np.float32), float(np.sqrt(((w - mean) ** 2).sum(-1).mean())))


@jax.jit
def _first(styles: Callable[[Array], Array], latents: Array) -> Array:
    return styles(latents)[:, 0]


def with_random_noise(game: Game, key: Key) -> Game:
    """The game of a style generator that samples with random noise, drawn from a key for each position in a batch."""

    def synthesize(params: Any, variables: Any, styles: Array, key: Key = key) -> Array:
        return game.synthesize(params, variables, styles, key)

    def sample(params: Any, variables: Any, latents: Array, condition: Array | None = None) -> Array:
        return synthesize(params, variables, game.styles(params, variables, latents, condition))

    return game._replace(sample=sample, synthesize=synthesize)


def noise_deviation(synthesize: Callable[[Array, Key], Array], styles: ArrayLike, key: Key, draws: int) -> Array:
    """The standard deviation of each pixel over draws of noise: [n, H, W, C] (figure 4 of the paper).

    Args:
        synthesize: (styles [n, layers, w], key) -> images [n, H, W, C], each with noise of its own; with its parameters
            in a `jax.tree_util.Partial`.
        styles: [n, layers, w].
        key: random key of the draws.
        draws: number of draws, at least 2.
    """
    return _deviation(jax.tree_util.Partial(synthesize), jnp.asarray(styles), key, draws)


@functools.partial(jax.jit, static_argnames='draws')
def _deviation(synthesize: Callable[[Array, Key], Array], styles: Array, key: Key, draws: int) -> Array:
    first = synthesize(styles, jax.random.fold_in(key, 0))

    def add(sums: tuple[Array, Array], i: Array) -> tuple[tuple[Array, Array], None]:
        change = synthesize(styles, jax.random.fold_in(key, i)) - first  # avoids cancellation
        return (sums[0] + change, sums[1] + change**2), None

    (total, squares), _ = jax.lax.scan(add, (jnp.zeros_like(first),) * 2, jnp.arange(draws))
    return jnp.sqrt(jnp.maximum(squares / draws - (total / draws) ** 2, 0))
