"""Inversion of an image into W or W+ of a style generator.

The projector of Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", appendix D: one w for all
layers, starting at the mean w, with noise that fades out, and noise inputs that are optimised too but must not encode
the image. Abdal et al. 2019, "Image2StyleGAN", arXiv:1904.03189, use W+, with a separate w for each layer.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from gan_jax.game import Array, Key, PyTree
from gan_jax.ranges import AMOUNT, Range
from gan_jax.runtime.canonical import canonical
from gan_jax.sampling.inversion import Distance, Inversion, check_target, squared_error

_FADING = 0.75  # share of the iterations in which the noise on w fades out
_WARMING, _COOLING = 0.05, 0.25  # shares in which the learning rate rises and falls
_SMALLEST_NOISE = 8  # height of the noise inputs at which their pyramid ends


def invert_styles(
    synthesize: Callable[[PyTree, Array], Array],
    target: ArrayLike,
    start: ArrayLike,
    deviation: float,
    layers: int,
    key: Key,
    *,
    noise: PyTree = None,
    distance: Distance | None = None,
    iterations: int = 1000,
    learning_rate: float = 0.1,
    exploration: float = 0.05,
    noise_weight: float = 1e5,
) -> Inversion:
    """Optimises with Adam from a start, in one compiled program.

    The learning rate rises linearly over the first twentieth of the iterations and falls along half a cosine over the
    last quarter. The noise on w has the deviation exploration deviation (1 - t / 0.75)^2 at the share t of the
    iterations, and is gone after 0.75 of them.

    Args:
        synthesize: (noise, styles [1, layers, w]) -> images [1, H, W, C] in [-1, 1]. A `jax.tree_util.Partial` has its
            parameters passed to the program instead of written into it.
        target: the image [H, W, C] in [-1, 1].
        start: the mean w, [1, w] for W, or [layers, w] for W+.
        deviation: standard deviation of w; see `gan_jax.sampling.styles.style_statistics`.
        layers: layers of the generator.
        key: random key of the noise.
        noise: the generator's noise inputs [H, W], in any tree: others are drawn in their place, and found together
            with w. None: `synthesize` is given None.
        distance: images [n, H, W, C], target [H, W, C] -> [n]; None: `gan_jax.sampling.inversion.squared_error`.
        iterations: number of iterations of the descent.
        learning_rate: the largest.
        exploration: share of the deviation that the noise on w starts with.
        noise_weight: weight of `autocorrelation`, which keeps the noise inputs uncorrelated.

    Returns:
        The styles [layers, w] found, and likewise on the path; the distances are those before each iteration, of w with
        its noise, and the last one is of the image found.

    Raises:
        UserError: an option is impossible, or the target has another shape than the generated images.
    """
    Range(1, 10**6).check('iterations', iterations)
    Range(0, 1000, above=True).check('learning_rate', learning_rate)
    AMOUNT.check('noise_weight', noise_weight)
    start, synthesize = jnp.asarray(start, jnp.float32), jax.tree_util.Partial(synthesize)
    target = check_target(target, synthesize, noise, _all_layers(start, layers)[None])
    weights = {'deviation': exploration * deviation, 'learning_rate': learning_rate, 'noise_weight': noise_weight}
    given = synthesize, target, start, noise, key, weights
    return Inversion(*jax.device_get(_descend(*given, distance or squared_error, iterations, layers)))


@functools.partial(jax.jit, static_argnames=('distance', 'iterations', 'layers'))
def _descend(
    synthesize: Callable[[PyTree, Array], Array],
    target: Array,
    start: Array,
    noise: PyTree,
    key: Key,
    weights: dict[str, Array],
    distance: Distance,
    iterations: int,
    layers: int,
) -> tuple[Any, ...]:
    """The fields of an `Inversion`; compiled once per generator, for all images."""

    def rate(iteration: Array) -> Array:
        share = iteration / iterations
        cooled = 0.5 - 0.5 * jnp.cos(jnp.pi * jnp.minimum(1, (1 - share) / _COOLING))
        return weights['learning_rate'] * cooled * jnp.minimum(1, share / _WARMING)

    def look(w: Array, noise: PyTree) -> tuple[Array, Array]:
        images = synthesize(noise, _all_layers(w, layers)[None])
        return distance(images, target)[0], images[0]

    def loss(found: tuple[Array, PyTree], change: Array) -> tuple[Array, Array]:
        w, noise = found
        away, _ = look(w + change, noise)
        return away + weights['noise_weight'] * sum(map(autocorrelation, jax.tree.leaves(noise))), away

    def iterate(carry, i):
        found, state = carry
        fading = jnp.maximum(0, 1 - i / iterations / _FADING) ** 2
        change = weights['deviation'] * fading * jax.random.normal(jax.random.fold_in(key, i), start.shape)
        gradients, away = jax.grad(loss, has_aux=True)(found, change)
        updates, state = optimizer.update(gradients, state)
        w, noise = optax.apply_updates(found, updates)
        return ((w, jax.tree.map(_normalized, noise)), state), (away, found[0])

    leaves, tree = jax.tree.flatten(noise)
    keys = jax.random.split(jax.random.fold_in(key, iterations), len(leaves) + 1)
    drawn = [jax.random.normal(one, leaf.shape) for one, leaf in zip(keys, leaves, strict=False)]
    found = start, jax.tree.unflatten(tree, drawn)
    optimizer = optax.adam(rate)
    carry = found, optimizer.init(found)
    ((w, noise), _), (distances, path) = jax.lax.scan(canonical(iterate), carry, jnp.arange(iterations))
    last, image = look(w, noise)
    path = jax.vmap(lambda w: _all_layers(w, layers))(jnp.append(path, w[None], axis=0))
    return path[-1], image, jnp.append(distances, last), path, 0, noise


def autocorrelation(noise: Array) -> Array:
    """The correlation of neighbours in a noise input [H, W], at all scales: 0 for noise.

    The sum of the squared mean products of neighbours in both directions, the sides being joined, over a pyramid that
    halves the noise by means of 2x2 until it is 8 high (equation 8 and figure 20 of the paper).
    """
    total = sum(jnp.mean(noise * jnp.roll(noise, 1, axis)) ** 2 for axis in (0, 1))
    height, width = (size // 2 for size in noise.shape)
    if len(noise) <= _SMALLEST_NOISE:
        return total
    return total + autocorrelation(noise[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean((1, 3)))


def _normalized(noise: Array) -> Array:
    """With mean 0 and mean square 1."""
    noise = noise - noise.mean()
    return noise * jax.lax.rsqrt(jnp.mean(noise**2))


def _all_layers(w: Array, layers: int) -> Array:
    return jnp.broadcast_to(w, (layers, w.shape[-1]))
